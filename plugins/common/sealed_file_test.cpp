// SPDX-License-Identifier: MIT
#include "fffa_common/sealed_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test_files.h"

namespace fffa::common {
namespace {

using ::testing::ElementsAre;
using testing::files_below;
using ::testing::IsEmpty;
using testing::read_gzip;
using testing::read_plain;

struct Files {
  testing::TemporaryFolder temporary;
  Directory directory{temporary.path() / "out"};
  std::vector<FileEvent> events;

  SealedFile make(bool gzip = false, std::string header = {}) {
    return {directory,
            {{"sub"},
             [gzip](unsigned attempt) {
               return "log" + (attempt == 0 ? "" : "-" + std::to_string(attempt)) + (gzip ? ".gz" : "");
             },
             gzip,
             std::move(header),
             [this](const FileEvent& event) { events.push_back(event); }}};
  }
  std::vector<std::string> names() const { return files_below(temporary.path()); }
  std::filesystem::path path(const std::string& name) const { return temporary.path() / "out/sub" / name; }
};

TEST(PartName, ThereAndBack) {
  EXPECT_EQ(part_name("a.log"), ".a.log.part");
  EXPECT_EQ(final_name(".a.log.part"), "a.log");
  EXPECT_EQ(final_name("a.log.part"), "");
  EXPECT_EQ(final_name(".part"), "");
  EXPECT_EQ(final_name(".a.log"), "");
}

TEST(SealedFile, TheFinalNameAppearsBySealing) {
  Files files;
  auto file = files.make(false, "header");
  file.add("one\ntwo\n", 2);
  EXPECT_FALSE(std::filesystem::exists(files.temporary.path() / "out"));  // no I/O yet
  ASSERT_TRUE(file.flush().ok());
  EXPECT_THAT(files.names(), ElementsAre("out/sub/.log.part"));
  EXPECT_EQ(read_plain(files.path(".log.part")), "header\none\ntwo\n");
  file.add("three\n", 1);
  ASSERT_TRUE(file.seal().ok());
  EXPECT_THAT(files.names(), ElementsAre("out/sub/log"));
  EXPECT_EQ(read_plain(files.path("log")), "header\none\ntwo\nthree\n");
  ASSERT_EQ(files.events.size(), 2u);
  EXPECT_EQ(files.events[1].kind, FileEvent::Kind::sealed);
  EXPECT_EQ(files.events[1].lines, 3u);
  ASSERT_TRUE(file.seal().ok());  // again: nothing
  EXPECT_EQ(std::filesystem::status(files.path("log")).permissions(), std::filesystem::perms(0640));
}

TEST(SealedFile, Gzip) {
  Files files;
  auto file = files.make(true, "header");
  for (int i = 0; i < 1000; ++i) {
    file.add("line " + std::to_string(i) + "\n", 1);
    if (i % 100 == 0) {
      ASSERT_TRUE(file.flush().ok());
    }
  }
  ASSERT_TRUE(file.seal().ok());
  const auto text = read_gzip(files.path("log.gz"));
  EXPECT_TRUE(text.starts_with("header\nline 0\nline 1\n"));
  EXPECT_TRUE(text.ends_with("line 999\n"));
}

TEST(SealedFile, WithoutALineThereIsNoFile) {
  Files files;
  auto file = files.make(true, "header");
  ASSERT_TRUE(file.flush().ok());
  ASSERT_TRUE(file.seal().ok());
  EXPECT_THAT(files.names(), IsEmpty());
}

TEST(SealedFile, ATakenNameIsNeverReplaced) {
  Files files;
  auto first = files.make(), second = files.make(), third = files.make();
  first.add("1\n", 1);
  ASSERT_TRUE(first.flush().ok());
  second.add("2\n", 1);
  ASSERT_TRUE(second.seal().ok());  // the first one's part file stands there
  EXPECT_THAT(files.names(), ElementsAre("out/sub/.log.part", "out/sub/log-1"));
  testing::write_plain(files.path("log"), "foreign");
  ASSERT_TRUE(first.seal().ok());
  third.add("3\n", 1);
  ASSERT_TRUE(third.seal().ok());
  EXPECT_THAT(files.names(), ElementsAre("out/sub/log", "out/sub/log-1", "out/sub/log-2", "out/sub/log-3"));
  EXPECT_EQ(read_plain(files.path("log")), "foreign");
}

TEST(SealedFile, RemovedByOthers) {
  Files files;
  for (const bool gzip : {false, true}) {
    auto file = files.make(gzip, "header");
    const auto part = files.path(gzip ? ".log.gz.part" : ".log.part");
    file.add("lost\n", 1);
    ASSERT_TRUE(file.flush().ok());
    std::filesystem::remove(part);
    file.add("kept\n", 1);
    ASSERT_TRUE(file.flush().ok());
    EXPECT_EQ(files.events.at(1).kind, FileEvent::Kind::removed_by_others);
    EXPECT_EQ(files.events.at(1).lines, 1u);
    ASSERT_TRUE(file.seal().ok());
    EXPECT_EQ(gzip ? read_gzip(files.path("log.gz")) : read_plain(files.path("log")), "header\nkept\n");
    files.events.clear();
  }
}

TEST(SealedFile, ItsWholeFolderRemovedByOthers) {
  Files files;
  auto file = files.make();
  file.add("lost\n", 1);
  ASSERT_TRUE(file.flush().ok());
  std::filesystem::remove_all(files.temporary.path() / "out");
  ASSERT_TRUE(file.flush().ok());
  file.add("kept\n", 1);
  ASSERT_TRUE(file.seal().ok());
  EXPECT_EQ(read_plain(files.path("log")), "kept\n");
}

TEST(SealedFile, MovedByOthersIsWholeAndGoesOnElsewhere) {
  Files files;
  auto file = files.make(true, "header");
  file.add("one\n", 1);
  ASSERT_TRUE(file.flush().ok());
  std::filesystem::rename(files.path(".log.gz.part"), files.path("moved.gz"));
  file.add("two\n", 1);
  ASSERT_TRUE(file.flush().ok());
  EXPECT_EQ(read_gzip(files.path("moved.gz")), "header\none\ntwo\n");
  EXPECT_EQ(files.events.at(1).kind, FileEvent::Kind::moved_by_others);
  file.add("three\n", 1);
  ASSERT_TRUE(file.seal().ok());
  EXPECT_EQ(read_gzip(files.path("log.gz")), "header\nthree\n");
}

TEST(SealedFile, ALinkInItsPlaceIsNotFollowed) {
  Files files;
  testing::write_plain(files.temporary.path() / "victim", "untouched");
  std::filesystem::create_directories(files.temporary.path() / "out/sub");
  std::filesystem::create_symlink(files.temporary.path() / "victim", files.path(".log.part"));
  auto file = files.make();
  file.add("one\n", 1);
  ASSERT_TRUE(file.seal().ok());
  EXPECT_EQ(read_plain(files.temporary.path() / "victim"), "untouched");
  EXPECT_EQ(read_plain(files.path("log-1")), "one\n");
}

}  // namespace
}  // namespace fffa::common
