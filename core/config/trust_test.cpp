// SPDX-License-Identifier: MIT
#include "config/trust.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace fffa::core {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kUser = 12345;
constexpr uid_t kOther = 23456;

// A folder that only root can write below; needs root, as only root can give files away.
class Trust : public testing::Test {
 protected:
  fs::path root;

  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to own files as others";
    // not below /tmp: its sticky bit is a case of its own
    std::string name = "/var/lib/fffa_trust_XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root = name;
    make_folder("opt/bin", 0, 0755);
    make_file("opt/bin/fffa", 0, 0755);
  }
  void TearDown() override {
    if (!root.empty()) fs::remove_all(root);
  }
  void make_folder(const fs::path& path, uid_t owner, mode_t mode) {
    fs::create_directories(root / path);
    own(path, owner, mode);
  }
  void make_file(const fs::path& path, uid_t owner, mode_t mode) {
    std::ofstream(root / path) << "x";
    own(path, owner, mode);
  }
  void own(const fs::path& path, uid_t owner, mode_t mode) {
    ASSERT_EQ(::chown((root / path).c_str(), owner, owner), 0);
    ASSERT_EQ(::chmod((root / path).c_str(), mode), 0);
  }
  bool trusted(const fs::path& path, const fs::path& binary = "opt/bin/fffa") {
    const auto writers = writers_of(root / binary);
    EXPECT_TRUE(writers);
    return check_trusted(root / path, *writers).ok();
  }
};

TEST_F(Trust, WhatOnlyRootCanWrite) {
  make_folder("etc", 0, 0755);
  make_file("etc/a.yaml", 0, 0644);
  EXPECT_TRUE(trusted("etc/a.yaml"));
}

TEST_F(Trust, NotWhatAnotherOwns) {
  make_folder("etc", 0, 0755);
  make_file("etc/a.yaml", kUser, 0400);
  EXPECT_FALSE(trusted("etc/a.yaml"));
}

TEST_F(Trust, NotWhatAnotherCouldReplaceByAFolderAbove) {
  make_folder("home", kUser, 0755);
  make_folder("home/etc", 0, 0755);
  make_file("home/etc/a.yaml", 0, 0644);
  EXPECT_FALSE(trusted("home/etc/a.yaml"));
}

TEST_F(Trust, NotWhatAGroupOrEveryoneCanWrite) {
  make_folder("etc", 0, 0755);
  make_file("etc/group.yaml", 0, 0644);
  ASSERT_EQ(::chown((root / "etc/group.yaml").c_str(), 0, kUser), 0);
  EXPECT_TRUE(trusted("etc/group.yaml"));
  ASSERT_EQ(::chmod((root / "etc/group.yaml").c_str(), 0664), 0);
  EXPECT_FALSE(trusted("etc/group.yaml"));
  make_file("etc/any.yaml", 0, 0646);
  EXPECT_FALSE(trusted("etc/any.yaml"));
}

TEST_F(Trust, AStickyFolderProtectsWhatRootPutThere) {
  make_folder("tmp", 0, 01777);
  make_file("tmp/root.yaml", 0, 0644);
  make_file("tmp/user.yaml", kUser, 0644);
  EXPECT_TRUE(trusted("tmp/root.yaml"));
  EXPECT_FALSE(trusted("tmp/user.yaml"));
  make_folder("open", 0, 0777);
  make_file("open/root.yaml", 0, 0644);
  EXPECT_FALSE(trusted("open/root.yaml"));
}

TEST_F(Trust, AUsersOwnCloneIsAsGoodAsTheBinaryInIt) {
  make_folder("home", kUser, 0775);
  make_folder("home/build/bin", 0, 0755);
  make_file("home/build/bin/fffa", 0, 0755);
  make_file("home/a.yaml", kUser, 0664);
  EXPECT_TRUE(trusted("home/a.yaml", "home/build/bin/fffa"));
  make_file("home/b.yaml", kOther, 0644);
  EXPECT_FALSE(trusted("home/b.yaml", "home/build/bin/fffa"));
}

TEST_F(Trust, LinksCountAsWellAsWhatTheyLeadTo) {
  make_folder("etc", 0, 0755);
  make_folder("home", kUser, 0755);
  make_file("etc/good.yaml", 0, 0644);
  make_file("home/bad.yaml", 0, 0644);
  fs::create_symlink("../etc/good.yaml", root / "home/to_good.yaml");
  fs::create_symlink("../home/bad.yaml", root / "etc/to_bad.yaml");
  fs::create_symlink(root / "etc/good.yaml", root / "etc/to_good.yaml");
  EXPECT_FALSE(trusted("home/to_good.yaml"));  // the link can be replaced
  EXPECT_FALSE(trusted("etc/to_bad.yaml"));
  EXPECT_TRUE(trusted("etc/to_good.yaml"));
  EXPECT_FALSE(trusted("etc/../home/../etc/to_bad.yaml"));
  fs::create_symlink("loop.yaml", root / "etc/loop.yaml");
  EXPECT_FALSE(trusted("etc/loop.yaml"));
}

TEST_F(Trust, TheRefusalSaysWhoAndWhere) {
  make_folder("home", kUser, 0755);
  make_file("home/a.yaml", 0, 0644);
  const auto result = check_trusted(root / "home/a.yaml", *writers_of(root / "opt/bin/fffa"));
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find((root / "home").string()), std::string::npos);
  EXPECT_NE(result.error().message.find(std::to_string(kUser)), std::string::npos);
}

}  // namespace
}  // namespace fffa::core
