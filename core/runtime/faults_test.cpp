// SPDX-License-Identifier: MIT
// Stages that fail, throw, block and never come back; of sinks sink_node_test.cpp has more.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "engine.h"
#include "fake_stages.h"

namespace fffa::core {
namespace {

using namespace fake;

const auto swallow = [](const Batch&) { return Result<void>{}; };

TEST(Faults, AThrowingEnricherPassesBatchesAndIsLeftOutAfterAWhile) {
  Rig rig;
  rig.options.tuning.broken_enricher = 50ms;
  std::atomic<int> calls = 0;
  std::atomic<bool> broken = true;
  rig.source("in", [&](Output& out) {
    for (int i = 0; i < 500; ++i) out.emit(batch_of(1));
    out.wait(30ms);
    broken = false;
    out.wait(100ms);
    out.emit(batch_of(1));
    return Result<void>{};
  });
  rig.enricher("e",
               [&](Batch& batch) -> Result<void> {
                 ++calls;
                 if (broken && !batch.empty()) throw std::runtime_error("cache is gone");
                 return {};
               },
               {"in"});
  int records = 0;
  rig.sink("out",
           [&](const Batch& batch) {
             records += static_cast<int>(batch.size());
             return Result<void>{};
           },
           {"e"});
  EXPECT_EQ(rig.run(), kExitOk) << rig.log->all();
  EXPECT_EQ(records, 501);
  EXPECT_LT(calls, 100);  // of 501; one more each 50 ms that this takes
  EXPECT_EQ(rig.log->count("enrich() threw: cache is gone: the batch"), 1u);
  EXPECT_EQ(rig.log->count("errors in a row"), 1u);
  EXPECT_EQ(rig.log->count("enriches again"), 1u);
  EXPECT_TRUE(rig.engine->health().degraded().empty());
}

TEST(Faults, WhatAnAggregatorFailsOnIsLostAndCounted) {
  Rig rig;
  int lost = 0, delivered = 0;
  rig.source("in",
             [&](Output& out) {
               for (int i = 0; i < 10; ++i)
                 out.emit(batch_of(3), [&](Outcome o) { ++(o == Outcome::lost ? lost : delivered); });
               EXPECT_TRUE(out.settle());
               return Result<void>{};
             })
      .stamps = false;
  rig.add("sum", StageKind::aggregator,
          [](StageContext&, const ConfigNode&) {
            auto stage = std::make_unique<FakeAggregator>();
            stage->on_add = [n = 0](const Batch& batch, const Ticket& ticket,
                                    Emitter& emitter) mutable -> Result<void> {
              if (++n == 4) throw std::runtime_error("bad batch");
              if (n == 5) return fail("worse batch");
              emitter.emit(batch, {ticket});
              return {};
            };
            return stage;
          },
          {"in"})
      .stamps = true;
  rig.sink("out", swallow, {"sum"});
  EXPECT_EQ(rig.run(), kExitLost);
  EXPECT_EQ(lost, 2);
  EXPECT_EQ(delivered, 8);
  const auto balance = rig.engine->balances().at("out");
  EXPECT_EQ(balance.lost.packets, 12);
  EXPECT_EQ(balance.delivered.packets, 48);
  EXPECT_TRUE(balance.unaccounted().empty()) << to_string(balance);
}

TEST(Faults, ASourceThatFailsEndsAndOthersGoOn) {
  Rig rig;
  rig.source("bad", [](Output& out) -> Result<void> {
    out.emit(batch_of(1));
    throw std::runtime_error("device gone");
  });
  rig.source("good", [](Output& out) {
    out.wait(50ms);
    out.emit(batch_of(1));
    return Result<void>{};
  });
  int records = 0;
  rig.sink("out",
           [&](const Batch& batch) {
             records += static_cast<int>(batch.size());
             return Result<void>{};
           },
           {"bad", "good"});
  EXPECT_EQ(rig.run(), kExitFailed);
  EXPECT_EQ(records, 2);
  EXPECT_EQ(rig.log->count("bad: run() threw: device gone: the source has ended"), 1u);
}

TEST(Faults, WithoutPrivilegeTheRunEndsWithThree) {
  Rig rig;
  rig.add("in", StageKind::source, [](StageContext&, const ConfigNode&) {
    auto stage = std::make_unique<FakeSource>();
    stage->on_start = []() -> Result<void> { return unavailable("load the program: CAP_BPF is missing"); };
    stage->on_run = [](Output&) -> Result<void> {
      ADD_FAILURE() << "run() after a failed start()";
      return {};
    };
    return stage;
  });
  bool closed = false;
  rig.add("out", StageKind::sink,
          [&](StageContext&, const ConfigNode&) {
            auto stage = std::make_unique<FakeSink>();
            stage->on_write = swallow;
            stage->on_close = [&] {
              closed = true;
              return Result<void>{};
            };
            return stage;
          },
          {"in"});
  EXPECT_EQ(rig.run(), kExitUnavailable);
  EXPECT_FALSE(closed);  // it was never opened
  EXPECT_EQ(rig.log->count("in (fake): load the program: CAP_BPF is missing"), 1u);
}

// Only a stage knows whether EACCES is a missing privilege, or a folder that belongs to somebody else.
TEST(Faults, AnErrnoAloneIsNoMissingPrivilege) {
  for (const int error : {EPERM, EACCES}) {
    Rig rig;
    rig.source("in", [=](Output&) -> Result<void> { return system_error("read /var/spool/x", error); });
    rig.sink("out", swallow, {"in"});
    EXPECT_EQ(rig.run(), kExitFailed);
    Rig other;
    other.source("in", emits(1));
    other.add("out", StageKind::sink,
              [=](StageContext&, const ConfigNode&) -> std::unique_ptr<Stage> {
                throw Failure(system_error("create /var/spool/x", error));
              },
              {"in"});
    EXPECT_EQ(other.run(), kExitFailed);
  }
}

TEST(Faults, AStageThatCannotBeBuiltEndsTheRunBeforeAnySourceStarts) {
  Rig rig;
  bool started = false;
  rig.add("in", StageKind::source, [&](StageContext&, const ConfigNode&) {
    auto stage = std::make_unique<FakeSource>();
    stage->on_start = [&] {
      started = true;
      return Result<void>{};
    };
    stage->on_run = emits(1);
    return stage;
  });
  rig.add(
      "out", StageKind::sink,
      [](StageContext&, const ConfigNode&) -> std::unique_ptr<Stage> { throw std::runtime_error("no such directory"); },
      {"in"});
  EXPECT_EQ(rig.run(), kExitFailed);
  EXPECT_FALSE(started);
  EXPECT_EQ(rig.log->count("out (fake): the constructor threw: no such directory"), 1u);
}

TEST(Faults, AtTheDeadlineTheRestIsHeldAndTheSourceIsTold) {
  Rig rig;
  rig.pipeline.settings.shutdown_timeout = 200ms;
  std::map<Outcome, int> outcomes;
  std::atomic<int> emitted = 0;
  rig.source("in", [&](Output& out) {
    while (!out.stopping()) {
      if (!out.emit(batch_of(5), [&](Outcome o) { ++outcomes[o]; })) break;
      ++emitted;
      out.wait(1ms);
    }
    EXPECT_FALSE(out.settle());
    return Result<void>{};
  });
  std::atomic<int> written = 0;
  rig.sink("out",
           [&](const Batch&) -> Result<void> {
             if (written >= 3) return retry("disk full");
             ++written;
             return {};
           },
           {"in"});
  rig.start();
  ASSERT_TRUE(eventually([&] { return emitted > 20; }));
  const auto start = Monotonic::now();
  EXPECT_EQ(rig.stop(), kExitLost);
  EXPECT_LT(Monotonic::now() - start, 5s);
  EXPECT_EQ(outcomes[Outcome::delivered], 3);
  const auto balance = rig.engine->balances().at("out");
  EXPECT_EQ(balance.delivered.records, 15);
  EXPECT_EQ(balance.held.records, 5 * (emitted - 3));
  EXPECT_TRUE(balance.unaccounted().empty()) << to_string(balance);
  EXPECT_EQ(rig.log->count("shutdown timeout"), 1u);
}

// What a sink holds is no loss where every source before it reads it again, and what such a source could not emit
// stays with it.
TEST(Faults, WhatIsReadAgainIsNoLoss) {
  for (const bool alone : {true, false}) {
    Rig rig;
    rig.pipeline.settings.shutdown_timeout = 100ms;
    std::atomic<int> emitted{0};
    std::set<Outcome> outcomes;
    rig.source("in",
               [&](Output& out) {
                 do ++emitted;
                 while (out.emit(batch_of(5), [&](Outcome outcome) { outcomes.insert(outcome); }));
                 return Result<void>{};
               })
        .stage_type = source_type<&StageType::reads_again>();
    if (!alone)
      rig.source("once", [](Output& out) {
        out.emit(batch_of(1));
        while (out.wait(1ms)) {
        }
        return Result<void>{};
      });
    rig.sink(
        "out", [](const Batch&) { return retry("away"); },
        alone ? std::vector<std::string>{"in"} : std::vector<std::string>{"in", "once"}, 20);
    rig.start();
    ASSERT_TRUE(eventually([&] { return rig.log->count("away") == 1; }));
    EXPECT_EQ(rig.stop(), alone ? kExitOk : kExitLost) << rig.log->all();
    EXPECT_GT(emitted, 1);
    EXPECT_EQ(outcomes, std::set{Outcome::held});
    const auto balance = rig.engine->balances().at("out");
    EXPECT_EQ(balance.seen.records, 5 * (emitted - 1) + !alone) << "the one that was refused is not seen";
    EXPECT_EQ(balance.held, balance.seen);
    EXPECT_EQ(balance.again, alone ? balance.held : Tally{});
    EXPECT_TRUE(balance.unaccounted().empty()) << to_string(balance);
    EXPECT_EQ(rig.log->count("; is read again from the source: "), alone ? 1u : 0u) << rig.log->all();
  }
}

// As a source does that is in the midst of a read-out: what it goes on to tell is in the account of every sink, also
// behind an aggregator, though nobody gets it.
TEST(Faults, WhatIsEmittedPastTheDeadlineIsLostAtEverySink) {
  Rig rig;
  rig.pipeline.settings.shutdown_timeout = 0ns;
  int emitted = 0, refused = 0, lost = 0;
  std::atomic<bool> blocked = false;
  rig.source("in", [&](Output& out) {
    const auto emit = [&](Batch batch) {
      ++emitted;
      const int before = lost;
      const bool taken = out.emit(std::move(batch), [&](Outcome o) { lost += o == Outcome::lost; });
      if (taken) return;
      ++refused;
      EXPECT_EQ(lost, before + 1) << "it is told inside emit()";
    };
    emit(batch_of(0));  // a read-out without news
    while (out.ready()) emit(batch_of(5));
    blocked = true;
    for (int i = 0; i < 3; ++i) emit(batch_of(5));
    auto last = batch_of(5);
    const auto batches = static_cast<std::uint64_t>(emitted);  // with this one, without the empty one
    last.interfaces.emplace_back().seen = {10 * batches + 7, 500 * batches + 70};
    last.interfaces[0].filtered = {4, 40};
    last.interfaces[0].lost = {3, 30};
    emit(std::move(last));
    return Result<void>{};
  });
  rig.sink(
      "raw", [](const Batch&) -> Result<void> { return retry("disk full"); }, {"in"}, 20);
  rig.add("sum", StageKind::aggregator,
          [](StageContext&, const ConfigNode&) {
            auto stage = std::make_unique<FakeAggregator>();
            stage->on_add = [](const Batch&, const Ticket&, Emitter&) { return Result<void>{}; };  // its window is open
            return stage;
          },
          {"in"});
  rig.sink("sums", swallow, {"sum"});
  rig.start();
  ASSERT_TRUE(eventually([&] { return blocked.load(); }));
  EXPECT_EQ(rig.stop(), kExitLost);
  EXPECT_EQ(refused, 4);
  const int taken = emitted - 1 - refused;
  const Tally seen{0, 10 * (emitted - 1) + 7, 500 * (emitted - 1) + 70};
  for (const auto& [sink, balance] : rig.engine->balances()) {
    const bool raw = sink == "raw";
    EXPECT_EQ(balance.seen, (Tally{raw ? 5 * (emitted - 1) : 0, seen.packets, seen.bytes})) << sink;
    EXPECT_EQ(balance.lost, (Tally{raw ? 5 * refused : 0, 10 * refused + 3, 500 * refused + 30})) << sink;
    EXPECT_EQ(balance.held, (Tally{raw ? 5 * taken : 0, 10 * taken, 500 * taken})) << sink;
    EXPECT_TRUE(balance.unaccounted().empty()) << to_string(balance);
  }
  EXPECT_NE(rig.engine->metrics().text().find(
                R"(fffa_stage_dropped_records_total{reason="shutdown",stage="in",type="fake"} )" +
                std::to_string(5 * refused)),
            std::string::npos);
}

TEST(Faults, ASinkThatNeverReturnsIsNamedAndLeftBehind) {
  static std::atomic<bool> release = false;
  static std::atomic<bool> returned = false;
  {
    Rig rig;
    rig.pipeline.settings.shutdown_timeout = 100ms;
    rig.options.tuning.slow_call = 50ms;
    std::atomic<int> other = 0;
    rig.source("in", [](Output& out) {
      while (out.wait(1ms)) out.emit(batch_of(1));
      return Result<void>{};
    });
    rig.sink("stuck",
             [](const Batch&) {
               while (!release) std::this_thread::sleep_for(1ms);
               returned = true;
               return Result<void>{};
             },
             {"in"});
    rig.sink("other",
             [&](const Batch&) {
               ++other;
               return Result<void>{};
             },
             {"in"});
    rig.start();
    ASSERT_TRUE(eventually([&] { return rig.log->count("stuck: write() has not returned") == 1; }));
    EXPECT_TRUE(eventually([&] { return rig.engine->health().degraded().contains("stuck (slow call)"); }));
    const int before = other;
    ASSERT_TRUE(eventually([&] { return other > before + 10; }));  // its sibling goes on
    EXPECT_EQ(rig.stop(), kExitLost);
    EXPECT_TRUE(rig.engine->left_behind());
    EXPECT_EQ(rig.log->count("stuck: write() does not return: left behind"), 1u);
    EXPECT_EQ(rig.log->count("has not returned"), 1u);
    EXPECT_TRUE(rig.engine->balances().at("stuck").unaccounted().empty());
  }
  release = true;
  EXPECT_TRUE(eventually([] { return returned.load(); }));
}

TEST(Faults, AnEnricherThatNeverReturnsDoesNotStopTheEnd) {
  static std::atomic<bool> release = false;
  static std::atomic<bool> returned = false;
  {
    Rig rig;
    rig.pipeline.settings.shutdown_timeout = 100ms;
    rig.source("in", emits(10));
    rig.enricher("stuck",
                 [](Batch&) {
                   while (!release) std::this_thread::sleep_for(1ms);
                   returned = true;
                   return Result<void>{};
                 },
                 {"in"});
    int fine = 0;
    rig.enricher("fine", [](Batch&) { return Result<void>{}; }, {"in"});
    rig.sink("a", swallow, {"stuck"});
    rig.sink("b",
             [&](const Batch& batch) {
               fine += static_cast<int>(batch.size());
               return Result<void>{};
             },
             {"fine"});
    rig.start();
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(rig.stop(), kExitLost);
    EXPECT_EQ(fine, 10);
    EXPECT_EQ(rig.engine->balances().at("a").held.records, 10);
    EXPECT_EQ(rig.log->count("stuck: enrich() does not return: left behind"), 1u);
  }
  release = true;
  EXPECT_TRUE(eventually([] { return returned.load(); }));
}

// In a process of its own: signals go to all of it.
int in_child(const std::function<int()>& body, const std::function<void(pid_t)>& meanwhile) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  meanwhile(child);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int run_until_signalled(const std::string& ready_file, bool stuck) {
  Rig rig;
  rig.options.handle_signals = true;
  rig.options.drop_privileges = true;
  rig.source("in", emits_and_waits(1));
  rig.sink("out",
           [&](const Batch& batch) {
             if (!batch.empty()) {
               std::ofstream to(ready_file);
#if defined(__SANITIZE_THREAD__)  // it has a thread of its own
               to << std::ifstream("/proc/thread-self/status").rdbuf();
#else
      for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task"))
        to << std::ifstream(thread.path() / "status").rdbuf();
#endif
               to << "complete";
             }
             while (stuck) std::this_thread::sleep_for(1ms);
             return Result<void>{};
           },
           {"in"});
  const int code = rig.run();
  _exit(code);
}

std::string wait_for_file(const std::string& path) {
  std::string text;
  eventually([&] {
    std::ifstream in(path);
    text.assign(std::istreambuf_iterator<char>(in), {});
    return text.ends_with("complete");
  });
  return text;
}

#if !defined(__SANITIZE_THREAD__)  // it needs threads itself
TEST(Faults, WithoutThreadsTheRunEndsWithOne) {
  const auto body = [] {
    const rlimit none{0, 0};  // root may make threads all the same
    if (setrlimit(RLIMIT_NPROC, &none) != 0 || (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)) return 99;
    Rig rig;
    rig.source("in", emits(1));
    rig.sink("out", swallow, {"in"});
    const int code = rig.run();
    return rig.log->count("make a thread") == 1 ? code : 98;
  };
  EXPECT_EQ(in_child(body, [](pid_t) {}), kExitFailed);
}
#endif

TEST(Faults, SigtermStopsAndPrivilegesAreDropped) {
  const std::string file = testing::TempDir() + "fffa_runtime_status." + std::to_string(getpid());
  const int code = in_child([&] { return run_until_signalled(file, false); },
                            [&](pid_t child) {
                              const auto status = wait_for_file(file);
                              EXPECT_NE(status.find("NoNewPrivs:\t1"), std::string::npos) << status;
                              // CAP_DAC_OVERRIDE, CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF, in every thread
                              std::size_t threads = 0;
                              for (auto at = status.find("CapEff:"); at != std::string::npos;
                                   at = status.find("CapEff:", at + 1), ++threads)
                                EXPECT_EQ(std::stoull(status.substr(at + 8, 16), nullptr, 16) & ~0xc000001002ull, 0u)
                                    << status.substr(at, 24);
                              EXPECT_GT(threads, 0u);
                              EXPECT_EQ(status.find("NoNewPrivs:\t0"), std::string::npos);
                              kill(child, SIGTERM);
                            });
  EXPECT_EQ(code, kExitOk);
  unlink(file.c_str());
}

TEST(Faults, TheSecondSignalLeavesAtOnce) {
  const std::string file = testing::TempDir() + "fffa_runtime_second." + std::to_string(getpid());
  const auto start = Monotonic::now();
  const int code = in_child([&] { return run_until_signalled(file, true); },
                            [&](pid_t child) {
                              EXPECT_FALSE(wait_for_file(file).empty());
                              kill(child, SIGTERM);
                              std::this_thread::sleep_for(50ms);
                              kill(child, SIGTERM);  // the same one, sent to the group as well
                              std::this_thread::sleep_for(1s);
                              kill(child, SIGINT);
                            });
  EXPECT_EQ(code, 128 + SIGINT);
  EXPECT_LT(Monotonic::now() - start, 5s);
  unlink(file.c_str());
}

}  // namespace
}  // namespace fffa::core
