// SPDX-License-Identifier: MIT
// The store on a file system of its own that is full, has no inode left, or is read-only (needs root: a mount).
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include "spool/store.h"
#include "spool/test_folder.h"

namespace fffa::core {
namespace {

struct FullDisk : ::testing::Test {
  testing::Folder folder;
  std::unique_ptr<Store> store;
  std::string expected;  // the first octet of each batch that was accepted

  void SetUp() override {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << "needs root";
    ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=256k"), 0);
    open();
  }
  void TearDown() override {
    store.reset();
    ::umount(folder.path().c_str());
  }
  void open() {
    store.reset();
    auto opened = Store::open({folder.path(), 16 * 65536});  // segments of 64 KiB
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    store = std::move(*opened);
  }
  void remount(unsigned long flags, const char* options) {
    ASSERT_EQ(::mount("tmpfs", folder.path().c_str(), "tmpfs", MS_REMOUNT | flags, options), 0) << errno;
  }
  // Batches of 10 000 octets, until one is not taken: why.
  int put_until_it_fails(int most = 1000) {
    for (int i = 0; i < most; ++i) {
      const char name = static_cast<char>('a' + expected.size() % 26);
      store->append(std::string(10'000, name), {1, 2, 3});
      if (const auto result = store->commit(); !result) return result.error().system_errno;
      expected += name;
    }
    return 0;
  }
  std::string delivered(std::size_t most = 1000) {
    std::string names;
    while (names.size() < most) {
      auto frame = store->next();
      if (!frame || !*frame) break;
      EXPECT_FALSE((*frame)->damaged);
      names += (*frame)->payload.front();
      store->done((*frame)->place, (*frame)->content);
    }
    return names;
  }
};

TEST_F(FullDisk, NothingIsTornAndItGoesOnWhenThereIsRoom) {
  EXPECT_EQ(put_until_it_fails(), ENOSPC);
  EXPECT_GT(expected.size(), 20u);
  EXPECT_EQ(put_until_it_fails(), ENOSPC);
  EXPECT_EQ(store->level().frames, expected.size());
  // What is delivered makes room, though nothing can be written meanwhile.
  std::string all = delivered(12);
  EXPECT_EQ(put_until_it_fails(5), 0);
  open();
  EXPECT_EQ(store->opening().cut_off, 0u);
  EXPECT_EQ(store->damaged_segments(), 0u);
  EXPECT_EQ(all += delivered(), expected);
}

TEST_F(FullDisk, NoInodeForTheNextFile) {
  EXPECT_EQ(put_until_it_fails(2), 0);
  remount(0, "size=4m,nr_inodes=3");  // the folder, the lock and one file
  EXPECT_EQ(put_until_it_fails(), ENOSPC);
  EXPECT_EQ(expected.size(), 7u) << "one segment";
  remount(0, "size=4m,nr_inodes=100");
  EXPECT_EQ(put_until_it_fails(20), 0);
  EXPECT_EQ(delivered(), expected);
}

TEST_F(FullDisk, ReadOnlyMeanwhile) {
  EXPECT_EQ(put_until_it_fails(2), 0);
  // The same folder once more, read-only, over what is open already.
  const auto path = folder.path().c_str();
  ASSERT_EQ(::mount(path, path, nullptr, MS_BIND, nullptr), 0);
  ASSERT_EQ(::mount(nullptr, path, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr), 0) << errno;
  EXPECT_EQ(put_until_it_fails(), EROFS) << "the next file cannot be made";
  EXPECT_EQ(expected.size(), 7u);
  const auto all = delivered();
  EXPECT_EQ(all, expected) << "what is there can be read";
  ASSERT_EQ(::umount(path), 0);
  EXPECT_EQ(put_until_it_fails(12), 0);
  EXPECT_EQ(all + delivered(), expected);
  EXPECT_LE(folder.files(".seg").size(), 1u) << "what could not be deleted then is gone now";
}

}  // namespace
}  // namespace fffa::core
