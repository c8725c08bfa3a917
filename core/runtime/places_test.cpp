// SPDX-License-Identifier: MIT
// What is wrong with a stage names its place in the configuration, whoever says it.
#include <gtest/gtest.h>

#include "buffer_fixture.h"

namespace fffa::core {
namespace {

Location line(std::uint32_t number) {
  return {std::make_shared<std::string>("pipe.yaml"), number, 3};
}

// A source, an enricher and a sink that each find something wrong.
struct Places : Buffers {
  std::atomic<bool> quiet{false};  // the source's

  void start(Rig& rig, std::chrono::milliseconds shutdown_timeout = 10ms) {
    rig.add("in", StageKind::source,
            [this](StageContext& context, const ConfigNode&) {
              auto stage = std::make_unique<FakeSource>();
              stage->on_run = [this, &context](Output& out) {
                context.log().info("begins");
                context.degraded("the broker is away");
                out.emit(batch_of(1));
                while (out.wait(1ms))
                  if (!quiet.exchange(true)) context.log().error("the broker is away: tried again");
                return Result<void>{};
              };
              return stage;
            })
        .at = line(2);
    rig.enricher("host", [](Batch& batch) { return batch.empty() ? Result<void>{} : fail("nobody knows"); }, {"in"})
        .at = line(4);
    rig.sink("out", [](const Batch& batch) { return batch.empty() ? Result<void>{} : retry("refused"); }, {"host"}).at =
        line(6);
    rig.pipeline.settings.shutdown_timeout = shutdown_timeout;
    rig.can_reload();
    rig.start();
    ASSERT_TRUE(eventually([&] { return quiet && rig.log->count("refused") == 1; }));
  }
};

TEST_F(Places, OfEveryKindOfStageInLogAndHealth) {
  Rig rig;
  start(rig);
  EXPECT_EQ(rig.log->count("in: the broker is away: tried again (pipe.yaml:2:3)"), 1u) << rig.log->all();
  EXPECT_EQ(rig.log->count("host: nobody knows: the batch goes on without (pipe.yaml:4:3)"), 1u) << rig.log->all();
  EXPECT_EQ(rig.log->count("out: refused: tried again until it succeeds (pipe.yaml:6:3)"), 1u) << rig.log->all();
  EXPECT_EQ(rig.log->count("in: begins (pipe"), 0u) << "nothing is wrong";
  const auto shown = rig.engine->health().degraded();
  EXPECT_EQ(shown.at("in (itself)"), "the broker is away (pipe.yaml:2:3)");
  EXPECT_EQ(shown.at("host"), "nobody knows (pipe.yaml:4:3)");
  EXPECT_EQ(shown.at("out"), "refused (pipe.yaml:6:3)");
  EXPECT_EQ(rig.stop(), kExitLost);
}

TEST_F(Places, AreThoseOfTheFileThatWasReadLast) {
  Rig rig;
  start(rig);
  auto next = rig.pipeline;
  next.stages[0].at = line(20);  // and nothing else has changed
  rig.reload(next);
  quiet = false;
  EXPECT_TRUE(eventually([&] { return rig.log->count("tried again (pipe.yaml:20:3)") == 1; })) << rig.log->all();
  // The reason of a reload that is refused names the new place of the stage.
  next.stages[2].at = line(60);
  next.stages[2].buffer = disk();
  testing::write_file(folder.path() / "file", "");
  next.stages[2].buffer.directory = folder.path() / "file";
  next.stages[2].buffer.at = line(65);
  rig.reload(next);
  EXPECT_EQ(rig.log->count("not reloaded, the old pipeline goes on: out (fake): buffer: "), 1u) << rig.log->all();
  EXPECT_EQ(rig.log->count("(pipe.yaml:65:3)"), 1u) << rig.log->all();
  EXPECT_EQ(rig.stop(), kExitLost);
}

// Of an added stage and of one that changes, in what they say before the reload is done; else the old ones again.
TEST_F(Places, AreTheNewOnesWhileAReloadIsUnderWay) {
  Rig rig;
  source(rig, 1, 1, 1, true).at = line(2);
  sink(rig, {}).at = line(6);
  rig.can_reload();
  rig.start();
  ASSERT_TRUE(eventually([&] { return count() == 1; }));
  bool refuses = true;
  std::string shown;
  factories()["more"] = [&](StageContext& context, const ConfigNode&) -> std::unique_ptr<Stage> {
    context.log().warning("is slow");
    context.degraded("no broker answers");
    shown = rig.engine->health().degraded().at("more (itself)");
    if (refuses) throw Failure(fail("no disk"));
    auto stage = std::make_unique<FakeSink>();
    stage->on_write = [](const Batch&) { return Result<void>{}; };
    return stage;
  };
  factories()["out"] = [make = factories().at("out")](StageContext& context, const ConfigNode& config) {
    context.log().warning("begins anew");
    return make(context, config);
  };
  auto next = rig.pipeline;
  next.stages.push_back(next.stages[1]);
  next.stages[0].at = line(20);
  next.stages[1].at = line(60);
  next.stages[1].options = options("2");
  next.stages[2].id = "more";
  next.stages[2].at = line(70);
  next.stages[2].options = options("3");
  rig.reload(next);
  EXPECT_EQ(rig.log->count("more: is slow (pipe.yaml:70:3)"), 1u) << rig.log->all();
  EXPECT_EQ(shown, "no broker answers (pipe.yaml:70:3)");
  EXPECT_EQ(rig.log->count("more (fake): no disk (pipe.yaml:70:3)"), 1u) << rig.log->all();
  refuses = false;
  rig.reload(next);
  EXPECT_EQ(rig.log->count("out: begins anew (pipe.yaml:60:3)"), 1u) << rig.log->all();
  EXPECT_EQ(rig.log->count("reloaded in"), 1u) << rig.log->all();
  EXPECT_EQ(rig.stop(), kExitOk);
}

TEST_F(Places, OfAReloadThatFailsAreTheOldOnesAgain) {
  Rig rig;
  start(rig, 100ms);
  auto next = rig.pipeline;
  next.stages[0].at = line(20);
  next.stages.pop_back();
  rig.reload(next);
  EXPECT_EQ(rig.log->count("out (fake): is to be removed and does not deliver what waits for it (1 records) "
                           "(pipe.yaml:6:3)"),
            1u)
      << rig.log->all();
  quiet = false;
  EXPECT_TRUE(eventually([&] { return rig.log->count("tried again (pipe.yaml:2:3)") == 2; })) << rig.log->all();
  EXPECT_EQ(rig.stop(), kExitLost);
}

// The buffer is moved, the reload fails, and the old place cannot be used any more.
TEST_F(Places, OfABufferThatCannotBeOpenedAgain) {
  Rig rig;
  std::atomic<bool> more{false};
  rig.options.state_root = folder.path();
  rig.source("in", [&](Output& out) {
    out.emit(flows(1, 1, 1));
    while (out.wait(1ms))
      if (more.exchange(false)) out.emit(flows(1, 2, 2));
    return Result<void>{};
  });
  sink(rig, disk()).at = line(6);
  rig.pipeline.stages[1].buffer.directory = folder.path() / "old";
  rig.can_reload();
  rig.start();
  ASSERT_TRUE(eventually([&] { return count() == 1; }));
  auto next = rig.pipeline;
  next.stages[1].options = options("2");
  next.stages[1].buffer.directory = folder.path() / "file";
  testing::write_file(folder.path() / "file", "");
  std::filesystem::rename(folder.path() / "old", folder.path() / "away");
  testing::write_file(folder.path() / "old", "");
  rig.reload(next);
  EXPECT_EQ(rig.log->count("out: the old stage cannot be built again, it is tried again: out (fake): buffer: "), 1u)
      << rig.log->all();
  EXPECT_TRUE(eventually([&] { return rig.log->count("out: rebuild: buffer: ") >= 1; }));
  EXPECT_TRUE(rig.engine->health().degraded().at("out").ends_with("(pipe.yaml:12:5)"));
  EXPECT_EQ(rig.log->count("pipe.yaml:6:3"), 0u) << rig.log->all();
  std::filesystem::remove(folder.path() / "old");
  std::filesystem::rename(folder.path() / "away", folder.path() / "old");
  more = true;
  EXPECT_TRUE(eventually([&] { return count() == 2 && !rig.engine->health().degraded().contains("out"); }));
  EXPECT_EQ(rig.stop(), kExitOk) << rig.log->all();
}

TEST_F(Places, OfABufferThatCannotBeOpenedIsNamedOnce) {
  testing::write_file(folder.path() / "file", "");
  Rig rig;
  source(rig, 1);
  auto& spec = sink(rig, disk());
  spec.at = line(6);
  spec.buffer.directory = folder.path() / "file";
  EXPECT_EQ(rig.run(), kExitFailed);
  EXPECT_EQ(rig.log->count("out (fake): buffer: "), 1u) << rig.log->all();
  EXPECT_EQ(rig.log->count("(pipe.yaml:12:5)"), 1u) << "that of `buffer`";
  EXPECT_EQ(rig.log->count("pipe.yaml:6:3"), 0u) << rig.log->all();
}

}  // namespace
}  // namespace fffa::core
