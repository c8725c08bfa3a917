// SPDX-License-Identifier: MIT
#include "config/merge.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "config/yaml.h"

namespace fffa::core {
namespace {

ConfigNode parse(std::string_view text, const char* file) {
  Diagnostics diagnostics;
  auto root = parse_yaml(text, {std::make_shared<const std::string>(file)}, diagnostics);
  EXPECT_TRUE(root && diagnostics.empty());
  return root ? std::move(*root) : ConfigNode{};
}

constexpr const char* kBase =
    "sources:\n"
    "  capture: {type: ebpf, interfaces: [a, b], limits: {x: 1, y: 2}}\n"
    "enrichers:\n"
    "  host: {type: imds, inputs: [capture], refresh: 5m}\n"
    "threads: 2\n";

std::vector<Diagnostic> merged(ConfigNode& base, std::string_view overlay) {
  Diagnostics diagnostics;
  merge(base, parse(overlay, "over.yaml"), diagnostics);
  return diagnostics.all();
}

TEST(Merge, MapsMergeListsAndScalarsReplace) {
  ConfigNode base = parse(kBase, "base.yaml");
  EXPECT_TRUE(merged(base, "sources:\n  capture: {interfaces: [c], limits: {y: 3}}\nthreads: 4\n").empty());
  const ConfigNode& capture = *base.find("sources")->find("capture");
  EXPECT_EQ(capture.find("type")->value, "ebpf");
  ASSERT_EQ(capture.find("interfaces")->items.size(), 1U);
  EXPECT_EQ(to_string(capture.find("interfaces")->items[0].at), "over.yaml:2:26");
  EXPECT_EQ(capture.find("limits")->find("x")->value, "1");
  EXPECT_EQ(capture.find("limits")->find("y")->value, "3");
  EXPECT_EQ(to_string(capture.find("limits")->find("x")->at), "base.yaml:2:57");
  EXPECT_EQ(base.find("threads")->value, "4");
}

TEST(Merge, NullRemoves) {
  ConfigNode base = parse(kBase, "base.yaml");
  EXPECT_TRUE(merged(base, "enrichers: {host: ~}\nsources: {capture: {limits: ~}}\nthreads:\n").empty());
  EXPECT_TRUE(base.find("enrichers")->entries.empty());
  EXPECT_EQ(base.find("sources")->find("capture")->find("limits"), nullptr);
  EXPECT_EQ(base.find("threads"), nullptr);
}

TEST(Merge, ASectionWithNothingInItRemovesNothing) {
  ConfigNode base = parse(kBase, "base.yaml");
  EXPECT_TRUE(merged(base, "sources:\nthreads: 1\n").empty());
  EXPECT_EQ(base.find("sources")->entries.size(), 1U);
}

TEST(Merge, RemovingAStageThatIsNotThereIsAnError) {
  ConfigNode base = parse(kBase, "base.yaml");
  const auto problems = merged(base, "enrichers:\n  hots: ~\n");
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(to_string(problems[0].at), "over.yaml:2:3");
  EXPECT_EQ(problems[0].path, "enrichers.hots");
  EXPECT_NE(problems[0].hint.find("`host`"), std::string::npos);
}

TEST(Merge, ANewTypeDropsTheOldOptionsButKeepsTheInputs) {
  ConfigNode base = parse(kBase, "base.yaml");
  EXPECT_TRUE(merged(base, "enrichers: {host: {type: static, fields: {a: b}}}").empty());
  const ConfigNode& host = *base.find("enrichers")->find("host");
  EXPECT_EQ(host.find("type")->value, "static");
  EXPECT_EQ(host.find("inputs")->items.at(0).value, "capture");
  EXPECT_EQ(host.find("refresh"), nullptr);
  EXPECT_NE(host.find("fields"), nullptr);
}

TEST(Merge, TheSameTypeKeepsTheOptions) {
  ConfigNode base = parse(kBase, "base.yaml");
  EXPECT_TRUE(merged(base, "enrichers: {host: {type: imds}}").empty());
  EXPECT_NE(base.find("enrichers")->find("host")->find("refresh"), nullptr);
}

TEST(Override, IsAnOverlayWithPlacesInTheArgument) {
  Diagnostics diagnostics;
  const auto root = parse_override("sources.capture.interfaces=[veth0]", 2, diagnostics);
  ASSERT_TRUE(root);
  const ConfigNode& list = *root->find("sources")->find("capture")->find("interfaces");
  EXPECT_EQ(list.items.at(0).value, "veth0");
  EXPECT_EQ(to_string(list.items.at(0).at), "--set:2:29");
  EXPECT_EQ(to_string(root->find("sources")->entries.at(0).key_at), "--set:2:9");
}

TEST(Override, TakesAnyYamlValue) {
  Diagnostics diagnostics;
  EXPECT_EQ(parse_override("a.b=", 1, diagnostics)->find("a")->find("b")->kind, ConfigNode::Kind::null);
  EXPECT_EQ(parse_override("a.b=\"\"", 1, diagnostics)->find("a")->find("b")->kind, ConfigNode::Kind::scalar);
  EXPECT_EQ(parse_override("a=x=y", 1, diagnostics)->find("a")->value, "x=y");
  EXPECT_EQ(parse_override("a={b: 1}", 1, diagnostics)->find("a")->find("b")->value, "1");
  EXPECT_TRUE(diagnostics.empty());
}

TEST(Override, RefusesWhatIsNone) {
  for (const char* text : {"", "a", "=1", "a..b=1", ".a=1", "a.=1", "a=[1", "a=\"\x01\"", "a=b\n---\nc"}) {
    Diagnostics diagnostics;
    EXPECT_FALSE(parse_override(text, 1, diagnostics)) << text;
    ASSERT_EQ(diagnostics.all().size(), 1U) << text;
    EXPECT_EQ(*diagnostics.all()[0].at.file, "--set");
  }
}

}  // namespace
}  // namespace fffa::core
