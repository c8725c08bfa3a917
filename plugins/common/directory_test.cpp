// SPDX-License-Identifier: MIT
#include "fffa_common/directory.h"

#include <gtest/gtest.h>

#include "test_files.h"

namespace fffa::common {
namespace {

TEST(SafeComponent, KeepsNamesAndEncodesTheRest) {
  EXPECT_EQ(safe_component("eu-central-1"), "eu-central-1");
  EXPECT_EQ(safe_component("aws-account-id=1_2.3@x:+"), "aws-account-id=1_2.3@x:+");
  EXPECT_EQ(safe_component("../../etc"), "%2E.%2F..%2Fetc");
  EXPECT_EQ(safe_component(".."), "%2E.");
  EXPECT_EQ(safe_component("."), "%2E");
  EXPECT_EQ(safe_component(""), "unknown");
  EXPECT_EQ(safe_component(std::string_view("a\0b\n", 4)), "a%00b%0A");
  EXPECT_EQ(safe_component("\xC3\xA9"), "%C3%A9");
  EXPECT_EQ(safe_component(std::string(64, 'a')), std::string(64, 'a'));
  EXPECT_EQ(safe_component(std::string(65, 'a')).size(), 64u);
  EXPECT_LE(safe_component(std::string(5000, '/')).size(), 64u);
  EXPECT_NE(safe_component(std::string(5000, 'a')), safe_component(std::string(5001, 'a')));
}

TEST(Directory, MakesFolders) {
  testing::TemporaryFolder temporary;
  const Directory directory(temporary.path() / "not" / "there");
  const auto folder = directory.folder({"a", "b"});
  ASSERT_TRUE(folder.ok());
  EXPECT_TRUE(std::filesystem::is_directory(temporary.path() / "not/there/a/b"));
  EXPECT_TRUE(directory.folder({"a", "b"}).ok());
}

TEST(Directory, FollowsNoLinkBelowItself) {
  testing::TemporaryFolder temporary, outside;
  std::filesystem::create_directory_symlink(outside.path(), temporary.path() / "link");
  const auto folder = Directory(temporary.path()).folder({"link", "x"});
  ASSERT_FALSE(folder.ok());
  EXPECT_TRUE(std::filesystem::is_empty(outside.path()));
  EXPECT_TRUE(Directory(temporary.path() / "link").folder({"x"}).ok());  // the directory itself may be one
}

TEST(Directory, NamesWhatFailed) {
  testing::TemporaryFolder temporary;
  testing::write_plain(temporary.path() / "file", "");
  const auto folder = Directory(temporary.path()).folder({"file", "x"});
  ASSERT_FALSE(folder.ok());
  EXPECT_NE(folder.error().message.find((temporary.path() / "file").string()), std::string::npos)
      << folder.error().message;
}

}  // namespace
}  // namespace fffa::common
