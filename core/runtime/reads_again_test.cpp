// SPDX-License-Identifier: MIT
// What is held at the end of a run is no loss where every source that it is from reads it again.
#include <gtest/gtest.h>

#include "buffer_fixture.h"

namespace fffa::core {
namespace {

// A source "in" and a sink "out" that takes nothing while it is `down`.
struct ReadsAgain : Buffers {
  Rig rig;
  std::atomic<int> more{0};  // batches that a source is to emit beside its first

  ReadsAgain() {
    rig.pipeline.settings.shutdown_timeout = 100ms;
    rig.can_reload();
    down = true;
  }
  // One batch, `more` of them, and then it waits to be stopped.
  StageSpec& again(const std::string& id, std::int64_t first) {
    auto& spec = rig.source(id, [=, this](Output& out) {
      std::int64_t at = first;
      out.emit(flows(1, at, at));
      for (; out.wait(1ms); more -= more > 0)
        if (more > 0) ++at, out.emit(flows(1, at, at));
      return Result<void>{};
    });
    spec.stage_type = source_type<&StageType::reads_again>();
    return spec;
  }
  bool refused(std::size_t times) {
    return eventually([=, this] { return rig.log->count("refused") >= times; });
  }
  // The reload that failed. The sink has the first batch, and the source is its old self again.
  Pipeline fail_to_change_source() {
    factories()["in"] = [make = factories().at("in"), builds = 0](StageContext& context,
                                                                  const ConfigNode& config) mutable {
      if (++builds == 2) throw Failure(fail("no such group"));
      return make(context, config);
    };
    rig.pipeline.stages[0].options = options("1", "group");
    sink(rig, {});
    rig.start();
    EXPECT_TRUE(refused(1));
    auto next = rig.pipeline;
    next.stages[0].options = options("2", "group");
    rig.reload(next);
    EXPECT_EQ(rig.log->count("not reloaded"), 1u) << rig.log->all();
    return next;
  }
  Balance end(int code) {
    EXPECT_EQ(rig.stop(), code) << rig.log->all();
    const auto balance = balance_of(rig);
    expect_even(balance);
    return balance;
  }
};

TEST_F(ReadsAgain, NotWhatASourceBroughtThatAReloadReplacedByOneThatDoes) {
  source(rig, 1, 1, 1, true);
  sink(rig, {});
  rig.start();
  ASSERT_TRUE(refused(1));
  auto next = rig.pipeline;
  again("other", 2);
  next.stages[0] = rig.pipeline.stages.back();
  rig.reload(next);
  ASSERT_TRUE(eventually([&] { return balance_of(rig).held.records == 2; })) << rig.log->all();
  const auto balance = end(kExitLost);
  EXPECT_EQ(balance.again, Tally{});
}

// It may read something else now: nobody knows whether what it had brought comes again.
TEST_F(ReadsAgain, NotWhatASourceBroughtThatAReloadChanged) {
  again("in", 1);
  sink(rig, {});
  rig.start();
  ASSERT_TRUE(refused(1));
  auto next = rig.pipeline;
  next.stages[0].options = options("2");
  rig.reload(next);
  ASSERT_TRUE(eventually([&] { return balance_of(rig).held.records == 2; })) << rig.log->all();
  end(kExitLost);
}

TEST_F(ReadsAgain, NotWhatWaitsAtASinkWhoseInputAReloadChanged) {
  source(rig, 1, 1, 1, true).id = "once";
  factories()["once"] = factories().at("in");
  again("in", 2);
  sink(rig, {}).inputs[0].from = rig.index("once");
  rig.sink("all", [](const Batch&) { return Result<void>{}; }, {"in", "once"});
  rig.start();
  ASSERT_TRUE(refused(1));
  auto next = rig.pipeline;
  next.stages[rig.index("out")].inputs[0].from = rig.index("in");
  rig.reload(next);
  next.stages[rig.index("out")].options = options("2");  // it is remembered from one reload to the next
  rig.reload(next);
  end(kExitLost);
}

// What the old one had brought has been delivered since.
TEST_F(ReadsAgain, WhatCameAfterAReload) {
  source(rig, 1, 1, 1, true);
  sink(rig, {});
  rig.start();
  ASSERT_TRUE(refused(1));
  auto next = rig.pipeline;
  again("other", 2);
  next.stages[0] = rig.pipeline.stages.back();
  rig.reload(next);
  down = false;
  ASSERT_TRUE(eventually([&] { return count() == 2; }));
  down = true;
  more = 1;
  ASSERT_TRUE(refused(2)) << rig.log->all();
  const auto balance = end(kExitOk);
  EXPECT_EQ(balance.again.records, 1);
}

// The source is what it was, and reads it again at once.
TEST_F(ReadsAgain, AfterAReloadThatFailed) {
  again("in", 1);
  fail_to_change_source();
  ASSERT_TRUE(eventually([&] { return balance_of(rig).held.records == 2; })) << rig.log->all();
  const auto balance = end(kExitOk);
  EXPECT_EQ(balance.again, balance.held);
}

TEST_F(ReadsAgain, NotWhatWasBroughtBeforeAReloadThatFailedAndOneThatChangedTheSource) {
  std::atomic<bool> first{true};
  rig.source("in",
             [&](Output& out) {
               if (first.exchange(false)) out.emit(flows(1, 1, 1));
               while (out.wait(1ms)) {
               }
               return Result<void>{};
             })
      .stage_type = source_type<&StageType::reads_again>();
  rig.reload(fail_to_change_source());
  EXPECT_EQ(rig.log->count("rebuilt: in"), 1u) << rig.log->all();
  end(kExitLost);
}

// What is in the buffer stays there, what found no room in it is read again, also out of an aggregator's window.
TEST_F(ReadsAgain, BesideWhatStaysOnDiskAndBehindAnAggregator) {
  std::set<Outcome> outcomes;
  rig.options.state_root = folder.path();
  rig.source("in",
             [&](Output& out) {
               for (std::int64_t i = 1; out.emit(flows(100, i, i), [&](Outcome o) { outcomes.insert(o); }); ++i) {
               }
               return Result<void>{};
             })
      .stage_type = source_type<&StageType::reads_again>();
  rig.add(
      "sum", StageKind::aggregator,
      [](StageContext&, const ConfigNode&) {
        auto stage = std::make_unique<FakeAggregator>();
        stage->on_add = [kept = std::vector<Ticket>(), sum = Batch()](const Batch& batch, const Ticket& ticket,
                                                                      Emitter& emitter) mutable {
          kept.push_back(ticket);
          for (const auto& record : batch) sum.records.push_back(record);
          if (kept.size() % 3 == 0 && emitter.room()) emitter.emit(std::exchange(sum, {}), std::exchange(kept, {}));
          return Result<void>{};
        };
        return stage;
      },
      {"in"}, 200);
  sink(rig, disk(1 << 20), 200).inputs[0].from = rig.index("sum");
  rig.start();
  ASSERT_TRUE(eventually([&] { return rig.log->count("the buffer is full") == 1; })) << rig.log->all();
  const auto balance = end(kExitOk);
  EXPECT_GT(balance.kept.packets, 0);
  EXPECT_GT(balance.again.packets, 0);
  EXPECT_EQ(balance.held, balance.kept + balance.again);
  EXPECT_EQ(outcomes, (std::set{Outcome::delivered, Outcome::held}));
}

}  // namespace
}  // namespace fffa::core
