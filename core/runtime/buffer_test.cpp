// SPDX-License-Identifier: MIT
// Buffers of sinks: what is acknowledged when, what outlives the process, what is given up, and that the accounts say
// so.
#include "buffer.h"

#include <algorithm>

#include "buffer_fixture.h"

namespace fffa::core {
namespace {

TEST_F(Buffers, WhatIsOnDiskIsAcknowledgedAndDeliveredByTheNextRun) {
  down = true;
  {
    Rig rig;
    source(rig, 20, 3, 1, true);
    sink(rig, disk());
    rig.start();
    ASSERT_TRUE(eventually([&] { return delivered == 20; })) << "acknowledged, though nothing was delivered";
    EXPECT_EQ(rig.stop(), kExitOk) << "what waits on disk is not lost";
    const auto balance = balance_of(rig);
    expect_even(balance);
    EXPECT_EQ(balance.seen, (Tally{60, 120, 6000}));
    EXPECT_EQ(balance.held, balance.seen);
    EXPECT_EQ(balance.kept, balance.held);
    EXPECT_EQ(rig.log->count("waits in the buffer for the next start: 120 packets 6000 bytes 60 records"), 1u)
        << rig.log->all();
  }
  EXPECT_EQ(count(), 0u);
  down = false;
  Rig rig;
  source(rig, 10, 1, 61);
  sink(rig, disk());
  EXPECT_EQ(rig.run(), kExitOk);
  EXPECT_EQ(got, up_to(70)) << "what was left comes first";
  EXPECT_TRUE(std::is_sorted(watermarks.begin(), watermarks.end())) << "an earlier run's end is not this one's";
  const auto balance = balance_of(rig);
  expect_even(balance);
  EXPECT_EQ(balance.restored.records, 60);
  EXPECT_EQ(balance.delivered.records, 70);
  EXPECT_EQ(balance.kept, Tally{});
  EXPECT_EQ(rig.log->count("restored 120 packets 6000 bytes 60 records"), 1u) << rig.log->all();
  EXPECT_NE(rig.engine->metrics().text().find(R"(fffa_buffer_restored_records_total{stage="out",type="fake"} 60)"),
            std::string::npos);
}

TEST_F(Buffers, EverythingComesThroughInOrder) {
  Rig rig;
  source(rig, 500, 7);
  sink(rig, disk());
  EXPECT_EQ(rig.run(), kExitOk);
  EXPECT_EQ(got, up_to(3500));
  EXPECT_EQ(watermarks.back(), kEndOfInput);
  EXPECT_EQ(delivered, 500);
  expect_even(balance_of(rig));
  rig.engine.reset();
  for (const auto& entry : std::filesystem::directory_iterator(folder.path() / "out/buffer"))
    EXPECT_EQ(entry.path().filename(), "lock") << "nothing else is left";
}

TEST_F(Buffers, ASinkThatFailsNowAndThenGetsAll) {
  Rig rig;
  source(rig, 200);
  std::atomic<int> calls{0};
  rig.sink("out",
           [&](const Batch& batch) -> Result<void> {
             if (++calls % 5 == 0) return calls % 2 == 0 ? fail("broken") : retry("busy");
             for (const auto& record : batch) got.push_back(record.first_seen - kStart);
             return {};
           },
           {"in"})
      .buffer = disk();
  EXPECT_EQ(rig.run(), kExitOk);
  EXPECT_EQ(got, up_to(200));
}

TEST_F(Buffers, AnAsyncSinkMayCompleteInAnyOrder) {
  std::mutex late_mutex;
  std::vector<Completion> late;
  {
    Rig rig;
    source(rig, 40, 1, 1, true);
    rig.add("out", StageKind::async_sink,
            [&](StageContext&, const ConfigNode&) {
              auto stage = std::make_unique<FakeAsyncSink>();
              stage->on_write = [&](const std::shared_ptr<const Batch>& batch, Completion completion) {
                const std::lock_guard lock(late_mutex);
                const bool even = !batch->empty() && batch->records[0].first_seen % 2 == 0;
                if (even) completion.done();
                if (!even) late.push_back(std::move(completion));
              };
              return stage;
            },
            {"in"})
        .buffer = disk();
    rig.pipeline.settings.shutdown_timeout = 300ms;
    rig.start();
    ASSERT_TRUE(eventually([&] { return delivered == 40 && balance_of(rig).delivered.records == 20; }));
    EXPECT_EQ(rig.stop(), kExitOk);
    EXPECT_EQ(balance_of(rig).kept.records, 20);
  }
  late.clear();
  Rig rig;
  source(rig, 0);
  sink(rig, disk());
  EXPECT_EQ(rig.run(), kExitOk);
  ASSERT_EQ(got.size(), 20u) << "only what was not delivered comes again";
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], static_cast<std::int64_t>(2 * i + 1));
}

// With batches in the air that nobody completes. What the sink says of itself decides how long it is waited for.
TEST_F(Buffers, AStopDoesNotWaitForASinkThatDeliversNothing) {
  for (const bool says_so : {true, false}) {
    testing::Folder fresh;
    got.clear(), sequences.clear(), delivered = 0;
    std::vector<Completion> air;
    {
      Rig rig;
      source(rig, 40, 1, 1, true);
      rig.options.state_root = fresh.path();
      rig.add("out", StageKind::async_sink,
              [&](StageContext& context, const ConfigNode&) {
                if (says_so) context.degraded("no broker answers");
                auto stage = std::make_unique<FakeAsyncSink>();
                stage->on_write = [&](const std::shared_ptr<const Batch>&, Completion completion) {
                  air.push_back(std::move(completion));
                };
                return stage;
              },
              {"in"})
          .buffer = disk();
      rig.pipeline.settings.shutdown_timeout = 1h;
      (says_so ? rig.options.tuning.silent_in_trouble : rig.options.tuning.silent) = 100ms;
      (says_so ? rig.options.tuning.silent : rig.options.tuning.silent_in_trouble) = 1h;
      rig.start();
      ASSERT_TRUE(eventually([&] { return delivered == 40; })) << "on disk";
      EXPECT_EQ(rig.stop(), kExitOk);
      const auto balance = balance_of(rig);
      expect_even(balance);
      EXPECT_EQ(balance.kept.records, 40) << to_string(balance);
      EXPECT_EQ(balance.held, balance.kept);
      EXPECT_EQ(rig.log->count("out: delivers nothing: it is closed"), 1u) << rig.log->all();
    }
    air.clear();
    Rig rig;
    source(rig, 0);
    rig.options.state_root = fresh.path();
    sink(rig, disk());
    EXPECT_EQ(rig.run(), kExitOk);
    EXPECT_EQ(got, up_to(40)) << "each once";
  }
}

// What it has in the air lands with close(): then nothing was left behind.
TEST_F(Buffers, AStopThatDeliversAllWithCloseLeavesNothing) {
  struct Landing : FakeAsyncSink {
    std::vector<Completion> air;
    Result<void> close() override {
      for (auto& completion : air) completion.done();
      return {};
    }
  };
  Rig rig;
  source(rig, 40, 1, 1, true);
  rig.add("out", StageKind::async_sink,
          [&](StageContext& context, const ConfigNode&) {
            context.degraded("no broker answers");
            auto stage = std::make_unique<Landing>();
            stage->on_write = [&air = stage->air](const std::shared_ptr<const Batch>&, Completion completion) {
              air.push_back(std::move(completion));
            };
            return stage;
          },
          {"in"})
      .buffer = disk();
  rig.options.tuning.silent_in_trouble = 100ms;
  rig.start();
  ASSERT_TRUE(eventually([&] { return delivered == 40; })) << "on disk";
  EXPECT_EQ(rig.stop(), kExitOk);
  EXPECT_EQ(balance_of(rig).delivered.records, 40);
  EXPECT_EQ(rig.log->count("delivers nothing"), 0u) << rig.log->all();
}

// It is in trouble all the time, and delivers.
TEST_F(Buffers, AStopWaitsForASinkThatDelivers) {
  Rig rig;
  source(rig, 500, 1, 1, true);
  std::atomic<bool> stopped{false};
  std::atomic<int> calls{0};
  rig.add("out", StageKind::sink,
          [&](StageContext& context, const ConfigNode&) {
            context.degraded("one of three brokers is away");
            auto stage = std::make_unique<FakeSink>();
            stage->on_write = [&](const Batch& batch) -> Result<void> {
              if (!stopped || ++calls % 2 == 0) return retry("busy");
              for (const auto& record : batch) got.push_back(record.first_seen - kStart);
              return {};
            };
            return stage;
          },
          {"in"})
      .buffer = disk();
  rig.options.tuning.silent_in_trouble = 10s;
  rig.start();
  ASSERT_TRUE(eventually([&] { return delivered == 500; }));
  rig.engine->stop();
  stopped = true;
  EXPECT_EQ(rig.wait(), kExitOk);
  EXPECT_EQ(got, up_to(500));
  EXPECT_EQ(balance_of(rig).held, Tally{});
}

TEST_F(Buffers, AFullOneHoldsTheSourceBack) {
  down = true;
  Rig rig;
  source(rig, 200, 50);
  sink(rig, disk(64 << 10), 100);
  rig.start();
  ASSERT_TRUE(eventually([&] { return rig.engine->health().degraded().count("out (buffer)") == 1; }));
  EXPECT_NE(rig.engine->health().degraded().at("out (buffer)").find("pipe.yaml:12:5"), std::string::npos);
  EXPECT_TRUE(eventually([&] { return 50 * delivered == balance_of(rig).kept.records; })) << "what is on disk";
  EXPECT_LT(delivered, 100) << "the source waits";
  down = false;
  EXPECT_EQ(rig.wait(), kExitOk);
  EXPECT_EQ(got, up_to(10'000));
  EXPECT_TRUE(rig.engine->health().degraded().empty());
}

TEST_F(Buffers, DropOldestCountsWhatItGivesUp) {
  down = true;
  Rig rig;
  source(rig, 200, 50, 1, true);
  sink(rig, disk(64 << 10, WhenFull::drop_oldest), 100);
  rig.start();
  ASSERT_TRUE(eventually([&] { return delivered == 200; }));
  const auto before = balance_of(rig);
  EXPECT_GT(before.lost.records, 5000);
  EXPECT_GT(before.held.records, 50);
  down = false;
  ASSERT_TRUE(eventually([&] { return balance_of(rig).held.empty(); }));
  EXPECT_EQ(rig.stop(), kExitLost);
  const auto balance = balance_of(rig);
  expect_even(balance);
  EXPECT_EQ(balance.seen.records, 10'000);
  EXPECT_EQ(balance.delivered.records, static_cast<std::int64_t>(got.size()));
  EXPECT_EQ(balance.held, Tally{});
  ASSERT_FALSE(got.empty());
  EXPECT_EQ(got.back(), 10'000) << "the newest are there";
  EXPECT_NE(rig.engine->metrics().text().find(R"(reason="buffer_full")"), std::string::npos);
}

TEST_F(Buffers, OneInMemoryAcknowledgesWhatIsDelivered) {
  down = true;
  Rig rig;
  source(rig, 300, 1, 1, true);
  sink(rig, memory(1 << 20), 10);
  rig.start();
  ASSERT_TRUE(eventually([&] { return balance_of(rig).held.records == 300; })) << "beyond the queue";
  EXPECT_EQ(delivered, 0);
  down = false;
  ASSERT_TRUE(eventually([&] { return delivered == 300; }));
  EXPECT_EQ(rig.stop(), kExitOk);
  EXPECT_EQ(got, up_to(300));
  expect_even(balance_of(rig));
}

TEST_F(Buffers, OneInMemoryBlocksOrDropsTheOldest) {
  for (const auto when_full : {WhenFull::block, WhenFull::drop_oldest}) {
    got.clear(), sequences.clear(), delivered = 0, lost = 0;
    down = true;
    Rig rig;
    source(rig, 1000, 10, 1, true);
    sink(rig, memory(64 << 10, when_full), 10);
    rig.start();
    ASSERT_TRUE(eventually([&] { return balance_of(rig).held.records > 60; }));
    if (when_full == WhenFull::drop_oldest) {
      ASSERT_TRUE(eventually([&] { return balance_of(rig).seen.records == 10'000; }));
    }
    EXPECT_LT(balance_of(rig).held.records, 200);
    down = false;
    ASSERT_TRUE(eventually([&] { return delivered + lost == 1000; }));
    const bool drops = when_full == WhenFull::drop_oldest;
    EXPECT_EQ(rig.stop(), drops ? kExitLost : kExitOk);
    expect_even(balance_of(rig));
    EXPECT_EQ(balance_of(rig).lost.records, 10 * lost);
    EXPECT_EQ(lost > 0, drops);
    EXPECT_EQ(got.back(), 10'000);
  }
}

// ---- directories

TEST_F(Buffers, TwoRunsCannotShareOne) {
  Rig first;
  source(first, 1, 1, 1, true);
  sink(first, disk());
  first.start();
  ASSERT_TRUE(eventually([&] { return count() == 1; }));
  auto log = std::make_shared<Log>();
  Engine::Options options;
  options.log = log;
  options.state_root = folder.path();
  Engine second(first.pipeline, options);
  EXPECT_EQ(second.run(), kExitFailed);
  EXPECT_EQ(log->count("is in use"), 1u) << log->all();
  EXPECT_EQ(log->count("(pipe.yaml:12:5)"), 1u) << log->all();
  EXPECT_EQ(first.stop(), kExitOk);
}

TEST_F(Buffers, ADirectoryThatCannotBeUsedIsAnErrorAtTheStart) {
  testing::write_file(folder.path() / "file", "");
  Rig rig;
  source(rig, 1);
  auto buffer = disk();
  buffer.directory = folder.path() / "file";
  sink(rig, buffer);
  EXPECT_EQ(rig.run(), kExitFailed);
  EXPECT_EQ(rig.log->count("out (fake): buffer: "), 1u) << rig.log->all();
  EXPECT_EQ(rig.log->count("(pipe.yaml:12:5)"), 1u);
}

TEST_F(Buffers, DirectoriesThatItMakesAreForTheirOwnerAlone) {
  Rig rig;
  source(rig, 1);
  auto& spec = sink(rig, disk());
  EXPECT_EQ(rig.run(), kExitOk);
  const auto mode = [&](const char* name) { return std::filesystem::status(folder.path() / name).permissions(); };
  EXPECT_EQ(mode("out"), std::filesystem::perms::owner_all) << "the sink's state directory";
  EXPECT_EQ(mode("out/buffer"), std::filesystem::perms::owner_all);
  sequences.clear();
  spec.buffer.directory = folder.path() / "a/b/";
  EXPECT_EQ(rig.run(), kExitOk);
  EXPECT_EQ(mode("a"), std::filesystem::perms::owner_all);
  EXPECT_EQ(mode("a/b"), std::filesystem::perms::owner_all);
}

TEST_F(Buffers, ADirectoryThatOthersMayWriteIsNotTrustedByRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  std::filesystem::create_directory(folder.path() / "shared");
  std::filesystem::permissions(folder.path() / "shared", std::filesystem::perms::all);
  Rig rig;
  source(rig, 1);
  auto buffer = disk();
  buffer.directory = folder.path() / "shared";
  sink(rig, buffer);
  EXPECT_EQ(rig.run(), kExitFailed);
  EXPECT_EQ(rig.log->count("not trusted as root"), 1u) << rig.log->all();
}

struct DamagedBuffers : Buffers {
  // Three batches of five records, while the sink is down; then a byte of the file is another.
  void fill_and_damage(std::size_t at) {
    down = true;
    Rig rig;
    source(rig, 3, 5, 1, true);
    sink(rig, disk());
    rig.start();
    ASSERT_TRUE(eventually([&] { return delivered == 3; }));
    EXPECT_EQ(rig.stop(), kExitOk);
    const auto path = folder.path() / "out/buffer/00000000000000000001.seg";
    auto image = testing::read_file(path);
    image[at] ^= 1;
    testing::write_file(path, image);
  }
};

TEST_F(DamagedBuffers, LossIsCounted) {
  fill_and_damage(FrameHeader::kSize + 20);
  down = false;
  Rig rig;
  source(rig, 0);
  sink(rig, disk());
  EXPECT_EQ(rig.run(), kExitLost);
  EXPECT_EQ(got, up_to(15, 6)) << "the rest is delivered";
  const auto balance = balance_of(rig);
  expect_even(balance);
  EXPECT_EQ(balance.restored.records, 15);
  EXPECT_EQ(balance.lost, (Tally{5, 10, 500}));
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "out/buffer/00000000000000000001.damaged"));
  const auto metrics = rig.engine->metrics().text();
  EXPECT_NE(metrics.find(R"(fffa_buffer_damaged_segments_total{stage="out",type="fake"} 1)"), std::string::npos);
  EXPECT_NE(metrics.find(R"(reason="buffer_damaged")"), std::string::npos);
}

TEST_F(DamagedBuffers, LossOfUnknownSizeIsALossAllTheSame) {
  fill_and_damage(10);  // in the header of the first batch
  {
    Rig rig;
    source(rig, 0, 1, 1, true);
    sink(rig, disk());
    rig.start();
    ASSERT_TRUE(eventually([&] { return rig.log->count("connect to 192.0.2.1") == 1; }));
    EXPECT_EQ(rig.stop(), kExitLost);
  }
  down = false;
  Rig rig;
  source(rig, 0);
  sink(rig, disk());
  EXPECT_EQ(rig.run(), kExitLost) << "again, as long as the file is there";
  EXPECT_EQ(got, up_to(15, 6)) << "the rest is delivered";
  const auto balance = balance_of(rig);
  expect_even(balance);
  EXPECT_EQ(balance.restored.records, 10);
  EXPECT_EQ(balance.lost, Tally{}) << "nobody knows how much";
  EXPECT_EQ(rig.log->count("is damaged: 3 batches of it can be read, what else it held is lost"), 1u) << rig.log->all();
}

TEST_F(Buffers, ItSaysWhichDamagedFilesItDeletes) {
  const auto directory = folder.path() / "out/buffer";
  std::filesystem::create_directories(directory);
  for (const char* name : {"00000000000000000001.damaged", "00000000000000000002.damaged"})
    testing::write_file(directory / name, std::string(10'000, 'x'));
  Rig rig;
  source(rig, 1);
  sink(rig, disk(64 << 10));
  EXPECT_EQ(rig.run(), kExitOk);
  EXPECT_EQ(rig.log->count("00000000000000000001.damaged is deleted: "), 1u) << rig.log->all();
  EXPECT_NE(rig.engine->metrics().text().find(R"(fffa_buffer_damaged_deleted_total{stage="out",type="fake"} 1)"),
            std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(directory / "00000000000000000002.damaged"));
}

TEST_F(Buffers, WhatCannotBeReadMakesRoomAsWell) {
  down = true;
  {
    Rig rig;
    source(rig, 200, 50);
    sink(rig, disk(64 << 10), 100);
    rig.pipeline.settings.shutdown_timeout = 100ms;
    rig.start();
    ASSERT_TRUE(eventually([&] { return rig.engine->health().degraded().count("out (buffer)") == 1; }));
    EXPECT_EQ(rig.stop(), kExitLost);
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder.path() / "out/buffer")) {
    auto image = testing::read_file(entry.path());
    if (entry.path().filename() == "00000000000000000001.seg" || image.size() < FrameHeader::kSize) continue;
    image[FrameHeader::kSize + 20] ^= 1;
    testing::write_file(entry.path(), image);
  }
  Rig rig;
  source(rig, 1, 400, 100'001);
  sink(rig, disk(64 << 10), 100);
  rig.start();
  ASSERT_TRUE(eventually([&] { return rig.engine->health().degraded().count("out (buffer)") == 1; }));
  down = false;
  EXPECT_TRUE(eventually([&] { return count() == 450; })) << rig.log->all();
  EXPECT_EQ(rig.stop(), kExitLost);
  expect_even(balance_of(rig));
}

TEST_F(Buffers, WhatCannotBeReadForNowIsTriedAgainAndThenAllIsWell) {
  down = true;
  Rig rig;
  source(rig, 3, 50, 1, true);
  sink(rig, disk(64 << 10));
  rig.start();
  ASSERT_TRUE(eventually([&] { return delivered == 3; }));
  const auto segment = folder.path() / "out/buffer/00000000000000000002.seg";
  std::filesystem::rename(segment, folder.path() / "away");
  std::filesystem::create_symlink(folder.path() / "away", segment);
  down = false;
  ASSERT_TRUE(eventually([&] { return rig.log->count("buffer: open " + segment.string()) == 1; })) << rig.log->all();
  EXPECT_EQ(rig.engine->health().degraded().count("out"), 1u);
  std::filesystem::rename(folder.path() / "away", segment);
  EXPECT_TRUE(eventually([&] { return count() == 150 && rig.engine->health().degraded().empty(); }));
  EXPECT_EQ(rig.stop(), kExitOk);
  EXPECT_EQ(got, up_to(150));
}

TEST_F(Buffers, ASinkWhoseReaderHasGoneKeepsWhatItHas) {
  {
    Rig rig;
    source(rig, 5, 1, 1, true);
    auto& spec =
        rig.sink("out", [](const Batch&) -> Result<void> { return gone("write to a pipe: Broken pipe"); }, {"in"});
    spec.buffer = disk();
    rig.options.tuning.silent_in_trouble = 0ms;
    rig.start();
    EXPECT_EQ(rig.wait(), kExitOk) << "it ends by itself: no sink is left";
    EXPECT_EQ(balance_of(rig).kept.records, 5);
    EXPECT_EQ(rig.log->count("delivers nothing"), 0u) << "that it has gone is said";
  }
  Rig rig;
  source(rig, 0);
  sink(rig, disk());
  EXPECT_EQ(rig.run(), kExitOk);
  EXPECT_EQ(got, up_to(5));
}

}  // namespace
}  // namespace fffa::core
