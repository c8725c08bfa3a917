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

  void build(Rig& rig) {
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
  }
};

TEST_F(Places, OfEveryKindOfStageInLogAndHealth) {
  Rig rig;
  build(rig);
  rig.pipeline.settings.shutdown_timeout = 10ms;
  rig.start();
  EXPECT_TRUE(eventually([&] { return quiet && rig.log->count("refused") == 1; }));
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
  build(rig);
  rig.pipeline.settings.shutdown_timeout = 10ms;
  rig.can_reload();
  rig.start();
  ASSERT_TRUE(eventually([&] { return quiet && rig.log->count("refused") == 1; }));
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
