// SPDX-License-Identifier: MIT
// A plugin that throws everywhere: nothing comes out but errors.
#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

#include "fffa/plugin.h"
#include "fffa/testing/harness.h"

namespace {

using namespace fffa;
using namespace std::chrono_literals;
using fffa::testing::Harness;

struct Config {
  std::string at;  // where to throw
};
FFFA_CONFIG(Config, (at, "where to throw", fffa::may_be_empty))

// The constructor's part and the context's, alike for all kinds.
class Thrower {
 public:
  Thrower(Config config, StageContext& context) : context_(context), at_(std::move(config.at)) {
    boom("constructor");
    if (at_ == "failure") throw Failure(unavailable("CAP_BPF is missing"));
    if (at_ == "strange") throw 42;
    if (at_ == "timer") timer_ = context.every(1s, [this] { boom("timer"); });
    if (at_ == "post") context.post([this] { boom("post"); });
    if (at_ == "background") context.background([this] { boom("background"); });
  }

 protected:
  void boom(std::string_view here) const {
    if (at_ == here) throw std::runtime_error("boom in " + at_);
  }
  StageContext& context_;
  std::string at_;
  std::unique_ptr<Timer> timer_;
};

struct ThrowingSource final : Source, Thrower {
  using Thrower::Thrower;
  Result<void> start() override { return boom("start"), Result<void>{}; }
  Result<void> run(Output& output) override {
    boom("run");
    output.emit({}, [this](Outcome) { boom("acknowledge"); });
    while (output.wait(1s)) {
    }
    return {};
  }
  static std::vector<Resource> resources(const Config& c) {
    return c.at == "resources" ? throw std::runtime_error("boom in resources") : std::vector<Resource>{};
  }
  static RecordKind emits(const Config& c) {
    return c.at == "emits" ? throw std::runtime_error("boom in emits") : RecordKind::cumulative;
  }
  static void check(const Config& c, Checker&) {
    if (c.at == "check") throw std::runtime_error("boom in check");
  }
  static Probe probe() { throw std::runtime_error("boom in probe"); }
};
struct ThrowingEnricher final : Enricher, Thrower {
  using Thrower::Thrower;
  Result<void> enrich(Batch&) override { return boom("enrich"), Result<void>{}; }
};
struct ThrowingAggregator final : Aggregator, Thrower {
  using Thrower::Thrower;
  Result<void> add(const Batch&, const Ticket&, Emitter&) override { return boom("add"), Result<void>{}; }
  void resume(Emitter&) override { boom("resume"); }
};
struct ThrowingSink final : Sink, Thrower {
  using Thrower::Thrower;
  static inline int closes = 0;
  Result<void> write(const Batch&) override { return boom("write"), Result<void>{}; }
  Result<void> close() override { return ++closes, boom("close"), Result<void>{}; }
};
struct ThrowingAsyncSink final : AsyncSink, Thrower {
  using Thrower::Thrower;
  void write(std::shared_ptr<const Batch>, Completion completion) override {
    boom("write");
    if (at_ != "untold") completion.done();
  }
  void flush() override { boom("flush"); }
  Result<void> close() override { return boom("close"), Result<void>{}; }
};

template <typename Stage>
std::unique_ptr<Harness> make(const std::string& at) {
  return Harness::of<Stage, Config>("at: \"" + at + "\"");
}
void expect_boom(const Result<void>& result, const std::string& where) {
  ASSERT_FALSE(result.ok()) << where;
  EXPECT_NE(result.error().message.find("boom in " + where), std::string::npos) << result.error().message;
  EXPECT_EQ(result.error().disposition, Disposition::fatal);
}

template <typename Stage>
Result<std::unique_ptr<fffa::Stage>> create(const std::string& at) {
  static constexpr StageType kType = stage_type<Stage, Config>("thrower", "throws");
  static fffa::testing::TestContext context;
  return kType.create(*fffa::testing::parse_config("at: " + at), context);
}

TEST(Guard, ConstructorsOfEveryKind) {
  for (auto* each : {&create<ThrowingSource>, &create<ThrowingEnricher>, &create<ThrowingAggregator>,
                     &create<ThrowingSink>, &create<ThrowingAsyncSink>}) {
    const auto made = each("constructor");
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().message, "the constructor threw: boom in constructor");
    EXPECT_EQ(each("strange").error().message, "the constructor threw something that is no std::exception");
    EXPECT_TRUE(each("\"\"").ok());
  }
}

TEST(Guard, AFailureKeepsItsDisposition) {
  const auto made = create<ThrowingSink>("failure");
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().disposition, Disposition::unavailable);
  EXPECT_EQ(made.error().message, "CAP_BPF is missing");
}

TEST(Guard, ABadConfigurationIsRefused) {
  static constexpr StageType kType = stage_type<ThrowingSink, Config>("thrower", "throws");
  fffa::testing::TestContext context;
  const auto made = kType.create(*fffa::testing::parse_config("att: x"), context);
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().message.find("test.yaml:1:1"), std::string::npos) << made.error().message;
}

TEST(Guard, Source) {
  for (const std::string where : {"start", "run", "acknowledge"})
    expect_boom(make<ThrowingSource>(where)->run({.stop_after = 10s}), where);
  EXPECT_TRUE(make<ThrowingSource>("")->run({.stop_after = 10s}).ok());
}

TEST(Guard, Enricher) {
  Batch batch;
  expect_boom(make<ThrowingEnricher>("enrich")->enrich(batch), "enrich");
}

TEST(Guard, Aggregator) {
  expect_boom(make<ThrowingAggregator>("add")->add({}), "add");
  auto resumed = make<ThrowingAggregator>("resume");
  resumed->set_room(false);
  resumed->set_room(true);
  expect_boom(resumed->add({}), "resume");  // resume() returns nothing: the next call tells
  EXPECT_TRUE(resumed->add({}).ok());
}

TEST(Guard, Sink) {
  expect_boom(make<ThrowingSink>("write")->write({}), "write");
  expect_boom(make<ThrowingSink>("close")->close(), "close");
}

TEST(Guard, AsyncSink) {
  expect_boom(make<ThrowingAsyncSink>("write")->write({}), "write");  // failed for good, not retried for ever
  EXPECT_EQ(make<ThrowingAsyncSink>("untold")->write({}).error().disposition, Disposition::retry);
  auto flushed = make<ThrowingAsyncSink>("flush");
  EXPECT_TRUE(flushed->write({}).ok());
  expect_boom(flushed->close(), "flush");
  expect_boom(make<ThrowingAsyncSink>("close")->close(), "close");
}

TEST(Guard, CallbacksAreLoggedAndReportedByTheNextCall) {
  for (const std::string where : {"timer", "post", "background"}) {
    auto sink = make<ThrowingSink>(where);
    sink->advance(1s);
    EXPECT_TRUE(sink->context().captured_log().contains("boom in " + where));
    expect_boom(sink->write({}), where);
    EXPECT_TRUE(sink->write({}).ok());  // told once
  }
  auto sink = make<ThrowingSink>("timer");
  sink->advance(1s);
  const int closes = ThrowingSink::closes;
  expect_boom(sink->close(), "timer");
  EXPECT_EQ(ThrowingSink::closes, closes + 1);  // it comes once, so it is made all the same
}

TEST(Guard, FunctionsOfTheType) {
  static constexpr StageType kType = stage_type<ThrowingSource, Config>("thrower", "throws");
  const auto config = [](const std::string& at) { return *fffa::testing::parse_config("at: " + at); };
  for (const std::string where : {"check", "resources", "emits"}) {
    Diagnostics diagnostics;
    EXPECT_FALSE(kType.check(config(where), "sources.s", diagnostics));
    ASSERT_EQ(diagnostics.all().size(), 1u);
    EXPECT_NE(diagnostics.all()[0].message.find("boom in " + where), std::string::npos);
  }
  EXPECT_TRUE(kType.resources(config("resources")).empty());
  EXPECT_EQ(kType.emits(config("emits")), RecordKind::delta);
  EXPECT_EQ(kType.emits(config("x")), RecordKind::cumulative);
  ASSERT_EQ(kType.probe().findings.size(), 1u);
  EXPECT_EQ(kType.probe().findings[0].level, Finding::Level::missing);
}

TEST(Checker, FindsThePlaceOfAnOption) {
  auto node = fffa::testing::parse_config("tls:\n  ca: x\nhosts:\n  - name: a\n  - name: b\n");
  Diagnostics diagnostics;
  Checker checker(*node, "sinks.s", diagnostics);
  checker.error("tls.ca", "bad");
  checker.error("hosts[1].name", "bad", "better");
  checker.error("tls.missing", "bad");
  checker.error("", "bad");
  ASSERT_EQ(diagnostics.all().size(), 4u);
  EXPECT_EQ(to_string(diagnostics.all()[0]), "test.yaml:2:7: sinks.s.tls.ca: bad");
  EXPECT_EQ(to_string(diagnostics.all()[1]), "test.yaml:5:11: sinks.s.hosts[1].name: bad (better)");
  EXPECT_EQ(to_string(diagnostics.all()[2]), "test.yaml:2:3: sinks.s.tls.missing: bad");
  EXPECT_EQ(to_string(diagnostics.all()[3]), "test.yaml:1:1: sinks.s: bad");
}

}  // namespace
