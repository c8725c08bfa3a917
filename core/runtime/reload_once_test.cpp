// SPDX-License-Identifier: MIT
// Reloads of a pipeline with a source that reads its input once.
#include <gtest/gtest.h>

#include <atomic>

#include "engine.h"
#include "fake_stages.h"

namespace fffa::core {
namespace {

using namespace fake;

// source "replay", which reads once and ends when told so, and a live one, each with a sink.
struct ReloadOnce : testing::Test {
  Rig rig;
  std::atomic<int> starts{0}, written{0};
  std::atomic<bool> over{false}, told{false};  // the source is to end; its sink knows that it has

  ReloadOnce() {
    rig.can_reload();
    rig.source("replay",
               [this](Output& out) {
                 ++starts;
                 out.emit(batch_of(1));
                 while (!over && out.wait(1ms)) {
                 }
                 return Result<void>{};
               })
        .stage_type = source_type<&StageType::reads_once>();
    rig.source("live", emits_and_waits(0));
    rig.sink("out",
             [this](const Batch& batch) {
               written += static_cast<int>(batch.size());
               if (batch.watermark == kEndOfInput) told = true;
               return Result<void>{};
             },
             {"replay"});
    rig.sink("other", [](const Batch&) { return Result<void>{}; }, {"live"});
  }
  Pipeline changed() {
    Pipeline next = rig.pipeline;
    next.stages[0].options = options("2");
    return next;
  }
  Pipeline without() {
    Pipeline next = rig.pipeline;
    next.stages.erase(next.stages.begin() + 2);
    next.stages.erase(next.stages.begin());
    next.stages[1].inputs[0].from = 0;
    return next;
  }
  void end() {
    EXPECT_EQ(rig.stop(), kExitOk) << rig.log->all();
    EXPECT_EQ(starts, 1);
    EXPECT_EQ(written, 1);
  }
};

TEST_F(ReloadOnce, ARunningSourceThatReadsOnceIsNeitherChangedNorRemoved) {
  rig.start();
  ASSERT_TRUE(eventually([this] { return written == 1; }));
  rig.reload(changed());
  EXPECT_EQ(
      rig.log->count("the old pipeline goes on: replay (fake): reads its input once: stop and start fffa to change it"),
      1u)
      << rig.log->all();
  rig.reload(without());
  EXPECT_EQ(rig.log->count("replay (fake): reads its input once: stop and start fffa to remove it"), 1u)
      << rig.log->all();
  rig.reload(rig.pipeline);
  EXPECT_EQ(rig.log->count("no stage has changed"), 1u) << rig.log->all();
  end();
}

TEST_F(ReloadOnce, OneThatHasEndedIsRemovedAndNotBegunAnewWhereThatFails) {
  over = true;
  const auto make = factories().at("other");
  std::atomic<bool> fails{true};
  factories()["other"] = [&, first = true](StageContext& context, const ConfigNode& config) mutable {
    if (!std::exchange(first, false) && fails.exchange(false)) throw Failure(fail("no disk"));
    return make(context, config);
  };
  rig.pipeline.stages[3].options = options("1", "other");
  rig.start();
  ASSERT_TRUE(eventually([this] { return told.load(); }));
  rig.reload(changed());
  EXPECT_EQ(rig.log->count("stop and start fffa to change it"), 1u) << rig.log->all();
  auto next = without();
  next.stages[1].options = options("2", "other");
  rig.reload(next);  // comes after what went was taken down
  EXPECT_EQ(rig.log->count("not reloaded, the old pipeline goes on: other (fake): no disk"), 1u) << rig.log->all();
  rig.reload(next);
  EXPECT_EQ(rig.log->count("rebuilt: other; removed: replay out"), 1u) << rig.log->all();
  end();
}

}  // namespace
}  // namespace fffa::core
