// SPDX-License-Identifier: MIT
// What becomes of batches that a sink does not take.
#include "sink_node.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>

#include "engine.h"
#include "fake_stages.h"
#include "fffa/plugin.h"

namespace fffa::core {
namespace {

using namespace fake;

TEST(Sinks, RetryKeepsOrderAndDeliversOnce) {
  Rig rig;
  rig.source("in", emits(100));
  int calls = 0;
  std::int64_t next = 1;
  rig.sink("out",
           [&](const Batch& batch) -> Result<void> {
             if (++calls % 3 != 0) return retry("send to 192.0.2.1: refused");
             for (const auto& record : batch) EXPECT_EQ(record.first_seen, next++);
             return {};
           },
           {"in"});
  rig.options.tuning.retry_longest = 1ms;
  EXPECT_EQ(rig.run(), kExitOk);
  EXPECT_EQ(next, 101);
  EXPECT_TRUE(rig.engine->health().degraded().empty());
  EXPECT_NE(rig.engine->metrics().text().find(R"(fffa_sink_retries_total{stage="out",type="fake"} 202)"),
            std::string::npos);
}

TEST(Sinks, ARejectedBatchIsHeldUntilTheSinkTakesIt) {
  Rig rig;
  rig.source("in", emits(10));
  std::atomic<bool> authorised = false;
  std::atomic<int> refusals = 0;
  std::vector<std::int64_t> got;
  rig.sink("out",
           [&](const Batch& batch) -> Result<void> {
             if (!batch.empty() && batch.records[0].first_seen == 4 && !authorised) {
               ++refusals;
               return reject("not authorised");
             }
             for (const auto& record : batch) got.push_back(record.first_seen);
             return {};
           },
           {"in"});
  rig.start();
  ASSERT_TRUE(eventually([&] { return rig.log->count("out: not authorised") == 1; }));
  EXPECT_EQ(rig.engine->health().degraded().at("out"), "not authorised");
  ASSERT_TRUE(eventually([&] { return refusals == 3; })) << "it is offered again";
  authorised = true;
  EXPECT_EQ(rig.wait(), kExitOk);
  EXPECT_EQ(got, (std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(rig.log->count("not authorised"), 1u);
  EXPECT_EQ(rig.log->count("delivers again"), 1u);
}

TEST(Sinks, AfterADroppedBatchTheSinkRecovers) {
  Rig rig;
  rig.source("in", emits(4));
  std::atomic<int> calls = 0;
  std::atomic<bool> go_on{false};
  rig.sink("out",
           [&](const Batch& batch) -> Result<void> {
             if (batch.empty()) return {};
             if (++calls % 2 == 1) return reject("not mine");
             while (calls == 4 && !go_on) std::this_thread::sleep_for(1ms);
             return {};
           },
           {"in"})
      .on_reject = OnReject::drop;
  rig.start();
  ASSERT_TRUE(eventually([&] { return calls == 4; }));
  EXPECT_TRUE(rig.engine->health().degraded().contains("out"));
  EXPECT_EQ(rig.log->count("out: not mine"), 1u) << rig.log->all();
  go_on = true;
  EXPECT_TRUE(eventually([&] { return !rig.engine->health().degraded().contains("out"); }));
  EXPECT_EQ(rig.wait(), kExitLost);
}

TEST(Sinks, TheSameRejectionAfterARecoveryIsSaidAgain) {
  Rig rig;
  rig.source("in", emits(30));
  int calls = 0;
  rig.sink("out",
           [&](const Batch& batch) -> Result<void> {
             const bool outage = calls < 5 || (calls >= 15 && calls < 20);
             if (batch.empty() || (++calls, !outage)) return {};
             return reject("not authorised");
           },
           {"in"})
      .on_reject = OnReject::drop;
  EXPECT_EQ(rig.run(), kExitLost);
  EXPECT_EQ(rig.log->count("not authorised"), 2u) << rig.log->all();
  EXPECT_EQ(rig.log->count("delivers again"), 2u) << rig.log->all();
  EXPECT_EQ(rig.engine->balances().at("out").lost.records, 10);
}

// Every second batch lacks its first record; the rest of it was delivered.
TEST(Sinks, OnlyTheRefusedPartIsLost) {
  Rig rig;
  rig.source("in", emits(30, 3));
  int calls = 0;
  rig.sink("out",
           [&](const Batch& batch) -> Result<void> {
             if (batch.empty() || ++calls % 2 == 0) return {};
             Error error = reject("one too many");
             error.refused = {1, batch.records[0].packets, batch.records[0].bytes};
             return error;
           },
           {"in"})
      .on_reject = OnReject::drop;
  EXPECT_EQ(rig.run(), kExitLost);
  const auto balance = rig.engine->balances().at("out");
  EXPECT_EQ(balance.lost.records, 15);
  EXPECT_EQ(balance.delivered.records, 75);
  EXPECT_TRUE(balance.unaccounted().empty());
}

// Completes the end of input from a timer that then throws: close() is what comes next.
struct TickingSink : FakeAsyncSink {
  static inline std::atomic<int> closes{0};
  std::optional<Completion> last;
  bool pending = false;
  std::unique_ptr<Timer> timer;
  explicit TickingSink(StageContext& context) {
    on_write = [this](const std::shared_ptr<const Batch>& batch, Completion completion) {
      if (batch->watermark != kEndOfInput) return completion.done();
      last = std::move(completion);
      pending = true;
    };
    timer = context.every(1ms, [this] {
      if (!std::exchange(pending, false)) return;
      last->done();
      throw std::runtime_error("boom");
    });
  }
  Result<void> close() override {
    ++closes;
    return {};
  }
};

TEST(Sinks, ASinkWhoseTimerThrowsIsClosedAllTheSame) {
  Rig rig;
  rig.source("in", emits(4));
  auto type = *stage_type(StageKind::async_sink);
  type.create = [](const ConfigNode& config, StageContext& context) noexcept {
    return detail::create_guarded(
        StageKind::async_sink,
        [](const ConfigNode&, StageContext& its) -> std::unique_ptr<Stage> {
          return std::make_unique<TickingSink>(its);
        },
        config, context);
  };
  rig.add("out", StageKind::async_sink, {}, {"in"}).stage_type = &type;
  TickingSink::closes = 0;
  EXPECT_EQ(rig.run(), kExitLost) << rig.log->all();
  EXPECT_EQ(TickingSink::closes, 1);
  EXPECT_EQ(rig.log->count("out: close: a timer threw: boom"), 1u) << rig.log->all();
  EXPECT_EQ(rig.engine->balances().at("out").delivered.records, 4);
}

TEST(Sinks, AFatalSinkIsClosedAndRebuiltAndItsBatchKept) {
  Rig rig;
  rig.source("in", emits(20));
  int built = 0, closed = 0, alive = 0;
  std::int64_t next = 1;
  rig.add("out", StageKind::sink,
          [&](StageContext&, const ConfigNode&) -> std::unique_ptr<Stage> {
            if (++built == 2) throw std::runtime_error("broker away");
            struct Counted : FakeSink {
              int& alive;
              explicit Counted(int& a) : alive(a) { EXPECT_EQ(++alive, 1); }  // two never overlap
              ~Counted() override { --alive; }
            };
            auto sink = std::make_unique<Counted>(alive);
            sink->on_write = [&, mine = built](const Batch& batch) -> Result<void> {
              if (mine == 1 && !batch.empty() && batch.records[0].first_seen == 8) return fail("producer is fenced");
              if (mine == 3 && !batch.empty() && batch.records[0].first_seen == 12) throw std::logic_error("bug");
              for (const auto& record : batch) EXPECT_EQ(record.first_seen, next++);
              return {};
            };
            sink->on_close = [&] {
              ++closed;
              return Result<void>{};
            };
            return sink;
          },
          {"in"});
  EXPECT_EQ(rig.run(), kExitOk) << rig.log->all();
  EXPECT_EQ(next, 21);
  EXPECT_EQ(built, 4);
  EXPECT_EQ(closed, 3);
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(rig.log->count("producer is fenced"), 1u);
  EXPECT_EQ(rig.log->count("write() threw: bug"), 1u);
}

// The reader of a pipe has left: what the sink still gets is lost at once, others go on, and it says so once.
TEST(Sinks, ASinkThatIsGoneIsNotRebuiltAndOthersGoOn) {
  Rig rig;
  rig.source("in", emits(20));
  int built = 0, writes = 0, closed = 0, others = 0;
  rig.add("out", StageKind::sink,
          [&](StageContext&, const ConfigNode&) {
            ++built;
            auto sink = std::make_unique<FakeSink>();
            sink->on_write = [&](const Batch& batch) -> Result<void> {
              return ++writes > 3 && !batch.empty() ? Result<void>(gone("write to the pipe: Broken pipe"))
                                                    : Result<void>{};
            };
            sink->on_close = [&]() -> Result<void> {
              ++closed;
              return gone("flush the pipe: Broken pipe");
            };
            return sink;
          },
          {"in"});
  rig.sink("other",
           [&](const Batch& batch) {
             others += static_cast<int>(batch.size());
             return Result<void>{};
           },
           {"in"});
  EXPECT_EQ(rig.run(), kExitLost) << rig.log->all();
  EXPECT_EQ(others, 20);
  EXPECT_EQ(built, 1);
  EXPECT_EQ(writes, 4);
  EXPECT_EQ(closed, 1);
  EXPECT_EQ(rig.log->count("ipe: Broken pipe"), 1u) << rig.log->all();
  EXPECT_EQ(rig.log->count("no sink left"), 0u) << rig.log->all();
  const auto balance = rig.engine->balances().at("out");
  EXPECT_EQ(balance.delivered.records, 3);
  EXPECT_EQ(balance.lost.records, 17);
  EXPECT_TRUE(balance.held.empty() && balance.unaccounted().empty()) << to_string(balance);
  EXPECT_NE(rig.engine->metrics().text().find(
                R"(fffa_stage_dropped_records_total{reason="broken_pipe",stage="out",type="fake"} 17)"),
            std::string::npos)
      << rig.engine->metrics().text();
  EXPECT_EQ(rig.engine->balances().at("other").delivered.records, 20);
}

// A sink that goes on while something is wrong, and one that is built again in between.
TEST(Sinks, WhatAStageSaysOfItselfIsShownUntilItTakesItBackOrGoes) {
  Rig rig;
  enum { nothing, wrong, right, breaks };
  std::atomic<int> next = nothing;  // what becomes of the sink with its next batch
  rig.source("in", [&](Output& out) {
    while (out.wait(1ms)) out.emit(batch_of(1));
    return Result<void>{};
  });
  rig.add("out", StageKind::sink,
          [&](StageContext& context, const ConfigNode&) {
            auto sink = std::make_unique<FakeSink>();
            sink->on_write = [&](const Batch& batch) -> Result<void> {
              if (batch.empty()) return {};
              switch (next.exchange(nothing)) {
                case wrong: context.degraded("the store is away"); break;
                case right: context.degraded({}); break;
                case breaks: return fail("broken");
                default: break;
              }
              return {};
            };
            return sink;
          },
          {"in"});
  rig.start();
  const auto shown = [&] { return rig.engine->health().degraded(); };
  next = wrong;
  EXPECT_TRUE(eventually([&] { return shown().contains("out (itself)"); }));
  next = right;
  EXPECT_TRUE(eventually([&] { return shown().empty(); }));
  next = wrong;
  EXPECT_TRUE(eventually([&] { return shown().contains("out (itself)"); }));
  next = breaks;
  EXPECT_TRUE(eventually([&] { return shown().empty(); })) << "the next stage has said nothing";
  rig.engine->stop();
  EXPECT_EQ(rig.wait(), kExitOk);
}

TEST(Sinks, CloseMayTakeWhatIsLeftOfTheShutdownTimeout) {
  Rig rig;
  rig.pipeline.settings.shutdown_timeout = 1h;
  std::vector<std::chrono::nanoseconds> times;
  std::atomic<int> writes = 0;
  rig.source("in", emits_and_waits(3));
  rig.add("out", StageKind::sink,
          [&](StageContext& context, const ConfigNode&) {
            auto sink = std::make_unique<FakeSink>();
            sink->on_write = [&](const Batch& batch) -> Result<void> {
              return !batch.empty() && ++writes == 2 ? fail("broken") : Result<void>{};
            };
            sink->on_close = [&]() -> Result<void> {
              times.push_back(context.close_time());
              std::this_thread::sleep_for(50ms);
              times.push_back(context.close_time());
              return {};
            };
            return sink;
          },
          {"in"});
  rig.start();
  ASSERT_TRUE(eventually([&] { return writes == 4; }));
  rig.engine->stop();
  EXPECT_EQ(rig.wait(), kExitOk);
  ASSERT_EQ(times.size(), 4u);
  EXPECT_EQ(times[0], 0s) << "it is built again";
  EXPECT_GT(times[2], 30min);
  EXPECT_LE(times[2], 1h);
  EXPECT_LE(times[3], times[2] - 50ms);
}

TEST(Sinks, WhenTheLastSinkIsGoneTheRunEndsByItself) {
  Rig rig;
  rig.pipeline.settings.shutdown_timeout = 1h;
  bool asked_to_stop = false;
  int lost = 0;
  rig.source("in", [&](Output& out) {
    while (out.wait(1ms)) out.emit(batch_of(1), [&](Outcome outcome) { lost += outcome == Outcome::lost; });
    asked_to_stop = out.stopping();
    out.emit(batch_of(5));  // the last read-out
    EXPECT_TRUE(out.settle());
    return Result<void>{};
  });
  rig.sink("out", [](const Batch&) -> Result<void> { return gone("write to the pipe: Broken pipe"); }, {"in"});
  // Of its batches one is delivered while it lets go of the rest, the others are lost with it.
  std::vector<Completion> open;
  rig.add("async", StageKind::async_sink,
          [&](StageContext&, const ConfigNode&) {
            auto sink = std::make_unique<FakeAsyncSink>();
            sink->on_write = [&](const std::shared_ptr<const Batch>&, Completion completion) {
              open.push_back(std::move(completion));
              if (open.size() == 4) open[1].error(gone("the stream is over"));
            };
            sink->on_flush = [&] {
              for (std::size_t i = 0; i < open.size(); ++i)
                if (i == 0)
                  open[i].done();
                else if (i != 1)
                  open[i].error(retry("the stream is over, later"));
            };
            return sink;
          },
          {"in"});
  EXPECT_EQ(rig.run(), kExitLost) << rig.log->all();
  EXPECT_TRUE(asked_to_stop);
  EXPECT_GT(lost, 0);
  EXPECT_EQ(rig.log->count("stopping: there is no sink left"), 1u) << rig.log->all();
  EXPECT_EQ(rig.log->count("the stream is over"), 1u) << rig.log->all();
  EXPECT_EQ(rig.engine->balances().at("async").delivered.records, 1);
  for (const auto& [sink, balance] : rig.engine->balances())
    EXPECT_TRUE(balance.held.empty() && balance.unaccounted().empty()) << sink << ": " << to_string(balance);
}

TEST(Sinks, AnAsyncSinkCompletesInAnyOrderAndForgottenBatchesComeAgain) {
  Rig rig;
  rig.source("in", emits(2000));
  std::mutex mutex;
  std::vector<std::pair<std::shared_ptr<const Batch>, Completion>> open;
  std::atomic<bool> flushed = false, over = false;
  std::size_t most = 0;
  std::map<std::int64_t, int> done;
  rig.add("out", StageKind::async_sink,
          [&](StageContext&, const ConfigNode&) {
            auto sink = std::make_unique<FakeAsyncSink>();
            sink->on_write = [&](std::shared_ptr<const Batch> batch, Completion completion) {
              const std::lock_guard lock(mutex);
              open.emplace_back(std::move(batch), std::move(completion));
              most = std::max(most, open.size());
            };
            sink->on_flush = [&] { flushed = true; };
            return sink;
          },
          {"in"});
  std::thread completer([&] {
    for (unsigned n = 0; !over; std::this_thread::sleep_for(10us)) {
      const std::lock_guard lock(mutex);
      if (open.empty() || (open.size() < 30 && !flushed && n < 3000)) continue;
      const auto at = open.begin() + static_cast<std::ptrdiff_t>(++n * 7 % open.size());
      if (n % 5 == 0) {
        at->second.error(retry("try again"));
      } else if (n % 7 != 0) {  // else it is dropped untold
        for (const auto& record : *at->first) ++done[record.first_seen];
        at->second.done();
      }
      open.erase(at);
    }
  });
  const int code = rig.run();
  over = true;
  completer.join();
  EXPECT_EQ(code, kExitOk) << rig.log->all();
  EXPECT_EQ(done.size(), 2000u);
  for (const auto& [id, times] : done) EXPECT_EQ(times, 1) << id;
  EXPECT_LE(most, 64u);
  EXPECT_GE(most, 30u);
}

// Told to come again at random times, batches come to a sink that is built anew in the order in which they were first:
// it refuses them all at once, the last one for good.
TEST(Sinks, ASinkThatIsBuiltAnewGetsItsBatchesInOrder) {
  Rig rig;
  rig.source("in", emits(40));
  std::vector<std::int64_t> refused, got;
  std::vector<Completion> open;
  int built = 0;
  rig.add("out", StageKind::async_sink,
          [&](StageContext&, const ConfigNode&) {
            auto sink = std::make_unique<FakeAsyncSink>();
            sink->on_write = [&, first = ++built == 1](const std::shared_ptr<const Batch>& batch,
                                                       Completion completion) {
              for (const auto& record : *batch) (first ? refused : got).push_back(record.first_seen);
              if (!first) return completion.done();
              open.push_back(std::move(completion));
              if (refused.size() < 40) return;
              for (auto& one : open) one.error(&one == &open.back() ? fail("the end") : retry("full"));
            };
            return sink;
          },
          {"in"});
  EXPECT_EQ(rig.run(), kExitOk) << rig.log->all();
  EXPECT_EQ(refused.size(), 40u);
  EXPECT_EQ(got, refused);
}

// How long a reload takes that changes a sink with batches in the air, of which the first came back as `first` says.
std::chrono::nanoseconds reload_time(const Result<void>& first, std::chrono::nanoseconds shutdown_timeout) {
  std::mutex mutex;
  std::vector<Completion> air;
  bool land = false;
  std::atomic<int> offered{0};
  Rig rig;
  rig.can_reload();
  rig.pipeline.settings.shutdown_timeout = shutdown_timeout;
  rig.source("in", [](Output& out) {
    for (int i = 0; i < 10; ++i) out.emit(batch_of(1, i + 1, i + 1));
    while (out.wait(1ms)) {
    }
    return Result<void>{};
  });
  rig.add("out", StageKind::async_sink,
          [&](StageContext&, const ConfigNode&) {
            auto stage = std::make_unique<FakeAsyncSink>();
            stage->on_write = [&](const std::shared_ptr<const Batch>&, Completion completion) {
              const std::lock_guard lock(mutex);
              if (offered++ == 0 && !first) return completion.error(first.error());
              if (land) return completion.done();
              air.push_back(std::move(completion));
            };
            return stage;
          },
          {"in"})
      .options = options("old");
  rig.start();
  EXPECT_TRUE(eventually([&] { return offered == (first ? 10 : 11); })) << "all in the air";
  auto next = rig.pipeline;
  next.stages.back().options = options("new");
  const auto start = Monotonic::now();
  rig.reload(next);
  const auto took = Monotonic::now() - start;
  EXPECT_EQ(rig.log->count("reloaded in"), 1U) << rig.log->all();
  EXPECT_TRUE(eventually([&] { return offered == (first ? 20 : 21); })) << "the next one has them all";
  {
    const std::lock_guard lock(mutex);
    land = true;
    for (auto& completion : air) completion.done();
  }
  EXPECT_EQ(rig.stop(), kExitOk);
  return took;
}

TEST(Sinks, AReloadWaitsForWhatIsInTheAirAsLongAsItMayLand) {
  EXPECT_LT(reload_time({}, 300ms), 2s) << "shutdown_timeout";
  const auto in_trouble = reload_time(retry("connect to 192.0.2.1: refused"), 10s);
  EXPECT_GE(in_trouble, 1s);
  EXPECT_LT(in_trouble, 4s) << "a sink in trouble";
}

}  // namespace
}  // namespace fffa::core
