// SPDX-License-Identifier: MIT
#include "config/yaml.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

namespace fffa::core {
namespace {

using Kind = ConfigNode::Kind;

struct Parsed {
  std::optional<ConfigNode> root;
  std::vector<Diagnostic> problems;
};

Parsed parse(std::string_view text, const YamlLimits& limits = {}) {
  Diagnostics diagnostics;
  auto root = parse_yaml(text, {std::make_shared<const std::string>("f.yaml")}, diagnostics, limits);
  return {std::move(root), diagnostics.all()};
}

std::string place(const Diagnostic& one) {
  return to_string(one.at);
}

TEST(Yaml, KeepsPlacesOfKeysAndValues) {
  const auto [root, problems] = parse("sources:\n  capture:\n    interfaces: [auto, 'lo']\n");
  ASSERT_TRUE(root);
  EXPECT_TRUE(problems.empty());
  const auto& capture = root->entries.at(0).value.entries.at(0);
  EXPECT_EQ(to_string(capture.key_at), "f.yaml:2:3");
  const ConfigNode& list = *capture.value.find("interfaces");
  ASSERT_EQ(list.kind, Kind::list);
  EXPECT_EQ(to_string(list.at), "f.yaml:3:17");
  EXPECT_EQ(list.items.at(0).value, "auto");
  EXPECT_EQ(to_string(list.items.at(1).at), "f.yaml:3:24");
}

TEST(Yaml, TellsQuotedFromPlainAndNullFromText) {
  const auto [root, problems] = parse("a: 5\nb: \"5\"\nc: '5'\nd: |\n  5\ne: ~\nf:\ng: \"~\"\nh: ''\n");
  ASSERT_TRUE(root);
  EXPECT_FALSE(root->find("a")->quoted);
  for (const char* key : {"b", "c", "d", "g", "h"}) EXPECT_TRUE(root->find(key)->quoted) << key;
  EXPECT_EQ(root->find("d")->value, "5\n");
  for (const char* key : {"e", "f"}) EXPECT_EQ(root->find(key)->kind, Kind::null) << key;
  for (const char* key : {"g", "h"}) EXPECT_EQ(root->find(key)->kind, Kind::scalar) << key;
}

TEST(Yaml, AliasesGiveTheValueWithThePlaceWhereItIsWritten) {
  const auto [root, problems] = parse("a: &x {p: 1}\nb: *x\nc: [*x, *x]\n");
  ASSERT_TRUE(root);
  EXPECT_TRUE(problems.empty());
  EXPECT_EQ(root->find("b")->find("p")->value, "1");
  EXPECT_EQ(to_string(root->find("c")->items.at(1).find("p")->at), "f.yaml:1:11");
}

TEST(Yaml, AByteOrderMarkIsNoPartOfTheText) {
  const auto [root, problems] = parse("\xef\xbb\xbfkey: 1\n");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->entries.at(0).key, "key");
  EXPECT_EQ(to_string(root->entries.at(0).key_at), "f.yaml:1:1");
}

struct Refused {
  friend std::ostream& operator<<(std::ostream& out, const Refused& one) { return out << one.name; }
  const char* name;
  std::string text;
  const char* place;
  const char* path;
  const char* message;  // part of it
  bool fatal;
};

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

std::string alias_bomb() {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string from = "*a" + std::to_string(i - 1);
    const std::string to = "a" + std::to_string(i);
    text.append(to).append(": &").append(to).append(" [").append(from).append(repeated(", " + from, 9)).append("]\n");
  }
  return text;
}

std::string text_bomb() {
  return "a: &a " + std::string(100'000, 'x') + "\nb: [" + repeated("*a, ", 1000) + "*a]\n";
}

class YamlRefused : public testing::TestWithParam<Refused> {};

TEST_P(YamlRefused, WithItsPlace) {
  const Refused& expected = GetParam();
  const auto start = std::chrono::steady_clock::now();
  const auto [root, problems] = parse(expected.text);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  ASSERT_EQ(problems.size(), 1U) << (problems.empty() ? "" : to_string(problems.back()));
  EXPECT_EQ(place(problems[0]), expected.place);
  EXPECT_EQ(problems[0].path, expected.path);
  EXPECT_NE(problems[0].message.find(expected.message), std::string::npos) << problems[0].message;
  EXPECT_EQ(!root, expected.fatal);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, YamlRefused,
    testing::Values(
        Refused{"duplicate", "a:\n  b: 1\n  b: 2\n", "f.yaml:3:3", "a.b", "duplicate key, first at f.yaml:2:3", false},
        Refused{"merge_key", "a: &x {p: 1}\nb:\n  <<: *x\n", "f.yaml:3:3", "b", "merge keys", false},
        Refused{"tag", "a: !!binary R0lG\n", "f.yaml:1:4", "a", "tag:yaml.org,2002:binary", false},
        Refused{"own_tag", "a: [!env HOME]\n", "f.yaml:1:5", "a[0]", "!env", false},
        Refused{"second_document", "a: 1\n---\nb: 2\n", "f.yaml:2:1", "", "second YAML document", true},
        Refused{"cyclic_alias", "a: &x\n  b: *x\n", "f.yaml:2:6", "", "itself part of", true},
        Refused{"unknown_alias", "a: *x\n", "f.yaml:1:4", "", "not valid YAML", true},
        Refused{"alias_bomb", alias_bomb(), "f.yaml:5:45", "", "100000 values", true},
        Refused{"text_bomb", text_bomb(), "f.yaml:2:669", "", "16 MiB", true},
        Refused{"deep_flow", repeated("[", 500) + repeated("]", 500), "f.yaml:1:65", "", "deeper than 64", true},
        Refused{"deep_maps", repeated("{a: ", 2'000), "f.yaml:1:253", "", "deeper than 64", true},
        Refused{"deep_block", repeated("- ", 5'000), "f.yaml:1:129", "", "deeper than 64", true},
        Refused{"many", "[" + repeated("1,", 200'000) + "]", "f.yaml:1:200000", "", "100000 values", true},
        Refused{"list_as_key", "? [a]\n: 1\n", "f.yaml:1:3", "", "a list as a key", false},
        Refused{"null_as_key", "~: 1\n", "f.yaml:1:1", "", "a key is missing", false},
        Refused{"tab", "a:\n  \tb: 1\n", "f.yaml:2:3", "", "a tab in the indentation", true},
        Refused{"open_list", "a: [1, 2\nb: 3\n", "f.yaml:2:2", "", "not valid YAML", true},
        Refused{"open_quote", "b: \"y\"\na: \"x\\\"\nc: 1\n\n", "f.yaml:2:4", "", "never closed", true},
        Refused{"open_single_quote", "a: &x 'it''s\n", "f.yaml:1:4", "", "never closed", true},
        Refused{"bad_indent", "a:\n    b: 1\n  c: 2\n", "f.yaml:3:3", "", "not valid YAML", true}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(Yaml, DeepAliasesCountTheirDepth) {
  std::string text = "a0: &a0 [x]\n";
  for (int i = 1; i < 70; ++i)
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + "]\n";
  const auto [root, problems] = parse(text);
  EXPECT_FALSE(root);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_NE(problems[0].message.find("deeper than 64"), std::string::npos);
}

TEST(Yaml, NestedAnchorsDoNotMultiplyMemory) {
  std::string text;
  for (int i = 0; i < 60; ++i) text += "&a" + std::to_string(i) + " [";
  text += repeated("x, ", 40'000) + "x" + repeated("]", 60);
  const auto [root, problems] = parse(text);
  EXPECT_FALSE(root);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_NE(problems[0].message.find("with anchors"), std::string::npos);
}

TEST(Yaml, QuotesInQuotesAreNoEnd) {
  const auto [root, problems] = parse("a: \"x\\\\\"\nb: 'it''s'\n");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->find("a")->value, "x\\");
  EXPECT_EQ(root->find("b")->value, "it's");
}

TEST(Yaml, KnowsThePlaceOfACharacterInAScalarOfOneLine) {
  const auto [root, problems] = parse(
      "a: plain x\nb: 'quoted x'\nc: \"esc\\tx\"\nd: |-\n  block x\ne: over\n  lines x\nf: [&y anchored x, *y]\ng: "
      "'it''s x'\n");
  ASSERT_TRUE(root);
  const auto place_of = [&tree = *root](const char* key) {
    const ConfigNode& node = *tree.find(key);
    return to_string(place_in(node, node.value.find('x')));
  };
  EXPECT_EQ(place_of("a"), "f.yaml:1:10");
  EXPECT_EQ(place_of("b"), "f.yaml:2:12");
  for (const auto& [key, start] :
       {std::pair{"c", "f.yaml:3:4"}, {"d", "f.yaml:4:4"}, {"e", "f.yaml:6:4"}, {"g", "f.yaml:9:4"}})
    EXPECT_EQ(place_of(key), start);
  const ConfigNode& anchored = root->find("f")->items.at(0);
  EXPECT_EQ(to_string(place_in(anchored, 9)), to_string(anchored.at));
}

TEST(Yaml, AHundredThousandOpenBracketsEndSoon) {
  const auto [root, problems] = parse(repeated("[", 100'000));
  EXPECT_FALSE(root);
  EXPECT_EQ(problems.size(), 1U);
}

TEST(Yaml, OneProblemDoesNotHideTheNext) {
  const auto [root, problems] = parse("a: 1\na: 2\nb: !x 1\n<<: {}\n[1]: 2\n");
  EXPECT_TRUE(root);
  EXPECT_EQ(problems.size(), 4U);
}

TEST(Yaml, ShownNeverShowsASecret) {
  ConfigNode node;
  node.kind = Kind::scalar;
  node.value = "hunter2\n\x1b[31m";
  EXPECT_EQ(shown(node), "`hunter2??[31m`");
  node.secret = true;
  EXPECT_EQ(shown(node).find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace fffa::core
