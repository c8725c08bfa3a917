// SPDX-License-Identifier: MIT
// Conditions of inputs: who still sees what, and that every account balances.
#include <gtest/gtest.h>

#include <array>
#include <atomic>

#include "engine.h"
#include "fake_stages.h"

namespace fffa::core {
namespace {

using namespace fake;

// Records 1 to `n`: of so many packets, and 100 bytes each.
Batch counting(std::uint64_t n, TimeNs watermark) {
  auto batch = batch_of(n, watermark);
  for (std::size_t i = 0; i < n; ++i) batch.records[i].packets = i + 1;
  return batch;
}

struct When : testing::Test {
  Rig rig;
  Batch got;  // all records that came to `out`
  std::size_t batches = 0;
  TimeNs last = 0;

  void counting_source(int batch_count = 1) {
    rig.source("in", [batch_count](Output& out) {
      for (int i = 0; i < batch_count; ++i) out.emit(counting(10, i + 1));
      return Result<void>{};
    });
  }
  StageSpec& out(const std::string& from, const char* when) {
    auto& spec =
        rig.sink("out",
                 [this](const Batch& batch) {
                   got.records.insert(got.records.end(), batch.begin(), batch.end());
                   got.interfaces.insert(got.interfaces.end(), batch.interfaces.begin(), batch.interfaces.end());
                   EXPECT_GE(batch.watermark, last);
                   last = batch.watermark;
                   ++batches;
                   return Result<void>{};
                 },
                 {from});
    if (when) spec.inputs[0].when = filter(when);
    return spec;
  }
  Balance balance(const std::string& sink = "out") {
    const auto balance = rig.engine->balances().at(sink);
    EXPECT_TRUE(balance.unaccounted().empty()) << to_string(balance);
    EXPECT_EQ(rig.log->count("unaccounted"), 0u);
    return balance;
  }
};

TEST_F(When, OnlyWhatMatchesComesAndTheRestIsCounted) {
  counting_source(3);
  out("in", "packets > 4 and packets != 7");
  EXPECT_EQ(rig.run(), kExitOk) << rig.log->all();
  EXPECT_EQ(tally_of(got), (Tally{15, 3 * (5 + 6 + 8 + 9 + 10), 1500}));
  EXPECT_EQ(last, kEndOfInput);
  EXPECT_EQ(balance().seen, (Tally{30, 165, 3000}));
  EXPECT_EQ(balance().delivered, tally_of(got));
  EXPECT_EQ(balance().filtered, (Tally{15, 3 * (1 + 2 + 3 + 4 + 7), 1500}));
  const auto metrics = rig.engine->metrics().text();
  EXPECT_NE(metrics.find(R"(fffa_stage_filtered_records_total{stage="out",type="fake"} 15)"), std::string::npos);
  EXPECT_NE(metrics.find(R"(fffa_stage_filtered_packets_total{stage="out",type="fake"} 51)"), std::string::npos);
}

TEST_F(When, OthersStillSeeEverything) {
  counting_source(100);
  std::array<std::atomic<int>, 3> seen{};
  for (const std::size_t i : {0u, 1u, 2u}) {
    auto& sink = rig.sink("s" + std::to_string(i),
                          [&seen, i](const Batch& batch) {
                            for (const auto& record : batch) seen[i] += static_cast<int>(record.packets);
                            return Result<void>{};
                          },
                          {"in"});
    if (i > 0) sink.inputs[0].when = filter(i == 1 ? "packets <= 2" : "packets > 2");
  }
  EXPECT_EQ(rig.run(), kExitOk);
  EXPECT_EQ(seen[0], 5500);
  EXPECT_EQ(seen[1], 300);
  EXPECT_EQ(seen[2], 5200);
  EXPECT_EQ(balance("s0").filtered, Tally{});
  EXPECT_EQ(balance("s1").filtered, (Tally{800, 5200, 80000}));
  EXPECT_EQ(balance("s2").filtered, (Tally{200, 300, 20000}));
}

TEST_F(When, WithNothingLeftTimeStatusesAndAcknowledgementsGoOn) {
  int filtered = 0, delivered = 0;
  rig.source("in", [&](Output& output) {
    for (int i = 0; i < 10; ++i) {
      auto batch = counting(i % 2 == 0 ? 10 : 0, i + 1);
      batch.interfaces.emplace_back().ifindex = 7;
      batch.interfaces[0].seen = {batch.volume()};
      output.emit(std::move(batch), [&](Outcome outcome) {
        filtered += outcome == Outcome::filtered;
        delivered += outcome == Outcome::delivered;
      });
    }
    EXPECT_TRUE(output.settle());
    return Result<void>{};
  });
  out("in", "packets > 1000");
  EXPECT_EQ(rig.run(), kExitOk) << rig.log->all();
  EXPECT_TRUE(got.empty());
  EXPECT_EQ(batches, 11u);  // and the end
  EXPECT_EQ(got.interfaces.size(), 10u);
  EXPECT_EQ(last, kEndOfInput);
  EXPECT_EQ(filtered, 5);
  EXPECT_EQ(delivered, 5);
  EXPECT_EQ(balance().filtered, (Tally{50, 275, 5000}));
}

// Sums up; everything comes out at the end.
struct Total : FakeAggregator {
  FlowRecord sum;
  Total() {
    on_add = [this](const Batch& batch, const Ticket&, Emitter& emitter) {
      for (const auto& record : batch) {
        sum.packets += record.packets;
        sum.bytes += record.bytes;
      }
      if (batch.watermark != kEndOfInput) return Result<void>{};
      Batch total;
      total.records.push_back(sum);
      emitter.emit(std::move(total), {});
      return Result<void>{};
    };
  }
};

TEST_F(When, BeforeAnAggregatorItSumsUpWhatMatches) {
  counting_source(2);
  rig.add("sum", StageKind::aggregator, [](StageContext&, const ConfigNode&) { return std::make_unique<Total>(); },
          {"in"})
      .inputs[0]
      .when = filter("packets > 8");
  out("sum", nullptr);
  EXPECT_EQ(rig.run(), kExitOk) << rig.log->all();
  EXPECT_EQ(tally_of(got), (Tally{1, 38, 400}));
  EXPECT_EQ(balance().seen, (Tally{1, 110, 2000}));
  EXPECT_EQ(balance().filtered, (Tally{0, 72, 1600}));  // its records are not those that the aggregator made
}

TEST_F(When, EveryWayHasItsOwnCondition) {
  counting_source();
  rig.enricher("e", [](Batch&) { return Result<void>{}; }, {"in"}).inputs[0].when = filter("packets > 5");
  auto& sink = out("e", "packets < 8");
  sink.inputs.push_back({rig.index("in"), OnFull::block, 32, {}, filter("packets == 1")});
  EXPECT_EQ(rig.run(), kExitOk) << rig.log->all();
  EXPECT_EQ(tally_of(got), (Tally{3, 6 + 7 + 1, 300}));
  EXPECT_EQ(balance().seen, (Tally{20, 110, 2000}));
  EXPECT_EQ(balance().filtered, (Tally{17, 110 - 14, 1700}));
}

// Of totals only what is new counts.
TEST_F(When, CumulativeRecordsCountWhatIsNew) {
  rig.source("in", [](Output& output) {
    for (std::uint64_t i = 1; i <= 4; ++i) {
      auto batch = batch_of(1, static_cast<TimeNs>(i));
      batch.records[0].cumulative = true;
      batch.records[0].packets = 10 * i;
      batch.records[0].new_packets = 10;
      batch.records[0].new_bytes = 50;
      output.emit(std::move(batch));
    }
    return Result<void>{};
  });
  out("in", "packets >= 30");
  EXPECT_EQ(rig.run(), kExitOk) << rig.log->all();
  EXPECT_EQ(got.size(), 2u);
  EXPECT_EQ(balance().delivered, (Tally{2, 20, 100}));
  EXPECT_EQ(balance().filtered, (Tally{2, 20, 100}));
}

// A full edge gives up what would have come, not what was refused anyway.
TEST_F(When, WhatIsRefusedNeitherFillsAQueueNorIsLost) {
  std::atomic<bool> open = false;
  int lost = 0, filtered = 0;
  rig.source("in", [&](Output& output) {
    for (int i = 0; i < 100; ++i)
      output.emit(counting(i % 2 == 0 ? 10 : 9, i + 1), [&](Outcome outcome) {
        lost += outcome == Outcome::lost;
        filtered += outcome == Outcome::filtered;
      });
    open = true;
    EXPECT_TRUE(output.settle());
    return Result<void>{};
  });
  auto& sink = rig.sink(
      "out",
      [&](const Batch&) {
        while (!open) std::this_thread::sleep_for(1ms);
        return Result<void>{};
      },
      {"in"}, 20, OnFull::drop);
  sink.inputs[0].when = filter("packets == 10");
  EXPECT_EQ(rig.run(), kExitLost);
  EXPECT_EQ(balance().filtered, (Tally{900, 4500, 90000}));
  EXPECT_EQ(balance().delivered.records + balance().lost.records, 50);
  EXPECT_GE(balance().delivered.records, 10);
  EXPECT_EQ(balance().lost.records, lost);
  EXPECT_EQ(filtered, 100 - lost);  // also of batches that found the edge full, with nothing left to lose
}

TEST_F(When, AReloadChangesIt) {
  std::atomic<int> emitted = 0;
  std::atomic<std::uint64_t> largest = 0, smallest = 1000;
  rig.source("in", [&](Output& output) {
    while (output.wait(1ms)) {
      output.emit(counting(10, ++emitted));
    }
    return Result<void>{};
  });
  auto& sink = rig.sink("out",
                        [&](const Batch& batch) {
                          for (const auto& record : batch) {
                            largest = std::max(largest.load(), record.packets);
                            smallest = std::min(smallest.load(), record.packets);
                          }
                          return Result<void>{};
                        },
                        {"in"});
  sink.inputs[0].when = filter("packets < 3");
  rig.can_reload();
  rig.start();
  ASSERT_TRUE(eventually([&] { return largest == 2; }));
  auto next = rig.pipeline;
  next.stages[1].inputs[0].when = filter("packets > 8");
  rig.reload(next);
  ASSERT_TRUE(eventually([&] { return largest == 10; }));
  smallest = 1000;  // what the old edge held came before
  const int now = emitted;
  ASSERT_TRUE(eventually([&] { return emitted > now + 20; }));
  EXPECT_GE(smallest, 9u);
  next.stages[1].inputs[0].when = nullptr;
  rig.reload(next);
  smallest = 1000;
  ASSERT_TRUE(eventually([&] { return smallest == 1; }));
  rig.reload(next);
  EXPECT_EQ(rig.log->count("no stage has changed"), 1u);
  EXPECT_EQ(rig.stop(), kExitOk);
  const auto end = balance();
  EXPECT_EQ(end.seen.records, 10 * emitted);
  EXPECT_EQ(end.seen, end.delivered + end.filtered);
}

TEST(BatchRef, RetainCopiesOnlyWhereOthersHaveTheBatch) {
  const auto even = [](const FlowRecord& record) { return record.packets % 2 == 0; };
  BatchRef mine(counting(10, 5));
  const auto* place = mine->records.data();
  EXPECT_EQ(mine.retain([](const FlowRecord&) { return true; }), Tally{});
  EXPECT_EQ(mine.retain(even), (Tally{5, 25, 500}));
  EXPECT_EQ(mine->records.data(), place);
  EXPECT_EQ(mine.tally(), (Tally{5, 30, 500}));

  BatchRef one(counting(10, 5));
  BatchRef two = one;
  EXPECT_EQ(two.retain(even), (Tally{5, 25, 500}));
  EXPECT_EQ(one->size(), 10u);
  EXPECT_EQ(two->size(), 5u);
  EXPECT_EQ(two->watermark, 5);
  EXPECT_EQ(two->records[0].packets, 2u);
  EXPECT_EQ(two->records[4].packets, 10u);
}

}  // namespace
}  // namespace fffa::core
