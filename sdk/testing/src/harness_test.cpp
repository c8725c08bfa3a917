// SPDX-License-Identifier: MIT
#include "fffa/testing/harness.h"

#include <gtest/gtest.h>

#include <thread>

#include "fffa/testing/records.h"

namespace {

using namespace fffa;
using namespace std::chrono_literals;
using fffa::testing::Harness;
using fffa::testing::TestContext;

TEST(TestContext, TimersFireAtTheirTimesInOrder) {
  TestContext context;
  std::string order;
  auto slow = context.every(3s, [&] { order += "s"; });
  auto fast = context.every(2s, [&] {
    order += "f";
    context.post([&] { order += std::to_string(context.clock().monotonic() / 1s % 10); });
  });
  context.advance(1999ms);
  EXPECT_EQ(order, "");
  context.advance(4001ms);  // 2, 3, 4, then both at 6 in the order of their making
  EXPECT_EQ(order, "f3sf5sf7");
  fast.reset();
  context.advance(3s);
  EXPECT_EQ(order, "f3sf5sf7s");
  EXPECT_EQ(context.timers(), 1u);
}

TEST(TestContext, BackgroundHandsBackByPost) {
  TestContext context;
  std::string order;
  context.background([&] {
    order += "work ";
    context.post([&] { order += "result "; });
  });
  context.background([&] { order += "more"; });
  EXPECT_EQ(order, "");
  context.run_pending();
  EXPECT_EQ(order, "work result more");
}

TEST(TestContext, WaitsForOtherThreads) {
  TestContext context;
  bool done = false;
  std::thread other([&] { context.post([&] { done = true; }); });
  EXPECT_TRUE(context.wait_until([&] { return done; }));
  other.join();
  EXPECT_FALSE(context.wait_until([] { return false; }, 5ms));
}

TEST(TestContext, KeepsMetricsAndLogs) {
  TestContext context;
  context.metrics().counter("fffa_x_total", "help", {{"reason", "full"}}).add(3);
  context.metrics().counter("fffa_x_total", "help", {{"reason", "full"}}).add();
  context.metrics().gauge("fffa_y", "help").set(0.5);
  EXPECT_EQ(context.captured_metrics().value("fffa_x_total{reason=\"full\"}"), 4);
  EXPECT_EQ(context.captured_metrics().value("fffa_y"), 0.5);
  EXPECT_EQ(context.captured_metrics().value("fffa_none"), 0);
  context.log().warning("disk nearly full");
  EXPECT_TRUE(context.captured_log().contains("nearly"));
  EXPECT_FALSE(context.captured_log().contains("quite"));
}

TEST(TestContext, StateDirectoryGoesWithIt) {
  std::filesystem::path path;
  {
    TestContext context;
    path = *context.state_directory();
    EXPECT_TRUE(std::filesystem::is_directory(path));
    EXPECT_EQ(*context.state_directory(), path);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

struct Config {
  bool hold = false;
};
FFFA_CONFIG(Config, (hold, "keeps the inputs"))

class PassOn final : public Aggregator {
 public:
  PassOn(const Config& config, StageContext&) : hold_(config.hold) {}
  Result<void> add(const Batch& batch, const Ticket& ticket, Emitter& emitter) override {
    if (hold_) held_.push_back(ticket);
    if (emitter.room())
      emitter.emit(batch, {ticket});
    else
      waiting_.emplace_back(batch, ticket);
    return {};
  }
  void resume(Emitter& emitter) override {
    for (auto& [batch, ticket] : std::exchange(waiting_, {})) emitter.emit(std::move(batch), {std::move(ticket)});
  }

 private:
  bool hold_;
  std::vector<Ticket> held_;
  std::vector<std::pair<Batch, Ticket>> waiting_;
};

TEST(Harness, TicketsCompleteWithTheWorstOutcome) {
  auto harness = Harness::of<PassOn, Config>();
  ASSERT_TRUE(harness->add({}).ok());
  ASSERT_TRUE(harness->add({}).ok());
  EXPECT_EQ(harness->pending_tickets(), 2u);
  harness->emitted()[1].tickets[0].worsen(Outcome::lost);
  harness->emitted()[1].tickets[0].worsen(Outcome::filtered);
  EXPECT_EQ(harness->take().size(), 2u);
  EXPECT_EQ(harness->pending_tickets(), 0u);
  EXPECT_EQ(harness->outcomes(), (std::vector<Outcome>{Outcome::delivered, Outcome::lost}));
}

TEST(Harness, TicketsThatAreKeptStayOpenUntilTheStageGoes) {
  auto harness = Harness::of<PassOn, Config>("hold: true");
  ASSERT_TRUE(harness->add({}).ok());
  harness->take();
  EXPECT_EQ(harness->pending_tickets(), 1u);
  harness->destroy();
  EXPECT_EQ(harness->pending_tickets(), 0u);
}

TEST(Harness, WithoutRoomNothingComesUntilResume) {
  auto harness = Harness::of<PassOn, Config>();
  harness->set_room(false);
  ASSERT_TRUE(harness->add({}).ok());
  EXPECT_TRUE(harness->emitted().empty());
  harness->set_room(true);
  EXPECT_EQ(harness->emitted().size(), 1u);
}

TEST(Harness, BadOptionsAreSaidWithTheirPlace) {
  try {
    Harness::of<PassOn, Config>("hold: maybe");
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.error().message, "test.yaml:1:7: hold: expected true or false, got `maybe`");
  }
}

TEST(Harness, AStageIsUsedAsWhatItIs) {
  auto harness = Harness::of<PassOn, Config>();
  EXPECT_FALSE(harness->run().ok());
  EXPECT_FALSE(harness->write({}).ok());
  EXPECT_FALSE(harness->close().ok());
}

TEST(Samples, AStreamAddsUpAndEnds) {
  TestContext context;
  const auto stream = fffa::testing::sample_stream(context, 20, 10);
  EXPECT_EQ(stream.back().watermark, kEndOfInput);
  TimeNs before = 0;
  std::size_t late = 0, empty = 0;
  for (const auto& batch : stream) {
    EXPECT_GE(batch.watermark, before);
    for (const auto& record : batch) late += record.first_seen < before - 3600'000'000'000;
    EXPECT_EQ(batch.volume(), batch.interfaces.empty() ? Volume{} : batch.interfaces[0].seen);
    empty += batch.empty();
    before = batch.watermark;
  }
  EXPECT_EQ(late, 2u);
  EXPECT_GT(empty, 3u);
}

}  // namespace
