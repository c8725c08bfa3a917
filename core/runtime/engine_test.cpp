// SPDX-License-Identifier: MIT
#include "engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include "fake_stages.h"

namespace fffa::core {
namespace {

using namespace fake;

const auto nothing = [](Batch&) { return Result<void>{}; };
const auto mark = [](Batch& batch) {
  for (auto& record : batch) record.ifindex = 7;
  return Result<void>{};
};

TEST(Engine, DeliversEverythingInOrderStampedAndBalanced) {
  Rig rig;
  rig.source("in", [](Output& out) {
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(out.emit(batch_of(10, i + 1, 1 + 10 * i)));
    return Result<void>{};
  });
  rig.enricher("mark", mark, {"in"});
  std::int64_t next = 1;
  std::uint64_t sequence = 0;
  TimeNs last = 0;
  std::set<Text> run_ids;
  rig.sink("out",
           [&](const Batch& batch) {
             EXPECT_GE(batch.watermark, last);
             last = batch.watermark;
             for (const auto& record : batch) {
               EXPECT_EQ(record.first_seen, next++);
               EXPECT_EQ(record.ifindex, 7u);
               EXPECT_EQ(record.sequence, ++sequence);
               EXPECT_NE(record.host, Text::null);
               EXPECT_GT(record.emitted, 0);
               run_ids.insert(record.run_id);
             }
             return Result<void>{};
           },
           {"mark"});
  EXPECT_EQ(rig.run(), kExitOk) << rig.log->all();
  EXPECT_EQ(next, 10001);
  EXPECT_EQ(last, kEndOfInput);
  EXPECT_EQ(run_ids.size(), 1u);
  EXPECT_FALSE(run_ids.contains(Text::null));
  const auto balance = rig.engine->balances().at("out");
  EXPECT_EQ(balance.seen, (Tally{10000, 20000, 1000000}));
  EXPECT_EQ(balance.delivered, balance.seen);
  EXPECT_TRUE(balance.unaccounted().empty());
}

TEST(Engine, FanOutSharesAndWhoChangesGetsACopy) {
  Rig rig;
  rig.source("in", [](Output& out) {
    for (int i = 0; i < 200; ++i) out.emit(batch_of(5, i));
    return Result<void>{};
  });
  rig.enricher("mark", mark, {"in"});
  std::atomic<int> plain = 0, marked = 0;
  rig.sink("raw",
           [&](const Batch& batch) {
             for (const auto& record : batch) plain += record.ifindex == 0;
             return Result<void>{};
           },
           {"in"});
  rig.sink("out",
           [&](const Batch& batch) {
             for (const auto& record : batch) marked += record.ifindex == 7;
             return Result<void>{};
           },
           {"mark"});
  EXPECT_EQ(rig.run(), kExitOk);
  EXPECT_EQ(plain, 1000);
  EXPECT_EQ(marked, 1000);
}

TEST(Engine, DiamondWithTinyEdgesDoesNotDeadlock) {
  Rig rig;
  rig.source("in", [](Output& out) {
    for (int i = 0; i < 3000; ++i) out.emit(batch_of(3, i));
    return Result<void>{};
  });
  rig.enricher(
      "slow",
      [](Batch&) {
        std::this_thread::sleep_for(20us);
        return Result<void>{};
      },
      {"in"}, 1);
  rig.enricher("fast", nothing, {"in"}, 4);
  rig.enricher("join", nothing, {"slow", "fast", "in"}, 2);
  std::int64_t records = 0;
  rig.sink(
      "out",
      [&](const Batch& batch) {
        records += static_cast<std::int64_t>(batch.size());
        return Result<void>{};
      },
      {"join", "fast"}, 1);
  EXPECT_EQ(rig.run(), kExitOk);
  EXPECT_EQ(records, 3000 * 3 * 4);  // four ways from source to sink
  const auto balance = rig.engine->balances().at("out");
  EXPECT_EQ(balance.seen.records, records);
  EXPECT_TRUE(balance.unaccounted().empty()) << to_string(balance);
}

TEST(Engine, ABlockedSinkStopsTheSourceAndNothingIsLost) {
  Rig rig;
  std::atomic<bool> open = false;
  std::atomic<int> emitted = 0, delivered = 0;
  std::atomic<bool> ready = true;
  rig.source("in", [&](Output& out) {
    for (int i = 0; i < 500; ++i) {
      ready = out.ready();
      out.emit(batch_of(10, i));
      emitted += 10;
    }
    return Result<void>{};
  });
  rig.enricher("e", nothing, {"in"}, 100);
  rig.sink(
      "out",
      [&](const Batch& batch) {
        while (!open) std::this_thread::sleep_for(1ms);
        delivered += static_cast<int>(batch.size());
        return Result<void>{};
      },
      {"e"}, 100);
  rig.start();
  ASSERT_TRUE(eventually([&] { return !ready; }));
  std::this_thread::sleep_for(50ms);
  // Both edges, one batch over each bound, and one in the sink's hands.
  EXPECT_LE(emitted, 100 + 10 + 100 + 10 + 10);
  open = true;
  EXPECT_EQ(rig.wait(), kExitOk);
  EXPECT_EQ(delivered, 5000);
}

TEST(Engine, AFullEdgeThatDropsIsCountedAndBlocksNobody) {
  Rig rig;
  std::atomic<bool> open = false;
  std::atomic<int> lost = 0, taken = 0;
  std::int64_t delivered = 0;
  rig.source("in", [&](Output& out) {
    for (int i = 0; i < 200; ++i)
      out.emit(batch_of(10, i), [&](Outcome outcome) { ++(outcome == Outcome::lost ? lost : taken); });
    open = true;
    EXPECT_TRUE(out.settle());
    return Result<void>{};
  });
  TimeNs last = 0;
  rig.sink(
      "out",
      [&](const Batch& batch) {
        while (!open) std::this_thread::sleep_for(1ms);
        delivered += static_cast<std::int64_t>(batch.size());
        last = batch.watermark;
        return Result<void>{};
      },
      {"in"}, 100, OnFull::drop);
  EXPECT_EQ(rig.run(), kExitLost);
  EXPECT_EQ(last, kEndOfInput);
  EXPECT_EQ(lost + taken, 200);
  EXPECT_GT(lost, 150);
  const auto balance = rig.engine->balances().at("out");
  EXPECT_EQ(balance.lost, (Tally{10 * lost, 20 * lost, 1000 * lost}));
  EXPECT_EQ(balance.delivered.records, delivered);
  EXPECT_TRUE(balance.unaccounted().empty()) << to_string(balance);
  EXPECT_NE(rig.engine->metrics().text().find(
                R"(fffa_stage_dropped_records_total{reason="edge_full",stage="out",type="fake"} )" +
                std::to_string(10 * lost)),
            std::string::npos);
}

TEST(Engine, InterfaceStatusEntersTheBalance) {
  Rig rig;
  rig.source("in", [](Output& out) {
    auto batch = batch_of(10, 1);
    batch.interfaces.emplace_back();
    batch.interfaces[0].seen = {29, 1450};
    batch.interfaces[0].filtered = {6, 300};
    batch.interfaces[0].lost = {3, 150};
    out.emit(std::move(batch));
    return Result<void>{};
  });
  rig.sink("out", [](const Batch&) { return Result<void>{}; }, {"in"});
  EXPECT_EQ(rig.run(), kExitLost);
  const auto balance = rig.engine->balances().at("out");
  EXPECT_EQ(balance.seen, (Tally{10, 29, 1450}));
  EXPECT_EQ(balance.filtered, (Tally{0, 6, 300}));
  EXPECT_EQ(balance.lost, (Tally{0, 3, 150}));
  EXPECT_TRUE(balance.unaccounted().empty()) << to_string(balance);
}

TEST(Engine, AcknowledgesOnTheSourcesThreadWithTheWorstOutcome) {
  Rig rig;
  int lost = 0, delivered = 0;
  rig.source("in", [&](Output& out) {
    const auto me = std::this_thread::get_id();
    for (int i = 0; i < 100; ++i)
      out.emit(batch_of(1, i, i + 1), [&, me](Outcome outcome) {
        EXPECT_EQ(std::this_thread::get_id(), me);
        ++(outcome == Outcome::lost ? lost : delivered);
      });
    EXPECT_TRUE(out.settle());
    EXPECT_EQ(lost + delivered, 100);
    EXPECT_FALSE(out.emit(batch_of(1)));  // the input has ended
    return Result<void>{};
  });
  rig.sink("good", [](const Batch&) { return Result<void>{}; }, {"in"});
  rig.sink("picky",
           [](const Batch& batch) -> Result<void> {
             if (!batch.empty() && batch.records[0].first_seen % 2 == 0) return reject("even");
             return {};
           },
           {"in"})
      .on_reject = OnReject::drop;
  EXPECT_EQ(rig.run(), kExitLost);
  EXPECT_EQ(lost, 50);
  EXPECT_EQ(delivered, 50);
  EXPECT_EQ(rig.engine->balances().at("good").lost.records, 1);  // what came after the end
  EXPECT_EQ(rig.engine->balances().at("picky").lost.records, 51);
  EXPECT_EQ(rig.log->count("picky: even"), 1u);
}

// Sums what comes in and puts it out every ten batches.
struct Summer : FakeAggregator {
  Summer() {
    on_add = [this](const Batch& batch, const Ticket& ticket, Emitter& emitter) {
      for (const auto& record : batch) {
        sum.packets += record.packets;
        sum.bytes += record.bytes;
      }
      tickets.push_back(ticket);
      if (++count % 10 == 0 || batch.watermark == kEndOfInput) put_out(batch.watermark, emitter);
      return Result<void>{};
    };
  }
  void put_out(TimeNs watermark, Emitter& emitter) {
    Batch out;
    out.watermark = watermark;
    if (sum.packets > 0) out.records.push_back(sum);
    sum = {};
    emitter.emit(std::move(out), std::exchange(tickets, {}));
  }
  FlowRecord sum;
  std::vector<Ticket> tickets;
  int count = 0;
};
const Factory summer = [](StageContext&, const ConfigNode&) { return std::make_unique<Summer>(); };

TEST(Engine, AnAggregatorsInputsAreAcknowledgedWithItsOutput) {
  Rig rig;
  std::atomic<int> written = 0;
  int acknowledged = 0;
  rig.source("in",
             [&](Output& out) {
               for (int i = 0; i < 100; ++i)
                 out.emit(batch_of(4, i), [&](Outcome outcome) {
                   EXPECT_EQ(outcome, Outcome::delivered);
                   EXPECT_GE(written * 10, ++acknowledged);  // nothing before the output that it went into
                 });
               EXPECT_TRUE(out.settle());
               return Result<void>{};
             })
      .stamps = false;
  rig.add("sum", StageKind::aggregator, summer, {"in"}).stamps = true;
  Tally got;
  TimeNs last = 0;
  rig.sink("out",
           [&](const Batch& batch) {
             got += tally_of(batch);
             for (const auto& record : batch) EXPECT_GT(record.sequence, 0u);
             EXPECT_NE(last, kEndOfInput);  // only the last batch says so
             last = batch.watermark;
             ++written;
             return Result<void>{};
           },
           {"sum"});
  EXPECT_EQ(rig.run(), kExitOk) << rig.log->all();
  EXPECT_EQ(acknowledged, 100);
  EXPECT_EQ(got, (Tally{10, 800, 40000}));
  EXPECT_EQ(last, kEndOfInput);
  EXPECT_TRUE(rig.engine->balances().at("out").unaccounted().empty()) << to_string(rig.engine->balances().at("out"));
}

// What a source has from another fffa (behind Kafka, say), and what an aggregator makes of it.
TEST(Engine, RecordsOfAnotherRunKeepTheirNameUntilTheyAreMerged) {
  struct Passer final : Aggregator {
    Result<void> add(const Batch& batch, const Ticket& ticket, Emitter& emitter) override {
      emitter.emit(batch, {ticket});
      return {};
    }
  };
  constexpr auto kTheirHost = static_cast<Text>(1001), kTheirRun = static_cast<Text>(1002);
  Rig rig;
  rig.source("in", [&](Output& out) {
    Batch batch = batch_of(4, 1);
    for (auto& record : batch) {
      record.host = kTheirHost;
      record.run_id = kTheirRun;
      record.sequence = 77;
      record.emitted = 5;
    }
    out.emit(std::move(batch));
    return Result<void>{};
  });
  rig.add("merge", StageKind::aggregator, [](StageContext&, const ConfigNode&) { return std::make_unique<Passer>(); },
          {"in"})
      .stamps = true;
  std::vector<FlowRecord> straight, merged;
  const auto into = [](std::vector<FlowRecord>& all) {
    return [&all](const Batch& batch) {
      all.insert(all.end(), batch.begin(), batch.end());
      return Result<void>{};
    };
  };
  rig.sink("straight", into(straight), {"in"});
  rig.sink("merged", into(merged), {"merge"});
  EXPECT_EQ(rig.run(), kExitOk) << rig.log->all();
  ASSERT_EQ(straight.size(), 4U);
  ASSERT_EQ(merged.size(), 4U);
  for (const auto& record : straight) {
    EXPECT_EQ(record.host, kTheirHost);
    EXPECT_EQ(record.run_id, kTheirRun);
    EXPECT_EQ(record.sequence, 77U);
    EXPECT_EQ(record.emitted, 5);
  }
  for (const auto& record : merged) {
    EXPECT_EQ(record.host, kTheirHost);
    EXPECT_NE(record.run_id, kTheirRun);
    EXPECT_NE(record.sequence, 77U);
    EXPECT_GT(record.emitted, 5);
  }
}

// On the end of input puts out 1000 batches, as far as there is room.
struct Burst : FakeAggregator {
  int left = 1000;
  Burst() {
    on_add = [this](const Batch& batch, const Ticket&, Emitter& emitter) {
      if (batch.watermark == kEndOfInput) go_on(emitter);
      return Result<void>{};
    };
    on_resume = [this](Emitter& emitter) { go_on(emitter); };
  }
  void go_on(Emitter& emitter) {
    while (left > 0 && emitter.room()) {
      --left;
      emitter.emit(batch_of(1, kEndOfInput), {});
    }
  }
};

TEST(Engine, AnAggregatorGoesOnWhenThereIsRoom) {
  Rig rig;
  rig.source("in", [](Output& out) {
    out.emit(batch_of(1000, 5));
    return Result<void>{};
  });
  rig.add("burst", StageKind::aggregator, [](StageContext&, const ConfigNode&) { return std::make_unique<Burst>(); },
          {"in"});
  int records = 0;
  bool end = false;
  rig.sink(
      "out",
      [&](const Batch& batch) {
        EXPECT_FALSE(end);
        records += static_cast<int>(batch.size());
        end = batch.watermark == kEndOfInput;
        return Result<void>{};
      },
      {"burst"}, 8);
  EXPECT_EQ(rig.run(), kExitOk) << rig.log->all();
  EXPECT_EQ(records, 1000);
  EXPECT_TRUE(end);
}

TEST(Engine, TimersPostsAndBackgroundWorkNeverMeetACall) {
  Rig rig;
  struct Busy : FakeEnricher {
    StageContext& context;
    std::atomic<int>& inside;
    std::atomic<int>& calls;
    std::unique_ptr<Timer> timer;
    Busy(StageContext& c, std::atomic<int>& i, std::atomic<int>& n) : context(c), inside(i), calls(n) {
      timer = context.every(1ms, [this] {
        alone();
        context.background([this] { context.post([this] { alone(); }); });
      });
      on_enrich = [this](Batch&) {
        alone();
        return Result<void>{};
      };
    }
    void alone() {
      EXPECT_EQ(inside++, 0);
      std::this_thread::sleep_for(50us);
      --inside;
      ++calls;
    }
  };
  std::atomic<int> inside = 0, calls = 0;
  rig.source("in", [](Output& out) {
    while (out.wait(100us)) out.emit(batch_of(1));
    return Result<void>{};
  });
  rig.add("busy", StageKind::enricher,
          [&](StageContext& context, const ConfigNode&) { return std::make_unique<Busy>(context, inside, calls); },
          {"in"});
  rig.sink("out", [](const Batch&) { return Result<void>{}; }, {"busy"});
  rig.options.duration = 300ms;
  EXPECT_EQ(rig.run(), kExitOk) << rig.log->all();
  EXPECT_GT(calls, 100);
}

TEST(Engine, StopReadsWhatIsLeftAndDrains) {
  Rig rig;
  std::atomic<int> emitted = 0, delivered = 0;
  rig.source("in", [&](Output& out) {
    while (out.wait(1ms)) out.emit(batch_of(1)), ++emitted;
    for (int i = 0; i < 50; ++i) out.emit(batch_of(1)), ++emitted;  // the final read
    return Result<void>{};
  });
  rig.sink("out",
           [&](const Batch& batch) {
             std::this_thread::sleep_for(1ms);
             delivered += static_cast<int>(batch.size());
             return Result<void>{};
           },
           {"in"});
  rig.start();
  ASSERT_TRUE(eventually([&] { return delivered > 20; }));
  EXPECT_TRUE(rig.engine->ready());
  EXPECT_EQ(rig.stop(), kExitOk);
  EXPECT_FALSE(rig.engine->ready());
  EXPECT_EQ(emitted, delivered);
  EXPECT_GT(delivered, 70);
}

}  // namespace
}  // namespace fffa::core
