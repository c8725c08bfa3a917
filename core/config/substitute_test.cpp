// SPDX-License-Identifier: MIT
#include "config/substitute.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

namespace fffa::core {
namespace {

Environment environment() {
  return {[](const std::string& name) -> std::optional<std::string> {
            static const std::map<std::string, std::string> variables = {
                {"PORT", "514"}, {"EMPTY", ""}, {"A_1", "x"}, {"DOLLAR", "${PORT}"}};
            const auto found = variables.find(name);
            return found != variables.end() ? std::optional(found->second) : std::nullopt;
          },
          [](const std::string& path) -> Result<std::string> {
            if (path == "/secret") return std::string("hunter2");
            return fail("open " + path + ": No such file or directory");
          }};
}

ConfigNode scalar(std::string text) {
  ConfigNode node;
  node.kind = ConfigNode::Kind::scalar;
  node.value = std::move(text);
  node.at = {std::make_shared<const std::string>("f.yaml"), 3, 4};
  return node;
}

struct Case {
  const char* text;
  const char* result;
  bool secret;
};
class Substituted : public testing::TestWithParam<Case> {};

TEST_P(Substituted, To) {
  ConfigNode node = scalar(GetParam().text);
  Diagnostics diagnostics;
  EXPECT_TRUE(substitute(node, environment(), diagnostics));
  EXPECT_EQ(node.value, GetParam().result);
  EXPECT_EQ(node.secret, GetParam().secret);
  EXPECT_TRUE(diagnostics.empty());
}

TEST(Substitution, WhatIsWrittenDoesNotDependOnTheEnvironment) {
  const std::pair<const char*, bool> kCases[] = {{"plain", true},           {"$$", true},
                                                 {"${lower}", true},        {"${PORT}", false},
                                                 {"${UNSET:-}", false},     {"${PORT:-9}", true},
                                                 {"${UNSET:-9}", true},     {"a${PORT}", false},
                                                 {"a${UNSET:-}", false},    {"${PORT}${A_1:-x}", true},
                                                 {"${file:/secret}", false}};
  for (const auto& [text, literal] : kCases) {
    ConfigNode node = scalar(text);
    Diagnostics diagnostics;
    EXPECT_TRUE(substitute(node, environment(), diagnostics));
    EXPECT_EQ(node.literal, literal) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Substituted,
    testing::Values(Case{"plain", "plain", false}, Case{"${PORT}", "514", true},
                    Case{"udp:${PORT}/${A_1}", "udp:514/x", true}, Case{"${EMPTY}", "", true},
                    Case{"${EMPTY:-d}", "d", false}, Case{"${UNSET:-a:-b $x}", "a:-b $x", false},
                    Case{"${UNSET:-}", "", false}, Case{"${PORT:-9}", "514", true},
                    Case{"${file:/secret}", "hunter2", true}, Case{"$$", "$", false},
                    Case{"$${PORT}", "${PORT}", false}, Case{"$$$${PORT}", "$${PORT}", false},
                    Case{"${DOLLAR}", "${PORT}", true}, Case{"$", "$", false}, Case{"a$b$", "a$b$", false},
                    Case{"${srcaddr} ${dstaddr} ${tcp-flags}", "${srcaddr} ${dstaddr} ${tcp-flags}", false},
                    Case{"flows-${aws_vpc}", "flows-${aws_vpc}", false}, Case{"${PORT", "${PORT", false},
                    Case{"${}", "${}", false}));

struct Wrong {
  const char* text;
  const char* message;
};
class NotSubstituted : public testing::TestWithParam<Wrong> {};

TEST_P(NotSubstituted, NamesItAndLeavesTheText) {
  ConfigNode root;
  root.kind = ConfigNode::Kind::map;
  root.entries.push_back({"key", {}, scalar(GetParam().text)});
  Diagnostics diagnostics;
  EXPECT_FALSE(substitute(root, environment(), diagnostics));
  ASSERT_EQ(diagnostics.all().size(), 1U);
  EXPECT_EQ(to_string(diagnostics.all()[0].at), "f.yaml:3:4");
  EXPECT_EQ(diagnostics.all()[0].path, "key");
  EXPECT_NE(diagnostics.all()[0].message.find(GetParam().message), std::string::npos) << diagnostics.all()[0].message;
  EXPECT_EQ(root.entries[0].value.value, GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(Cases, NotSubstituted,
                         testing::Values(Wrong{"${UNSET}", "`UNSET` is not set"}, Wrong{"x ${file:/none} y", "/none"},
                                         Wrong{"${Mixed}", "no substitution"}, Wrong{"${A-b}", "no substitution"},
                                         Wrong{"${PORT:?x}", "no substitution"}));

TEST(Substitution, AllMissingVariablesAreNamed) {
  ConfigNode node = scalar("${ONE} ${TWO}");
  Diagnostics diagnostics;
  EXPECT_FALSE(substitute(node, environment(), diagnostics));
  EXPECT_EQ(diagnostics.all().size(), 2U);
}

TEST(Substitution, FilesAreTextOfBoundedSizeWithoutTheirLastNewline) {
  const auto folder = std::filesystem::temp_directory_path() / ("fffa_substitute_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "secret") << "one\ntwo\n";
  std::ofstream(folder / "large") << std::string(100'000, 'x');
  std::ofstream(folder / "binary") << std::string("a\0b", 3);
  const Environment real = process_environment();
  EXPECT_EQ(*real.file(folder / "secret"), "one\ntwo");
  EXPECT_FALSE(real.file(folder / "large"));
  EXPECT_FALSE(real.file(folder / "binary"));
  EXPECT_FALSE(real.file(folder / "none"));
  EXPECT_FALSE(real.file(folder));
  EXPECT_FALSE(real.file("/dev/zero"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace fffa::core
