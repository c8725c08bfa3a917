// SPDX-License-Identifier: MIT
#include "reload.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <set>
#include <string>

#include "engine.h"
#include "fake_stages.h"

namespace fffa::core {
namespace {

using namespace fake;

// Passes everything on and counts what it holds back: every other batch, until the next one.
struct Holder : FakeAggregator {
  std::vector<std::pair<Batch, Ticket>> held;
  explicit Holder(std::atomic<int>& built) {
    ++built;
    on_add = [this](const Batch& batch, const Ticket& ticket, Emitter& emitter) {
      held.emplace_back(batch, ticket);
      if (held.size() < 5 && batch.watermark != kEndOfInput) return Result<void>{};
      for (auto& [kept, its] : std::exchange(held, {})) emitter.emit(std::move(kept), {its});
      return Result<void>{};
    };
  }
};

// source -> enricher -> aggregator -> two sinks; the enricher writes its option into every record.
struct ReloadTest : testing::Test {
  Rig rig;
  std::atomic<std::int64_t> emitted{0};
  std::atomic<int> acknowledged{0}, bad_outcomes{0}, batches{0}, unsettled{0};
  std::atomic<int> enrichers{0}, holders{0}, sinks{0};
  std::atomic<int> alive_sinks{0};
  std::mutex mutex;
  std::set<std::int64_t> got, other;
  std::map<std::string, int> marks;
  int duplicates = 0;
  std::atomic<bool> failing{false}, leaving{false}, build_fails{false};

  struct Counted : FakeSink {
    std::atomic<int>& alive;
    explicit Counted(std::atomic<int>& a) : alive(a) { EXPECT_EQ(++alive, 1); }  // owners of one resource never overlap
    ~Counted() override { --alive; }
  };

  ReloadTest() {
    rig.can_reload();
    rig.pipeline.settings.shutdown_timeout = 2s;
    rig.source("in",
               [this](Output& out) {
                 while (out.wait(100us)) {
                   const auto first = emitted.fetch_add(3) + 1;
                   ++batches;
                   out.emit(batch_of(3, first, first), [this](Outcome o) {
                     ++acknowledged;
                     bad_outcomes += o != Outcome::delivered;
                   });
                 }
                 unsettled += !out.settle();
                 return Result<void>{};
               })
        .stamps = false;
    rig.add(
           "mark", StageKind::enricher,
           [this](StageContext&, const ConfigNode& config) {
             if (build_fails) throw std::runtime_error("cannot mark");
             ++enrichers;
             auto stage = std::make_unique<FakeEnricher>();
             stage->on_enrich =
                 [value = static_cast<std::uint32_t>(std::stoul(config.find("value")->value))](Batch& batch) {
                   for (auto& record : batch) record.ifindex = value;
                   return Result<void>{};
                 };
             return stage;
           },
           {"in"}, 32)
        .options = options("1");
    auto& hold = rig.add(
        "hold", StageKind::aggregator,
        [this](StageContext&, const ConfigNode&) { return std::make_unique<Holder>(holders); }, {"mark"}, 32);
    hold.options = options("1");
    hold.stamps = true;
    rig.add(
           "out", StageKind::sink,
           [this](StageContext&, const ConfigNode&) {
             ++sinks;
             auto sink = std::make_unique<Counted>(alive_sinks);
             sink->on_write = [this](const Batch& batch) -> Result<void> {
               if (failing) return retry("away");
               if (leaving.exchange(false)) return gone("the reader has left");
               const std::lock_guard lock(mutex);
               for (const auto& record : batch) {
                 duplicates += !got.insert(record.first_seen).second;
                 ++marks[std::to_string(record.ifindex)];
               }
               return {};
             };
             return sink;
           },
           {"hold"}, 32)
        .options = options("1", "out");
    rig.sink(
        "kept",
        [this](const Batch& batch) {
          const std::lock_guard lock(mutex);
          for (const auto& record : batch) other.insert(record.first_seen);
          return Result<void>{};
        },
        {"hold"}, 32);
  }
  void begin() {
    rig.start();
    ASSERT_TRUE(eventually([this] { return emitted > 300; }));
  }
  void more() {
    const auto before = emitted.load();
    ASSERT_TRUE(eventually([&] { return emitted > before + 300; })) << rig.log->all();
  }
  void end(int code = kExitOk) {
    EXPECT_EQ(rig.stop(), code) << rig.log->all();
    EXPECT_EQ(got.size(), static_cast<std::size_t>(emitted));
    EXPECT_EQ(other.size(), static_cast<std::size_t>(emitted));
    EXPECT_EQ(duplicates, 0);
    if (unsettled == 0) {
      EXPECT_EQ(acknowledged, batches);
    }
    EXPECT_EQ(bad_outcomes, 0);
    for (const auto& [id, balance] : rig.engine->balances())
      EXPECT_TRUE(balance.unaccounted().empty() && balance.complete()) << id << ": " << to_string(balance);
  }
  // The source from now on, as `change` leaves it.
  void change_source(std::function<void(FakeSource&)> change) {
    factories()["in"] = [make = factories().at("in"), change = std::move(change)](StageContext& context,
                                                                                  const ConfigNode& config) {
      auto stage = make(context, config);
      change(static_cast<FakeSource&>(*stage));
      return stage;
    };
  }
  void break_source(std::atomic<bool>& start_fails) {
    change_source([&](FakeSource& source) {
      source.on_start = [&]() -> Result<void> { return start_fails ? Result<void>(fail("no start")) : Result<void>{}; };
    });
    begin();
    start_fails = true;
    rig.reload(with("in", "2"));
    EXPECT_EQ(rig.log->count("in: the old stage cannot be built again, it is tried again: in (fake): no start"), 1u)
        << rig.log->all();
    EXPECT_TRUE(rig.engine->health().degraded().contains("in"));
  }
  // Sink "out" of another pipeline.
  static void counting_sink(Rig& other, std::atomic<int>& written, std::atomic<int>& closed, const std::string& input) {
    other.add("out", StageKind::sink,
              [&](StageContext&, const ConfigNode&) {
                auto sink = std::make_unique<FakeSink>();
                sink->on_write = [&](const Batch& batch) {
                  written += static_cast<int>(batch.size());
                  return Result<void>{};
                };
                sink->on_close = [&] {
                  ++closed;
                  return Result<void>{};
                };
                return sink;
              },
              {input});
  }
  Pipeline with(const std::string& id, const std::string& value) {
    Pipeline next = rig.pipeline;
    auto& now = next.stages[rig.index(id)].options;
    const auto* resource = now.find("resource");
    now = options(value, resource ? resource->value : "");
    return next;
  }
  // A pipeline with one more sink.
  static Pipeline with_sink(Pipeline next, const std::string& id, const Factory& factory, std::size_t from) {
    factories()[id] = factory;
    StageSpec sink;
    sink.id = id;
    sink.kind = StageKind::sink;
    sink.type = "fake";
    sink.stage_type = stage_type(StageKind::sink);
    sink.inputs.push_back({from, OnFull::block, 32, {}});
    next.stages.push_back(sink);
    return next;
  }
  // Its successor waits until it has gone.
  void alone(const std::string& id) { rig.pipeline.stages[rig.index(id)].options = options("1", id); }
};

TEST_F(ReloadTest, ChangesAnEnricherUnderTrafficAndLosesNothing) {
  begin();
  for (int i = 2; i <= 10; ++i) {
    rig.reload(with("mark", std::to_string(i)));
    more();
  }
  EXPECT_EQ(enrichers, 10);
  EXPECT_EQ(holders, 1);
  EXPECT_EQ(sinks, 1);
  end();
  EXPECT_EQ(unsettled, 0);
  EXPECT_EQ(marks.size(), 10u);
  EXPECT_EQ(rig.log->count("reloaded in"), 9u);
  EXPECT_EQ(rig.log->count("nothing was watched"), 0u);
}

TEST_F(ReloadTest, AChangedAggregatorPutsOutWhatItHolds) {
  begin();
  for (int i = 2; i <= 10; ++i) {
    rig.reload(with("hold", std::to_string(i)));
    more();
  }
  EXPECT_EQ(holders, 10);
  EXPECT_EQ(enrichers, 1);
  end();
}

TEST_F(ReloadTest, AChangedSourceReadsOutAndItsSuccessorGoesOn) {
  begin();
  for (int i = 2; i <= 5; ++i) {
    rig.reload(with("in", std::to_string(i)));
    EXPECT_LE(unsettled, i - 1);  // what the aggregator held was not waited for
    more();
  }
  EXPECT_EQ(rig.log->count("in: rebuilt by the reload: for up to "), 4u) << rig.log->all();
  end();
}

TEST_F(ReloadTest, AFailingSinkIsReplacedAndItsBatchesWaitForTheNext) {
  begin();
  failing = true;
  ASSERT_TRUE(eventually([this] { return rig.log->count("out: away") == 1; }));
  std::this_thread::sleep_for(20ms);
  rig.reload(with("out", "2"));
  failing = false;
  EXPECT_EQ(sinks, 2);
  more();
  end();
}

TEST_F(ReloadTest, ASinkThatIsGoneIsBuiltAnew) {
  begin();
  leaving = true;
  ASSERT_TRUE(eventually([this] { return rig.log->count("out: the reader has left") == 1; }));
  EXPECT_TRUE(eventually([this] { return alive_sinks == 0; }));
  rig.reload(with("out", "2"));
  EXPECT_EQ(sinks, 2);
  const auto before = rig.engine->balances().at("out").delivered.records;
  EXPECT_TRUE(eventually([&] { return rig.engine->balances().at("out").delivered.records > before + 100; }));
  EXPECT_EQ(rig.stop(), kExitLost) << rig.log->all();
  EXPECT_TRUE(rig.engine->balances().at("out").unaccounted().empty());
  EXPECT_TRUE(rig.engine->balances().at("kept").complete());
}

TEST_F(ReloadTest, WhatCannotBeBuiltLeavesTheOldUntouched) {
  std::atomic<int> runs{0};
  change_source([&](FakeSource& source) {
    source.on_run = [&, run = source.on_run](Output& out) {
      ++runs;
      return run(out);
    };
  });
  begin();
  Pipeline next = rig.pipeline;
  for (const auto* id : {"in", "mark", "hold", "out"})
    next.stages[rig.index(id)].options = with(id, "2").stages[rig.index(id)].options;
  const auto fails = [](StageContext&, const ConfigNode&) -> std::unique_ptr<Stage> { throw Failure(fail("no disk")); };
  rig.reload(with_sink(next, "extra", fails, rig.index("hold")));
  EXPECT_EQ(rig.log->count("not reloaded, the old pipeline goes on: extra (fake): no disk"), 1u) << rig.log->all();
  more();
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(sinks, 1);
  end();
  EXPECT_EQ(unsettled, 0);
  EXPECT_EQ(marks.size(), 1u);
}

TEST_F(ReloadTest, ANewSourceThatDoesNotStartLeavesTheOldUntouched) {
  begin();
  Pipeline next = with("out", "2");
  StageSpec extra = next.stages[rig.index("in")];
  extra.id = "extra";
  factories()["extra"] = [](StageContext&, const ConfigNode&) {
    auto source = std::make_unique<FakeSource>();
    source->on_start = []() -> Result<void> { return fail("no such file"); };
    return source;
  };
  next.stages.insert(next.stages.begin(), extra);
  for (auto& stage : next.stages)
    for (auto& input : stage.inputs) ++input.from;
  next.stages[rig.index("mark") + 1].inputs.push_back({0, OnFull::block, 32, {}});
  rig.reload(next);
  EXPECT_EQ(rig.log->count("not reloaded, the old pipeline goes on: extra (fake): no such file"), 1u) << rig.log->all();
  EXPECT_EQ(sinks, 1);
  more();
  end();
}

TEST_F(ReloadTest, WhatASuccessorPostsWaitsForIt) {
  std::atomic<int> ran{0}, built{0};
  std::atomic<bool> early{false};
  factories()["mark"] = [&, make = factories().at("mark")](StageContext& context, const ConfigNode& config) {
    auto stage = make(context, config);
    context.post([&] { ++ran; });
    if (built++ > 0) {
      std::this_thread::sleep_for(20ms);  // the strand goes on meanwhile
      early = ran != 1;
    }
    return stage;
  };
  begin();
  ASSERT_TRUE(eventually([&] { return ran == 1; }));
  rig.reload(with("mark", "2"));
  EXPECT_TRUE(eventually([&] { return ran == 2; })) << rig.log->all();
  EXPECT_FALSE(early);
  end();
}

TEST_F(ReloadTest, TheStateDirectoryHasOneOwner) {
  std::atomic<int> alive{0}, most{0};
  struct Owner : Holder {
    std::atomic<int>& alive;
    Owner(std::atomic<int>& built, std::atomic<int>& a) : Holder(built), alive(a) {}
    ~Owner() override { --alive; }
  };
  const auto root = std::filesystem::temp_directory_path() / ("reload_test." + std::to_string(getpid()));
  rig.options.state_root = root;
  factories()["hold"] = [&](StageContext& context, const ConfigNode&) {
    EXPECT_TRUE(context.state_directory().ok());
    most = std::max(most.load(), ++alive);
    return std::make_unique<Owner>(holders, alive);
  };
  begin();
  rig.reload(with("hold", "2"));
  EXPECT_EQ(holders, 2);
  more();
  end();
  EXPECT_EQ(most, 1);
  std::filesystem::remove_all(root);
}

TEST_F(ReloadTest, WhatHadToWaitAndCannotBeBuiltBringsTheOldBack) {
  alone("mark");
  begin();
  Pipeline next = with("mark", "no number");
  next.stages[rig.index("in")].options = options("2");
  next.stages[rig.index("out")].options = options("2", "out");
  rig.reload(next);
  EXPECT_EQ(rig.log->count("not reloaded, the old pipeline goes on: mark (fake): the constructor threw: stoul"), 1u)
      << rig.log->all();
  EXPECT_TRUE(rig.engine->health().degraded().contains("reload"));
  EXPECT_EQ(rig.log->count("in: rebuilt by the reload: for up to "), 1u);
  EXPECT_EQ(sinks, 3);  // the first, the new one that went again, the old one built again
  more();
  end();
  EXPECT_EQ(marks.size(), 1u);
}

TEST_F(ReloadTest, WhatCannotBeRebuiltEitherIsTriedAgain) {
  alone("mark");
  begin();
  build_fails = true;
  rig.reload(with("mark", "2"));
  EXPECT_EQ(rig.log->count("the old stage cannot be built again"), 1u) << rig.log->all();
  build_fails = false;
  ASSERT_TRUE(eventually([this] { return enrichers == 2; }, 20s));
  more();
  end();
}

TEST_F(ReloadTest, WhatARemovedSinkHadLostIsNotForgotten) {
  rig.sink("picky", [](const Batch& batch) { return batch.empty() ? Result<void>{} : reject("no"); }, {"in"})
      .on_reject = OnReject::drop;
  begin();
  ASSERT_TRUE(eventually([this] { return rig.engine->balances().at("picky").lost.records > 0; }));
  auto next = rig.pipeline;
  next.stages.pop_back();
  rig.reload(next);
  EXPECT_EQ(rig.log->count("picky: removed: seen "), 1u) << rig.log->all();
  more();
  EXPECT_EQ(rig.stop(), kExitLost);
}

TEST_F(ReloadTest, ASinkThatComesBackLaterIsNotDegradedAnyMore) {
  alone("out");
  begin();
  factories()["out"] = [make = factories().at("out"), tries = 0](StageContext& context,
                                                                 const ConfigNode& config) mutable {
    if (++tries <= 2) throw Failure(fail("no disk"));
    return make(context, config);
  };
  rig.reload(with("out", "2"));
  EXPECT_EQ(rig.log->count("out: the old stage cannot be built again"), 1u) << rig.log->all();
  EXPECT_TRUE(eventually([this] { return !rig.engine->health().degraded().contains("out"); }));
  more();
  end();
}

TEST_F(ReloadTest, ASourceThatDoesNotStartAgainIsTriedAgain) {
  std::atomic<bool> start_fails{false};
  break_source(start_fails);
  start_fails = false;
  more();
  EXPECT_FALSE(rig.engine->health().degraded().contains("in"));
  EXPECT_NE(rig.engine->metrics().text().find("fffa_stage_rebuilds_total{stage=\"in\""), std::string::npos);
  end();
}

TEST_F(ReloadTest, AStopWhileASourceIsBrokenPutsOutWhatAggregatorsHold) {
  std::atomic<bool> start_fails{false};
  break_source(start_fails);
  end(kExitFailed);
}

TEST_F(ReloadTest, ASourceThatStopsTooLateIsBuiltAgain) {
  rig.pipeline.settings.shutdown_timeout = 300ms;
  std::atomic<bool> slow{true};
  change_source([&](FakeSource& source) {
    source.on_run = [&slow, run = source.on_run](Output& out) {
      auto result = run(out);
      if (slow) std::this_thread::sleep_for(800ms);
      return result;
    };
  });
  begin();
  rig.reload(with("in", "2"));
  slow = false;
  EXPECT_EQ(rig.log->count("in (fake): does not stop"), 1u) << rig.log->all();
  more();
  end();
}

TEST_F(ReloadTest, TheLossOfTheLastLiveInputEndsTheRun) {
  Rig two;
  two.can_reload();
  std::atomic<int> written{0}, closed{0};
  two.source("replay", emits(1));
  two.source("live", emits_and_waits(0));
  two.add("hold", StageKind::aggregator,
          [this](StageContext&, const ConfigNode&) { return std::make_unique<Holder>(holders); }, {"replay", "live"});
  counting_sink(two, written, closed, "hold");
  two.start();
  std::this_thread::sleep_for(100ms);  // the end of the replay is taken
  Pipeline next = two.pipeline;
  next.stages.erase(next.stages.begin() + 1);
  next.stages[1].inputs.pop_back();
  next.stages[2].inputs[0].from = 1;
  two.reload(next);
  EXPECT_TRUE(eventually([&] { return closed == 1; })) << two.log->all();
  EXPECT_EQ(two.wait(), kExitOk) << two.log->all();
  EXPECT_EQ(written, 1);
}

TEST_F(ReloadTest, ASourceThatBeginsAnewIsReadWhereTheOldOnesReadersHaveEnded) {
  Rig two;
  two.can_reload();
  std::atomic<int> written{0}, closed{0};
  two.source("replay", emits(1));
  two.source("live", emits_and_waits(0));
  two.enricher("pass", [](Batch&) { return Result<void>{}; }, {"replay"});
  counting_sink(two, written, closed, "pass");
  two.sink("other", [](const Batch&) { return Result<void>{}; }, {"live"});
  two.start();
  ASSERT_TRUE(eventually([&] { return closed == 1; }));
  Pipeline next = two.pipeline;
  next.stages[0].options = options("2");
  two.reload(next);
  EXPECT_TRUE(eventually([&] { return closed == 2; })) << two.log->all();
  EXPECT_EQ(written, 2);
  EXPECT_EQ(two.stop(), kExitOk) << two.log->all();
  EXPECT_TRUE(two.engine->balances().at("out").complete());
}

TEST_F(ReloadTest, ARemovedSinkThatCannotBeClosedIsALoss) {
  Pipeline without = rig.pipeline;
  rig.add("extra", StageKind::sink,
          [](StageContext&, const ConfigNode&) {
            auto sink = std::make_unique<FakeSink>();
            sink->on_write = [](const Batch&) { return Result<void>{}; };
            sink->on_close = []() -> Result<void> { return fail("disk full"); };
            return sink;
          },
          {"hold"});
  begin();
  rig.reload(without);
  EXPECT_EQ(rig.log->count("extra: close: disk full"), 1u) << rig.log->all();
  end(kExitLost);
}

TEST_F(ReloadTest, StagesComeAndGo) {
  begin();
  Pipeline next = rig.pipeline;
  StageSpec extra = next.stages[rig.index("kept")];
  extra.id = "extra";
  std::set<std::int64_t> seen_by_extra;
  factories()["extra"] = [&](StageContext&, const ConfigNode&) {
    auto sink = std::make_unique<FakeSink>();
    sink->on_write = [&](const Batch& batch) {
      for (const auto& record : batch) seen_by_extra.insert(record.first_seen);
      return Result<void>{};
    };
    return sink;
  };
  next.stages.push_back(extra);
  rig.reload(next);
  more();
  EXPECT_TRUE(rig.engine->balances().contains("extra"));
  rig.reload(rig.pipeline);
  EXPECT_FALSE(rig.engine->balances().contains("extra"));
  EXPECT_EQ(rig.log->count("extra: removed: seen"), 1u) << rig.log->all();
  EXPECT_EQ(rig.log->count("unaccounted"), 0u) << rig.log->all();
  EXPECT_GT(seen_by_extra.size(), 200u);
  more();
  end();
}

TEST_F(ReloadTest, ASinkThatDoesNotDeliverIsNotRemoved) {
  rig.pipeline.settings.shutdown_timeout = 300ms;
  begin();
  failing = true;
  ASSERT_TRUE(eventually([this] { return rig.log->count("out: away") == 1; }));
  Pipeline next = rig.pipeline;
  next.stages.erase(next.stages.begin() + static_cast<std::ptrdiff_t>(rig.index("out")));
  rig.reload(next);
  EXPECT_EQ(rig.log->count("out (fake): is to be removed and does not deliver"), 1u) << rig.log->all();
  failing = false;
  more();
  end();
}

#ifndef __SANITIZE_ADDRESS__  // in that build UBSan looks at types, for which it needs descriptors itself
TEST_F(ReloadTest, WithoutDescriptorsTheOldPipelineGoesOn) {
  begin();
  Pipeline next = rig.pipeline;
  next.stages.push_back(next.stages[rig.index("kept")]);
  next.stages.back().id = "more";
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  rig.reload(next);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(rig.log->count("the old pipeline goes on: out of resources: eventfd: Too many open files"), 1u)
      << rig.log->all();
  more();
  end();
}
#endif

TEST_F(ReloadTest, NothingChangedChangesNothing) {
  begin();
  rig.reload(rig.pipeline);
  EXPECT_EQ(rig.log->count("no stage has changed"), 1u);
  end();
  EXPECT_EQ(enrichers + holders + sinks, 3);
}

}  // namespace
}  // namespace fffa::core
