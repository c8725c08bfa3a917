// SPDX-License-Identifier: MIT
#include "fffa/testing/config_text.h"

#include <gtest/gtest.h>

namespace {

using fffa::ConfigNode;
using fffa::testing::parse_config;

// The tree as text: maps {k: v}, lists [a], quoted scalars 'x', null ~.
std::string shown(const ConfigNode& node) {
  std::string text;
  switch (node.kind) {
    case ConfigNode::Kind::null: return "~";
    case ConfigNode::Kind::scalar: return node.quoted ? "'" + node.value + "'" : node.value;
    case ConfigNode::Kind::list:
      for (const auto& item : node.items) text += (text.empty() ? "" : ", ") + shown(item);
      return "[" + text + "]";
    case ConfigNode::Kind::map: break;
  }
  for (const auto& entry : node.entries) text += (text.empty() ? "" : ", ") + entry.key + ": " + shown(entry.value);
  return "{" + text + "}";
}

std::string parsed(const std::string& yaml) {
  const auto node = parse_config(yaml);
  return node.ok() ? shown(*node) : "error " + node.error().message;
}

TEST(ConfigText, Blocks) {
  EXPECT_EQ(parsed(""), "{}");
  EXPECT_EQ(parsed("# only a comment\n"), "{}");
  EXPECT_EQ(parsed("a: 1\nb: two words # why\nc:\n"), "{a: 1, b: two words, c: ~}");
  EXPECT_EQ(parsed("a:\n  b:\n    c: 1\n  d: 2\ne: 3\n"), "{a: {b: {c: 1}, d: 2}, e: 3}");
  EXPECT_EQ(parsed("a:\n  - 1\n  - b: 2\n    c: 3\n  -\n    d: 4\n"), "{a: [1, {b: 2, c: 3}, {d: 4}]}");
  EXPECT_EQ(parsed("a:\n- 1\n- 2\nb: 3\n"), "{a: [1, 2], b: 3}");
}

TEST(ConfigText, FlowsAndQuotes) {
  EXPECT_EQ(parsed("a: [1, 'b, c', {d: e, f: []}]"), "{a: [1, 'b, c', {d: e, f: []}]}");
  EXPECT_EQ(parsed("{a: 1, b: {c: 2}}"), "{a: 1, b: {c: 2}}");
  EXPECT_EQ(parsed("a: \"x # y\\n\"\nb: 'it''s'\n"), "{a: 'x # y\n', b: 'it's'}");
  EXPECT_EQ(parsed("a: ${srcaddr} ${dstaddr}"), "{a: ${srcaddr} ${dstaddr}}");
  EXPECT_EQ(parsed("a: http://x:1/\nb: ~\nc: null\nd: \"\""), "{a: http://x:1/, b: ~, c: ~, d: ''}");
}

TEST(ConfigText, ErrorsNameThePlace) {
  EXPECT_EQ(parsed("a: [1"), "error test.yaml:1:6: `]` is missing");
  EXPECT_EQ(parsed("a: 1\n   b: 2\n"), "error test.yaml:2:4: unexpected indentation");
  EXPECT_EQ(parsed("a: 1\nword\n"), "error test.yaml:2:1: expected `key: value`");
  EXPECT_EQ(parsed("a: 'x").substr(0, 18), "error test.yaml:1:");
  EXPECT_EQ(parsed("a: [1] 2"), "error test.yaml:1:8: unexpected text");
}

TEST(ConfigText, Places) {
  const auto node = parse_config("a: 1\nb:\n  - x\n  - [y, z]\n", "f");
  ASSERT_TRUE(node.ok());
  EXPECT_EQ(to_string(node->find("a")->at), "f:1:4");
  EXPECT_EQ(to_string(node->find("b")->items[0].at), "f:3:5");
  EXPECT_EQ(to_string(node->find("b")->items[1].items[1].at), "f:4:9");
}

}  // namespace
