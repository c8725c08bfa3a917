// SPDX-License-Identifier: MIT
#include "graph/draw.h"

#include <gtest/gtest.h>

#include "graph/json_schema.h"
#include "graph/test_types.h"
#include "nlohmann/json.hpp"

namespace fffa::core {
namespace {

constexpr const char* kPipeline =
    "sources: {cap: {type: src}}\n"
    "aggregators: {end: {type: windows, inputs: [cap]}}\n"
    "sinks:\n  logs: {type: async, inputs: [end]}\n  copy: {type: async, inputs: [{from: end, on_full: drop}]}\n";

TEST(Draw, Text) {
  EXPECT_EQ(draw_text(*build(kPipeline).pipeline),
            "source      cap   src      -> end\n"
            "aggregator  end   windows  -> logs, copy (drops when full)\n"
            "sink        logs  async\n"
            "sink        copy  async\n");
}

TEST(Draw, Mermaid) {
  EXPECT_EQ(draw_mermaid(*build(kPipeline).pipeline),
            "flowchart LR\n"
            "  s0([\"cap<br/>src\"])\n"
            "  s1[[\"end<br/>windows\"]]\n"
            "  s2[(\"logs<br/>async\")]\n"
            "  s3[(\"copy<br/>async\")]\n"
            "  s0 --> s1\n"
            "  s1 --> s2\n"
            "  s1 -. drops when full .-> s3\n");
}

constexpr const char* kConditions =
    "sources: {cap: {type: src}}\n"
    "sinks:\n"
    "  logs:\n    type: async\n    inputs:\n      - from: cap\n        when: |\n          proto == \"TCP\"\n          "
    "and bytes > 1\n"
    "  copy: {type: async, inputs: [{from: cap, on_full: drop, when: initiator}]}\n";

TEST(Draw, Conditions) {
  EXPECT_EQ(
      draw_text(*build(kConditions).pipeline),
      "source      cap   src    -> logs (when proto == \"TCP\" and bytes > 1), copy (when initiator, drops when full)\n"
      "sink        logs  async\n"
      "sink        copy  async\n");
  const auto mermaid = draw_mermaid(*build(kConditions).pipeline);
  EXPECT_NE(mermaid.find("  s0 -->|\"when proto == #34;TCP#34; and bytes #62; 1\"| s1\n"), std::string::npos)
      << mermaid;
  EXPECT_NE(mermaid.find("  s0 -.->|\"when initiator, drops when full\"| s2\n"), std::string::npos) << mermaid;
}

TEST(Draw, WhatWasSubstitutedIsNotShown) {
  auto built = build(kConditions);
  built.pipeline->stages[1].inputs[0].when_secret = true;
  EXPECT_EQ(draw_text(*built.pipeline).find("TCP"), std::string::npos);
}

TEST(JsonSchema, HasEveryTypeWithItsOptions) {
  const auto schema = nlohmann::json::parse(json_schema(test_types()));
  EXPECT_EQ(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
  const auto& source = schema["$defs"]["sources.src"];
  EXPECT_EQ(source["properties"]["type"]["const"], "src");
  EXPECT_EQ(source["properties"]["rate"]["anyOf"][0]["maximum"], 1000);
  EXPECT_EQ(source["properties"]["rate"]["default"], 10);
  EXPECT_FALSE(source["properties"].contains("inputs"));
  EXPECT_FALSE(source["additionalProperties"]);
  const auto& sink = schema["$defs"]["sinks.out"];
  EXPECT_EQ(sink["required"], nlohmann::json({"type", "inputs", "file"}));
  EXPECT_TRUE(sink["properties"].contains("on_reject"));
  EXPECT_EQ(sink["properties"]["inputs"]["items"]["anyOf"][1]["properties"]["when"]["type"],
            nlohmann::json({"string", "number", "boolean"}));
  EXPECT_EQ(schema["properties"]["sinks"]["additionalProperties"]["oneOf"].size(), 3U);
  EXPECT_TRUE(schema["properties"].contains("threads"));
}

}  // namespace
}  // namespace fffa::core
