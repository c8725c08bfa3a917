// SPDX-License-Identifier: MIT
// Buffers of sinks over reloads: what is in them stays, whatever comes or goes.
#include <algorithm>

#include "buffer_fixture.h"

namespace fffa::core {
namespace {

struct BufferReload : Buffers {
  Rig rig;
  BufferReload() {
    down = true;
    rig.can_reload();
    rig.pipeline.settings.shutdown_timeout = 500ms;
  }
};

TEST_F(BufferReload, TheSinkThatComesGoesOnFromTheSameBuffer) {
  source(rig, 300, 2, 1, true);
  sink(rig, disk()).options = options("1");
  rig.start();
  ASSERT_TRUE(eventually([&] { return delivered == 300; }));
  auto next = rig.pipeline;
  next.stages[1].options = options("2");
  next.stages[1].buffer.max_size *= 2;
  rig.reload(next);
  EXPECT_EQ(rig.log->count("reloaded in"), 1u) << rig.log->all();
  expect_even(balance_of(rig));
  EXPECT_EQ(balance_of(rig).held.records, 600);
  down = false;
  ASSERT_TRUE(eventually([&] { return count() == 600; }));
  EXPECT_EQ(rig.stop(), kExitOk);
  EXPECT_EQ(got, up_to(600));
  expect_even(balance_of(rig));
}

TEST_F(BufferReload, WithMessagesInFlightNothingIsLost) {
  std::atomic<bool> stop{false};
  rig.options.state_root = folder.path();
  std::atomic<std::int64_t> emitted{0};
  rig.source("in", [&](Output& out) {
    while (!stop && out.wait(50us)) {
      const auto at = ++emitted;
      out.emit(flows(1, at, at), [this](Outcome outcome) { ++(outcome == Outcome::delivered ? delivered : lost); });
    }
    while (out.wait(1ms)) {
    }
    out.settle();
    return Result<void>{};
  });
  sink(rig, disk()).options = options("0");
  rig.start();
  auto next = rig.pipeline;
  for (int i = 1; i <= 12; ++i) {
    down = i % 3 != 0;
    next.stages[1].options = options(std::to_string(i));
    rig.reload(next);
  }
  EXPECT_EQ(rig.log->count("reloaded in"), 12u) << rig.log->all();
  down = false;
  stop = true;
  ASSERT_TRUE(eventually([&] { return count() == static_cast<std::size_t>(emitted); }));
  EXPECT_EQ(rig.stop(), kExitOk);
  std::sort(got.begin(), got.end());
  EXPECT_EQ(got, up_to(emitted)) << "each once";
  EXPECT_EQ(delivered, emitted);
  expect_even(balance_of(rig));
}

TEST_F(BufferReload, WhileItDropsEveryRecordIsDeliveredOrCounted) {
  std::atomic<bool> stop{false};
  rig.options.state_root = folder.path();
  rig.source("in", [&](Output& out) {
    for (std::int64_t at = 1; !stop && out.wait(50us); at += 50) out.emit(flows(50, at, at), [](Outcome) {});
    while (out.wait(1ms)) {
    }
    out.settle();
    return Result<void>{};
  });
  sink(rig, disk(64 << 10, WhenFull::drop_oldest)).options = options("0");
  rig.start();
  ASSERT_TRUE(eventually([&] { return !balance_of(rig).lost.empty(); }));
  auto next = rig.pipeline;
  for (int i = 1; i <= 12; ++i) {
    down = i % 3 != 0;
    next.stages[1].options = options(std::to_string(i));
    next.stages[1].buffer.max_size = (64u << 10) << i / 2 % 2;
    next.stages[1].buffer.at.line = 100 + i;
    rig.reload(next);
  }
  EXPECT_EQ(rig.log->count("reloaded in"), 12u) << rig.log->all();
  down = false;
  stop = true;
  ASSERT_TRUE(eventually([&] { return balance_of(rig).held.empty(); }));
  EXPECT_EQ(rig.stop(), kExitLost);
  const auto balance = balance_of(rig);
  expect_even(balance);
  EXPECT_EQ(balance.delivered.records, static_cast<std::int64_t>(count()));
  EXPECT_EQ(balance.delivered.records + balance.lost.records, balance.seen.records);
}

TEST_F(BufferReload, ABufferIsNotTakenAwayWithWhatIsInIt) {
  source(rig, 10, 1, 1, true);
  sink(rig, disk());
  rig.start();
  ASSERT_TRUE(eventually([&] { return delivered == 10; }));
  auto next = rig.pipeline;
  next.stages[1].buffer = {};
  rig.reload(next);
  EXPECT_EQ(rig.log->count("is to have another buffer and does not deliver what waits for it (10 records)"), 1u)
      << rig.log->all();
  down = false;
  ASSERT_TRUE(eventually([&] { return count() == 10; }));
  EXPECT_NE(rig.engine->metrics().text().find("fffa_buffer_max_bytes"), std::string::npos);
  rig.reload(next);
  EXPECT_EQ(rig.log->count("reloaded in"), 1u) << rig.log->all();
  for (const char* gauge : {"fffa_buffer_records{", "fffa_buffer_bytes{", "fffa_buffer_max_bytes{"})
    EXPECT_EQ(rig.engine->metrics().text().find(gauge), std::string::npos) << "of a buffer that is not there";
  next.stages[1].buffer = disk();
  next.stages[1].buffer.directory = folder.path() / "elsewhere";
  rig.reload(next);
  EXPECT_EQ(rig.log->count("reloaded in"), 2u) << rig.log->all();
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "elsewhere/lock"));
  EXPECT_EQ(rig.stop(), kExitOk);
  expect_even(balance_of(rig));
}

TEST_F(BufferReload, ASinkThatIsDownGetsABufferWhatItHadIsDelivered) {
  source(rig, 10, 1, 1, true);
  sink(rig, {});
  rig.start();
  ASSERT_TRUE(eventually([&] { return balance_of(rig).held.records == 10 && rig.log->count("connect to") == 1; }));
  auto next = rig.pipeline;
  next.stages[1].buffer = disk();
  rig.reload(next);
  EXPECT_EQ(rig.log->count("reloaded in"), 1u) << rig.log->all();
  ASSERT_TRUE(eventually([&] { return delivered == 9; })) << "all but the batch that the sink had already";
  down = false;
  ASSERT_TRUE(eventually([&] { return delivered == 10 && count() == 10; }));
  EXPECT_EQ(got, up_to(10));
  EXPECT_EQ(rig.stop(), kExitOk);
  expect_even(balance_of(rig));
}

TEST_F(BufferReload, ADirectoryThatCannotBeUsedLeavesTheOldBufferAtWork) {
  down = false;
  testing::write_file(folder.path() / "file", "");
  source(rig, 10, 1, 1, true);
  sink(rig, disk());
  rig.start();
  ASSERT_TRUE(eventually([&] { return count() == 10; }));
  auto next = rig.pipeline;
  next.stages[1].buffer.directory = folder.path() / "file";
  rig.reload(next);
  EXPECT_EQ(rig.log->count("not reloaded, the old pipeline goes on: out (fake): buffer: "), 1u) << rig.log->all();
  down = true;
  EXPECT_EQ(rig.stop(), kExitOk);
  expect_even(balance_of(rig));
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "out/buffer/lock"));
}

TEST_F(BufferReload, ASinkThatIsAddedBeginsWithWhatAnEarlierOneLeft) {
  {
    Rig earlier;
    source(earlier, 10, 1, 1, true);
    sink(earlier, disk());
    earlier.start();
    ASSERT_TRUE(eventually([&] { return delivered == 10; }));
    EXPECT_EQ(earlier.stop(), kExitOk);
  }
  factories().clear();
  down = false;
  source(rig, 5, 1, 11, true);
  rig.sink("other", [](const Batch&) { return Result<void>{}; }, {"in"});
  const auto before = rig.pipeline;
  sink(rig, disk());
  const auto with = rig.pipeline;
  rig.pipeline = before;
  rig.start();
  ASSERT_TRUE(eventually([&] { return delivered == 15; }));
  rig.reload(with);
  ASSERT_TRUE(eventually([&] { return count() == 10; })) << rig.log->all();
  const auto balance = balance_of(rig);
  expect_even(balance);
  EXPECT_EQ(balance.restored.records, 10);
  rig.reload(before);
  EXPECT_EQ(rig.log->count("removed: seen 0 packets 0 bytes 0 records + restored 20 packets"), 1u) << rig.log->all();
  rig.reload(with);
  EXPECT_EQ(rig.log->count("reloaded in"), 3u) << rig.log->all();
  EXPECT_EQ(rig.stop(), kExitOk);
}

}  // namespace
}  // namespace fffa::core
