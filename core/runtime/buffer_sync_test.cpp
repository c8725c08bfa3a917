// SPDX-License-Identifier: MIT
// What stands on disk for good: accepted is what was synced, many batches at a time, and what could not be is written
// anew, once.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include "buffer_fixture.h"
#include "spool/store.h"

namespace {

// Of one kind: those of files (fdatasync), those of the buffer's folder (fsync).
struct Syncs {
  std::atomic<int> begun{0};
  std::atomic<int> done{0};
  std::atomic<int> to_fail{0};      // of those to come
  std::atomic<bool> wait{false};    // as long as this is set
  std::function<void(int)> before;  // the number of this one, from 1

  int run(long number, int fd) {
    const int mine = ++begun;
    if (before) before(mine);
    while (wait) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (to_fail > 0 && to_fail-- > 0) {
      errno = EIO;
      return -1;
    }
    const auto result = ::syscall(number, fd);
    if (result == 0) ++done;
    return static_cast<int>(result);
  }
};
Syncs files, folders;

bool is_buffer(int fd) {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error).filename() == "buffer";
}

}  // namespace

// In place of the C library's, for this program.
extern "C" int fdatasync(int fd) {
  return files.run(SYS_fdatasync, fd);
}
extern "C" int fsync(int fd) {
  return is_buffer(fd) ? folders.run(SYS_fsync, fd) : static_cast<int>(::syscall(SYS_fsync, fd));
}

namespace fffa::core {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr int kBatches = 200;

void begin() {
  for (Syncs* syncs : {&files, &folders}) {
    syncs->begun = syncs->done = syncs->to_fail = 0;
    syncs->wait = false;
    syncs->before = nullptr;
  }
}

struct BufferSyncs : Buffers {
  struct AtEnd {
    ~AtEnd() { begin(); }
  } at_end;  // other tests sync as ever, once `rig` has ended
  Rig rig;

  void SetUp() override { begin(); }
  void TearDown() override { files.wait = folders.wait = false; }
  void start(std::size_t capacity = 65536) {
    source(rig, kBatches, 1, 1, true);
    sink(rig, disk(64 << 20), capacity);
    rig.start();
  }
  // All that there is waits for one sync, or for the next.
  void expect_nothing_accepted() {
    ASSERT_TRUE(eventually([&] { return balance_of(rig).seen.records == kBatches; }));
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(delivered, 0) << "acknowledged before it was on disk";
    EXPECT_EQ(count(), 0U) << "delivered before it was on disk";
  }
  void expect_all_once() {
    EXPECT_TRUE(eventually([&] { return count() == kBatches && delivered == kBatches; })) << count();
    EXPECT_EQ(rig.stop(), kExitOk) << rig.log->all();
    EXPECT_EQ(got, up_to(kBatches));
    EXPECT_EQ(balance_of(rig).delivered.records, kBatches);
    expect_even(balance_of(rig));
  }
  // The first three fail.
  void expect_failures(Syncs& syncs, const std::string& said) {
    syncs.to_fail = 3;
    syncs.wait = true;
    std::vector<int> acknowledged;
    syncs.before = [&](int number) {
      if (number <= 4) acknowledged.push_back(delivered);
    };
    start();
    expect_nothing_accepted();
    syncs.wait = false;
    expect_all_once();
    EXPECT_THAT(acknowledged, ElementsAre(0, 0, 0, 0)) << "at the three that failed, and the next";
    EXPECT_EQ(metric("fffa_buffer_errors_total"), 3);
    EXPECT_EQ(rig.log->count(said), 1U) << rig.log->all();
    EXPECT_EQ(rig.log->count("Input/output error (pipe.yaml:12:5)"), 1U);
    EXPECT_TRUE(rig.engine->health().degraded().empty());
  }
  double metric(const std::string& name) {
    const auto text = rig.engine->metrics().text();
    const auto line = text.find("\n" + name + "{stage=\"out\"");
    return line == std::string::npos ? 0 : std::stod(text.substr(text.find("} ", line) + 2));
  }
};

TEST_F(BufferSyncs, AcceptedMeansThatTheFileIsSynced) {
  files.wait = true;
  start();
  expect_nothing_accepted();
  files.wait = false;
  expect_all_once();
}

TEST_F(BufferSyncs, AcceptedMeansThatTheNameOfTheFileIsSynced) {
  folders.wait = true;
  start();
  expect_nothing_accepted();
  EXPECT_EQ(files.done, 1) << "the file is synced, its name is not";
  folders.wait = false;
  expect_all_once();
}

TEST_F(BufferSyncs, WhatComesDuringASyncSharesTheNext) {
  files.wait = true;
  start();
  expect_nothing_accepted();
  files.wait = false;
  ASSERT_TRUE(eventually([&] { return delivered == kBatches; }));
  EXPECT_LE(files.done, 2) << "for " << kBatches << " batches";
  EXPECT_EQ(metric("fffa_buffer_syncs_total"), files.done);
  expect_all_once();
}

TEST_F(BufferSyncs, WhatCouldNotBeSyncedIsNotAcceptedAndThenOnce) {
  expect_failures(files, "sync a file in ");
}

TEST_F(BufferSyncs, NorIsAFileWhoseNameCouldNotBeSynced) {
  expect_failures(folders, "sync " + (folder.path() / "out/buffer").string());
}

TEST_F(BufferSyncs, AFailureAmongManyCostsNothingAndDoublesNothing) {
  down = true;  // all of it stands on disk, where what was undone must not
  files.before = [](int number) { files.to_fail = number % 2 == 1 ? 1 : 0; };
  start(10);
  ASSERT_TRUE(eventually([&] { return delivered == kBatches; }));
  EXPECT_GE(metric("fffa_buffer_errors_total"), 1);  // how many syncs there are depends on what shares one
  EXPECT_EQ(rig.stop(), kExitOk);
  rig.engine.reset();
  down = false;
  Rig next;
  source(next, 0);
  sink(next, disk(64 << 20));
  EXPECT_EQ(next.run(), kExitOk);
  EXPECT_EQ(got, up_to(kBatches));
}

// ---- the store itself

struct StoreSyncs : ::testing::Test {
  testing::Folder folder;
  std::unique_ptr<Store> store;

  void SetUp() override {
    std::filesystem::create_directory(folder.path() / "buffer");
    begin();
    open();
  }
  void open() {
    store.reset();
    auto opened = Store::open({folder.path() / "buffer", 1 << 20});
    ASSERT_TRUE(opened.ok());
    store = std::move(*opened);
  }
  Result<void> put(const std::string& payload) {
    store->append(payload, {1, 1, 1});
    return store->commit();
  }
  std::vector<std::string> waiting() {
    std::vector<std::string> all;
    for (auto frame = store->next(); frame && *frame; frame = store->next()) all.push_back((*frame)->payload);
    return all;
  }
};

TEST_F(StoreSyncs, AFailedOneTakesBackWhatWasAppendedAndNoMore) {
  ASSERT_TRUE(put("one").ok());
  files.to_fail = 1;
  store->append("two", {1, 1, 1});
  store->append("three", {1, 1, 1});
  const auto failed = store->commit();
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().system_errno, EIO);
  EXPECT_EQ(store->level().frames, 1U);
  ASSERT_TRUE(put("two").ok());
  ASSERT_TRUE(put("three").ok());
  EXPECT_THAT(waiting(), ElementsAre("one", "two", "three"));
  open();
  EXPECT_EQ(store->opening().cut_off, 0U);
  EXPECT_THAT(store->opening().damaged, SizeIs(0));
  EXPECT_THAT(waiting(), ElementsAre("one", "two", "three")) << "as the next run finds it";
}

TEST_F(StoreSyncs, AfterAFailedOneAnotherFileIsWritten) {
  const auto names = [&] {
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path() / "buffer"))
      if (entry.path().extension() == ".seg") all.push_back(entry.path().filename());
    std::ranges::sort(all);
    return all;
  };
  ASSERT_TRUE(put("one").ok());
  const auto first = names();
  files.to_fail = 1;
  ASSERT_FALSE(put("two").ok());
  ASSERT_TRUE(put("two").ok());
  ASSERT_THAT(names(), SizeIs(2));
  EXPECT_EQ(names()[0], first[0]);
  files.to_fail = 1;
  ASSERT_FALSE(put("three").ok());
  folders.to_fail = 1;
  ASSERT_FALSE(put("three").ok());
  EXPECT_THAT(names(), SizeIs(2)) << "one that never held anything is not left";
  EXPECT_THAT(waiting(), ElementsAre("one", "two"));
}

}  // namespace
}  // namespace fffa::core
