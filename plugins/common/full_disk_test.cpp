// SPDX-License-Identifier: MIT
// A file system of 64 kB that is really full (needs root: a mount of its own).
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include "fffa_common/sealed_file.h"
#include "test_files.h"

namespace fffa::common {
namespace {

class FullDisk : public ::testing::TestWithParam<bool> {
 protected:
  testing::TemporaryFolder temporary;

  void SetUp() override {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << "needs root";
    ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("tmpfs", temporary.path().c_str(), "tmpfs", 0, "size=64k"), 0);
  }
  void TearDown() override { ::umount(temporary.path().c_str()); }
};

// Lines that hardly compress.
std::string lines(unsigned from, unsigned to) {
  std::string text;
  for (unsigned i = from; i < to; ++i)
    text += std::to_string(i * 2654435761u) + " " + std::to_string(i * 40503u * i) + "\n";
  return text;
}

TEST_P(FullDisk, GoesOnWhereItStoppedWhenThereIsRoomAgain) {
  const bool gzip = GetParam();
  const Directory directory(temporary.path());
  SealedFile file(directory,
                  {{}, [gzip](unsigned) { return std::string(gzip ? "log.gz" : "log"); }, gzip, "header", {}});
  testing::write_plain(temporary.path() / "ballast", std::string(40 * 1024, 'x'));
  file.add(lines(0, 200), 200);
  ASSERT_TRUE(file.flush().ok());
  file.add(lines(200, 9000), 8800);
  const auto full = file.flush();
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().system_errno, ENOSPC);
  EXPECT_EQ(full.error().disposition, Disposition::retry);
  ASSERT_FALSE(file.flush().ok());
  ASSERT_FALSE(file.seal().ok());
  std::filesystem::remove(temporary.path() / "ballast");
  ASSERT_EQ(::mount("tmpfs", temporary.path().c_str(), "tmpfs", MS_REMOUNT, "size=4m"), 0);
  ASSERT_TRUE(file.flush().ok());
  ASSERT_TRUE(file.seal().ok());
  const auto path = temporary.path() / (gzip ? "log.gz" : "log");
  EXPECT_EQ(gzip ? testing::read_gzip(path) : testing::read_plain(path), "header\n" + lines(0, 9000));
}

TEST_P(FullDisk, NoInodeIsARetryToo) {
  const bool gzip = GetParam();
  ASSERT_EQ(::mount("tmpfs", temporary.path().c_str(), "tmpfs", MS_REMOUNT, "nr_inodes=2"), 0);
  testing::write_plain(temporary.path() / "ballast", "");
  const Directory directory(temporary.path());
  SealedFile file(directory, {{"sub"}, [](unsigned) { return std::string("log"); }, gzip, "", {}});
  file.add("one\n", 1);
  const auto full = file.flush();
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().disposition, Disposition::retry);
  ASSERT_EQ(::mount("tmpfs", temporary.path().c_str(), "tmpfs", MS_REMOUNT, "nr_inodes=9"), 0);
  ASSERT_TRUE(file.seal().ok());
  const auto path = temporary.path() / "sub/log";
  EXPECT_EQ(gzip ? testing::read_gzip(path) : testing::read_plain(path), "one\n");
}

TEST_P(FullDisk, ReadOnlyIsARetryToo) {
  const Directory directory(temporary.path());
  SealedFile file(directory, {{}, [](unsigned) { return std::string("log"); }, GetParam(), "", {}});
  file.add("one\n", 1);
  ASSERT_EQ(::mount("tmpfs", temporary.path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr), 0);
  ASSERT_FALSE(file.flush().ok());
  ASSERT_EQ(::mount("tmpfs", temporary.path().c_str(), "tmpfs", MS_REMOUNT, nullptr), 0);
  ASSERT_TRUE(file.seal().ok());
}

INSTANTIATE_TEST_SUITE_P(PlainAndGzip, FullDisk, ::testing::Bool());

}  // namespace
}  // namespace fffa::common
