// SPDX-License-Identifier: MIT
#include "graph/build.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>

#include "graph/test_types.h"

namespace fffa::core {
namespace {

const StageSpec& stage(const Pipeline& pipeline, std::string_view id) {
  return *std::find_if(pipeline.stages.begin(), pipeline.stages.end(), [&](const auto& one) { return one.id == id; });
}

TEST(Build, APipelineInTopologicalOrder) {
  const auto [pipeline, problems] = build(
      "sinks:\n"
      "  late: {type: async, inputs: [flows, {from: enriched, on_full: drop, queue: 7}], queue: 9, on_reject: drop,\n"
      "         buffer: {type: disk, max_size: 2GiB, when_full: drop_oldest, directory: /spool}}\n"
      "  file: {type: out, inputs: [flows], file: /x, buffer: {type: memory}}\n"
      "aggregators:\n"
      "  flows: {type: windows, inputs: [enriched], interval: 60s}\n"
      "enrichers:\n"
      "  enriched: {type: enrich, inputs: [a, b]}\n"
      "sources:\n"
      "  a: {type: src, rate: 5}\n"
      "  b: {type: src}\n"
      "shutdown_timeout: 5s\nthreads: 3\nmetrics: {listen: \"[::1]:1\"}\n");
  ASSERT_TRUE(pipeline) << to_string(problems.front());
  EXPECT_TRUE(problems.empty());
  ASSERT_EQ(pipeline->stages.size(), 6U);
  for (std::size_t i = 0; i < pipeline->stages.size(); ++i) {
    for (const auto& edge : pipeline->stages[i].inputs) EXPECT_LT(edge.from, i);
  }
  const StageSpec& late = stage(*pipeline, "late");
  EXPECT_EQ(late.kind, StageKind::async_sink);
  EXPECT_EQ(late.on_reject, OnReject::drop);
  ASSERT_EQ(late.inputs.size(), 2U);
  EXPECT_EQ(pipeline->stages[late.inputs[0].from].id, "flows");
  EXPECT_EQ(late.inputs[0].capacity, 9U);
  EXPECT_EQ(late.inputs[0].on_full, OnFull::block);
  EXPECT_EQ(pipeline->stages[late.inputs[1].from].id, "enriched");
  EXPECT_EQ(late.inputs[1].capacity, 7U);
  EXPECT_EQ(late.inputs[1].on_full, OnFull::drop);
  EXPECT_EQ(stage(*pipeline, "file").inputs[0].capacity, 65536U);
  EXPECT_EQ(stage(*pipeline, "a").options.entries.size(), 1U);
  EXPECT_TRUE(late.options.entries.empty());
  EXPECT_EQ(to_string(stage(*pipeline, "flows").at), "f.yaml:6:3");
  EXPECT_EQ(late.buffer.type, BufferSpec::Type::disk);
  EXPECT_EQ(late.buffer.max_size, std::uint64_t{2} << 30);
  EXPECT_EQ(late.buffer.when_full, WhenFull::drop_oldest);
  EXPECT_EQ(late.buffer.directory, "/spool");
  EXPECT_EQ(to_string(late.buffer.at), "f.yaml:3:18");
  EXPECT_EQ(stage(*pipeline, "file").buffer.type, BufferSpec::Type::memory);
  EXPECT_EQ(stage(*pipeline, "file").buffer.when_full, WhenFull::block);
  EXPECT_EQ(pipeline->settings.shutdown_timeout, std::chrono::seconds(5));
  EXPECT_EQ(pipeline->settings.threads, 3U);
  EXPECT_EQ(pipeline->settings.metrics_listen, "[::1]:1");
  EXPECT_TRUE(pipeline->settings.metrics_listen_explicit);
}

TEST(Build, SettingsHaveDefaults) {
  const auto [pipeline, problems] =
      build("sources: {a: {type: src}}\nsinks: {b: {type: async, inputs: [a]}}\nenrichers:\n");
  ASSERT_TRUE(pipeline);
  EXPECT_EQ(pipeline->settings.shutdown_timeout, std::chrono::seconds(30));
  EXPECT_EQ(pipeline->settings.metrics_listen, "127.0.0.1:9464");
  EXPECT_FALSE(pipeline->settings.metrics_listen_explicit);
}

TEST(Build, AnEmptyListenAddressMeansNone) {
  const auto [pipeline, problems] =
      build("sources: {a: {type: src}}\nsinks: {b: {type: async, inputs: [a]}}\nmetrics: {listen: ''}\n");
  ASSERT_TRUE(pipeline);
  EXPECT_EQ(pipeline->settings.metrics_listen, "");
}

TEST(Build, RecordsAreStampedBeforeTheLastHopToASink) {
  const auto [pipeline, problems] = build(
      "sources:\n  direct: {type: src}\n  behind: {type: src}\n"
      "enrichers:\n  e: {type: enrich, inputs: [direct]}\n"
      "aggregators:\n  first: {type: windows, inputs: [behind]}\n  second: {type: windows, inputs: [first, e]}\n"
      "sinks:\n  s: {type: async, inputs: [second, e]}\n");
  ASSERT_TRUE(pipeline);
  EXPECT_TRUE(stage(*pipeline, "direct").stamps);
  EXPECT_FALSE(stage(*pipeline, "behind").stamps);
  EXPECT_FALSE(stage(*pipeline, "e").stamps);
  EXPECT_FALSE(stage(*pipeline, "first").stamps);
  EXPECT_TRUE(stage(*pipeline, "second").stamps);
  EXPECT_FALSE(stage(*pipeline, "s").stamps);
}

// A configuration, and the one problem that comes of it.
struct Wrong {
  const char* name;
  std::string text;
  const char* place;
  const char* path;
  const char* message;    // part of it
  const char* hint = "";  // part of it
  friend std::ostream& operator<<(std::ostream& out, const Wrong& one) { return out << one.name; }
};

const std::string kSource = "sources: {a: {type: src}}\n";
const std::string kSound = kSource + "sinks: {s: {type: async, inputs: [a]}}\n";

class BuildRefuses : public testing::TestWithParam<Wrong> {};

TEST_P(BuildRefuses, WithPlacePathAndHint) {
  const Wrong& wrong = GetParam();
  const auto [pipeline, problems] = build(wrong.text);
  EXPECT_FALSE(pipeline);
  std::string all;
  for (const auto& one : problems) all += to_string(one) + "\n";
  ASSERT_EQ(problems.size(), 1U) << all;
  EXPECT_EQ(to_string(problems[0].at), wrong.place) << all;
  EXPECT_EQ(problems[0].path, wrong.path);
  EXPECT_NE(problems[0].message.find(wrong.message), std::string::npos) << all;
  EXPECT_NE(problems[0].hint.find(wrong.hint), std::string::npos) << all;
}

INSTANTIATE_TEST_SUITE_P(
    Stages, BuildRefuses,
    testing::Values(
        Wrong{"top_key", kSound + "sink: {}\n", "f.yaml:3:1", "sink", "unknown key", "`sinks`"},
        Wrong{"section_kind", kSound + "enrichers: [x]\n", "f.yaml:3:12", "enrichers", "got a list"},
        Wrong{"stage_kind", kSound + "enrichers: {e: 5}\n", "f.yaml:3:16", "enrichers.e", "expected a mapping"},
        Wrong{"stage_null", kSound + "enrichers: {e: }\n", "f.yaml:3:13", "enrichers.e", "got nothing"},
        Wrong{"bad_id", "sources: {'a/b': {type: src}}\nsinks: {s: {type: async, inputs: [a/b]}}\n", "f.yaml:1:11",
              "sources.`a/b`", "not a name"},
        Wrong{"no_type", "sources: {a: {rate: 1}}\nsinks: {s: {type: async, inputs: [a]}}\n", "f.yaml:1:11",
              "sources.a.type", "`type` is missing"},
        Wrong{"unknown_type", "sources: {a: {type: scr}}\nsinks: {s: {type: async, inputs: [a]}}\n", "f.yaml:1:21",
              "sources.a.type", "no plugin offers `scr`", "`src`"},
        Wrong{"broken_type", "sources: {a: {type: broken}}\nsinks: {s: {type: async, inputs: [a]}}\n", "f.yaml:1:21",
              "sources.a.type", "not available", "truncated"},
        Wrong{"list_as_type", "sources: {a: {type: [src]}}\nsinks: {s: {type: async, inputs: [a]}}\n", "f.yaml:1:21",
              "sources.a.type", "got a list"},
        Wrong{"wrong_section",
              "sources: {a: {type: src}}\nenrichers: {e: {type: async, inputs: [a]}}\nsinks: {s: {type: async, inputs: "
              "[e]}}\n",
              "f.yaml:2:23", "enrichers.e.type", "`async` is no enricher", "`sinks:`"},
        Wrong{"unknown_option", "sources: {a: {type: src, rat: 5}}\nsinks: {s: {type: async, inputs: [a]}}\n",
              "f.yaml:1:26", "sources.a.rat", "unknown option", "`rate`"},
        Wrong{"wrong_option", "sources: {a: {type: src, rate: x}}\nsinks: {s: {type: async, inputs: [a]}}\n",
              "f.yaml:1:32", "sources.a.rate", "an integer"},
        Wrong{"bad_unit", "sources: {a: {type: src, pause: 5x}}\nsinks: {s: {type: async, inputs: [a]}}\n",
              "f.yaml:1:33", "sources.a.pause", "a duration", "units are"},
        Wrong{"missing_option", kSource + "sinks: {s: {type: out, inputs: [a]}}\n", "f.yaml:2:9", "sinks.s.file",
              "`file` is missing"},
        Wrong{"own_check", kSource + "sinks: {s: {type: out, inputs: [a], file: /bad}}\n", "f.yaml:2:43",
              "sinks.s.file", "is bad"},
        Wrong{"source_inputs", "sources: {a: {type: src, inputs: [b]}}\nsinks: {s: {type: async, inputs: [a]}}\n",
              "f.yaml:1:34", "sources.a.inputs", "no inputs"},
        Wrong{"source_queue", "sources: {a: {type: src, queue: 5}}\nsinks: {s: {type: async, inputs: [a]}}\n",
              "f.yaml:1:26", "sources.a.queue", "no queue"},
        Wrong{"queue_range", kSource + "sinks: {s: {type: async, inputs: [a], queue: 0}}\n", "f.yaml:2:46",
              "sinks.s.queue", "from 1 to"},
        Wrong{"reject", kSource + "sinks: {s: {type: async, inputs: [a], on_reject: hodl}}\n", "f.yaml:2:50",
              "sinks.s.on_reject", "one of hold, dead_letter, drop", "`hold`"},
        Wrong{"dead_letter", kSource + "sinks: {s: {type: async, inputs: [a], on_reject: dead_letter}}\n",
              "f.yaml:2:50", "sinks.s.on_reject", "`async` has no place for dead letters"},
        Wrong{"reject_elsewhere",
              kSource + "enrichers: {e: {type: enrich, inputs: [a], on_reject: drop}}\nsinks: {s: {type: async, "
                        "inputs: [e]}}\n",
              "f.yaml:2:44", "enrichers.e.on_reject", "only a sink"},
        Wrong{"buffer_elsewhere",
              kSource + "enrichers: {e: {type: enrich, inputs: [a], buffer: {type: disk}}}\nsinks: {s: {type: async, "
                        "inputs: [e]}}\n",
              "f.yaml:2:44", "enrichers.e.buffer", "only a sink has a buffer", "`queue`"},
        Wrong{"buffer_type", kSource + "sinks: {s: {type: async, inputs: [a], buffer: {type: disc}}}\n", "f.yaml:2:54",
              "sinks.s.buffer.type", "one of disk, memory", "`disk`"},
        Wrong{"buffer_size", kSource + "sinks: {s: {type: async, inputs: [a], buffer: {type: disk, max_size: 1kB}}}\n",
              "f.yaml:2:70", "sinks.s.buffer.max_size", "from 64KiB"},
        Wrong{"buffer_in_memory",
              kSource + "sinks: {s: {type: async, inputs: [a], buffer: {type: memory, directory: /x}}}\n",
              "f.yaml:2:62", "sinks.s.buffer.directory", "unknown"},
        Wrong{"buffer_shared",
              kSource + "sinks: {s: {type: async, inputs: [a], buffer: {type: disk, directory: /x}},\n"
                        "  t: {type: async, inputs: [a], buffer: {type: disk, directory: /x/}}}\n",
              "f.yaml:3:3", "sinks.t", "shares the directory `/x/` with `s`"},
        Wrong{"when_of_the_stage", kSource + "sinks: {s: {type: async, inputs: [a], when: bytes > 1}}\n", "f.yaml:2:45",
              "sinks.s.when", "belongs to an input", "inputs: [{from: ID, when: ...}]"},
        Wrong{"when_plain", kSource + "sinks: {s: {type: async, inputs: [{from: a, when: bytes > 1 or pakets > 0}]}}\n",
              "f.yaml:2:64", "sinks.s.inputs[0].when", "no field is called `pakets`", "`packets`"},
        Wrong{"when_quoted", kSource + "sinks: {s: {type: async, inputs: [{from: a, when: 'bytes > many'}]}}\n",
              "f.yaml:2:60", "sinks.s.inputs[0].when", "expected a whole number of bytes, got `many`"},
        Wrong{"when_escaped", kSource + "sinks: {s: {type: async, inputs: [{from: a, when: \"bytes >\\tmany\"}]}}\n",
              "f.yaml:2:51", "sinks.s.inputs[0].when", "got `many`"},
        Wrong{"when_block",
              kSource + "sinks:\n  s:\n    type: async\n    inputs:\n      - from: a\n        when: >-\n"
                        "          bytes > many\n",
              "f.yaml:7:15", "sinks.s.inputs[0].when", "got `many`"},
        Wrong{"when_list", kSource + "sinks: {s: {type: async, inputs: [{from: a, when: [bytes > 1]}]}}\n",
              "f.yaml:2:51", "sinks.s.inputs[0].when", "got a list"},
        Wrong{"when_empty", kSource + "sinks: {s: {type: async, inputs: [{from: a, when: ''}]}}\n", "f.yaml:2:51",
              "sinks.s.inputs[0].when", "empty"},
        Wrong{"threads", kSound + "threads: 0\n", "f.yaml:3:10", "threads", "from 1 to 256"},
        Wrong{"listen", kSound + "metrics: {listen: here}\n", "f.yaml:3:19", "metrics.listen",
              "expected ADDRESS:PORT, got `here`"},
        Wrong{"listen_port", kSound + "metrics: {listen: 127.0.0.1:99999}\n", "f.yaml:3:19", "metrics.listen",
              "got `127.0.0.1:99999`"},
        Wrong{"metrics_key", kSound + "metrics: {lisen: ''}\n", "f.yaml:3:11", "metrics.lisen", "unknown option",
              "`listen`"}),
    [](const auto& each) { return std::string(each.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Graph, BuildRefuses,
    testing::Values(
        Wrong{"no_inputs", kSource + "sinks: {s: {type: async}}\n", "f.yaml:2:9", "sinks.s.inputs", "missing"},
        Wrong{"empty_inputs", kSource + "sinks: {s: {type: async, inputs: []}}\n", "f.yaml:2:34", "sinks.s.inputs",
              "missing"},
        Wrong{"scalar_inputs", kSource + "sinks: {s: {type: async, inputs: a}}\n", "f.yaml:2:34", "sinks.s.inputs",
              "got `a`", "write [a]"},
        Wrong{"list_input", kSource + "sinks: {s: {type: async, inputs: [[a]]}}\n", "f.yaml:2:35", "sinks.s.inputs[0]",
              "got a list"},
        Wrong{"no_from", kSource + "sinks: {s: {type: async, inputs: [{on_full: drop}]}}\n", "f.yaml:2:35",
              "sinks.s.inputs[0].from", "`from` is missing"},
        Wrong{"on_full", kSource + "sinks: {s: {type: async, inputs: [{from: a, on_full: dorp}]}}\n", "f.yaml:2:54",
              "sinks.s.inputs[0].on_full", "one of block, drop", "`drop`"},
        Wrong{"dangling", "sources: {cap: {type: src}}\nsinks: {s: {type: async, inputs: [cpa]}}\n", "f.yaml:2:35",
              "sinks.s.inputs[0]", "no stage has the id `cpa`", "`cap`"},
        Wrong{"sink_as_input", kSource + "sinks: {s: {type: async, inputs: [a]}, t: {type: async, inputs: [s]}}\n",
              "f.yaml:2:66", "sinks.t.inputs[0]", "is a sink"},
        Wrong{"twice", kSource + "sinks: {s: {type: async, inputs: [a, a]}}\n", "f.yaml:2:38", "sinks.s.inputs[1]",
              "named twice"},
        Wrong{"duplicate_id", kSource + "sinks: {a: {type: async, inputs: [a]}}\n", "f.yaml:2:9", "sinks.a",
              "duplicate id, first at f.yaml:1:11"},
        Wrong{"unused", "sources: {a: {type: src}, b: {type: src}}\nsinks: {s: {type: async, inputs: [a]}}\n",
              "f.yaml:1:27", "sources.b", "nothing takes the output of `b`"},
        Wrong{"no_sink", "enrichers: {}\nsinks: {}\nsources: {a: {type: src}}\n", "f.yaml:2:8", "sinks",
              "there is none"},
        Wrong{"cycle",
              kSource + "enrichers:\n  x: {type: enrich, inputs: [a, z]}\n  y: {type: enrich, inputs: [x]}\n  z: "
                        "{type: enrich, inputs: [y]}\nsinks: {s: {type: async, inputs: [z]}}\n",
              "f.yaml:3:33", "enrichers.x.inputs[1]", "cycle: x -> y -> z -> x",
              "y at f.yaml:4:30, z at f.yaml:5:30, x at f.yaml:3:33"},
        Wrong{"self",
              kSource + "enrichers:\n  x: {type: enrich, inputs: [a, x]}\nsinks: {s: {type: async, inputs: [x]}}\n",
              "f.yaml:3:33", "enrichers.x.inputs[1]", "cycle: x -> x"},
        Wrong{"cumulative_to_sink",
              kSource + "aggregators: {w: {type: windows, inputs: [a], mode: cumulative}}\nsinks: {s: {type: "
                        "delta_sink, inputs: [w]}}\n",
              "f.yaml:3:40", "sinks.s.inputs[0]", "`w` (f.yaml:2:15) puts out totals"},
        Wrong{"cumulative_to_aggregator",
              kSource + "aggregators: {w: {type: windows, inputs: [a], mode: cumulative}, v: {type: windows, inputs: "
                        "[e]}}\nenrichers: {e: {type: enrich, inputs: [w]}}\nsinks: {s: {type: async, inputs: [v]}}\n",
              "f.yaml:2:94", "aggregators.v.inputs[0]", "`w` (f.yaml:2:15) puts out totals"},
        Wrong{"resource",
              kSource +
                  "sinks:\n  s: {type: out, inputs: [a], file: /x/./y}\n  t: {type: out, inputs: [a], file: /x/y}\n",
              "f.yaml:4:3", "sinks.t", "shares the file `/x/y` with `s` (f.yaml:3:3)"}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(Build, CumulativeRecordsMayGoToASinkThatTakesThem) {
  EXPECT_TRUE(
      build(
          kSource +
          "aggregators: {w: {type: windows, inputs: [a], mode: cumulative}}\nsinks: {s: {type: async, inputs: [w]}}\n")
          .pipeline);
}

TEST(Build, AnInputHasACondition) {
  const auto [pipeline, problems] = build(
      kSource + "sinks: {s: {type: async, inputs: [{from: a, when: bytes > 1}]}, t: {type: async, inputs: [a]}}\n");
  ASSERT_TRUE(pipeline) << to_string(problems.front());
  ASSERT_TRUE(stage(*pipeline, "s").inputs[0].when);
  EXPECT_EQ(stage(*pipeline, "s").inputs[0].when->text(), "bytes > 1");
  EXPECT_FALSE(stage(*pipeline, "t").inputs[0].when);
}

TEST(Build, AllProblemsComeAtOnce) {
  const auto [pipeline, problems] = build(
      "sources:\n  a: {type: src, rate: 0, rat: 1}\n"
      "enrichers:\n  e: {type: nope, inputs: [b]}\n  f: {type: enrich, inputs: [g]}\n  g: {type: enrich, inputs: [f]}\n"
      "sinks:\n  s: {type: out, inputs: [e, s]}\nthreads: many\n");
  EXPECT_FALSE(pipeline);
  EXPECT_EQ(problems.size(), 8U);
}

TEST(Build, SubstitutedValuesAreNotShown) {
  Diagnostics parsing;
  auto root = parse_yaml(kSource + "sinks: {s: {type: TTT, inputs: [III, {from: a, when: WWW}], password: PPP}}\n",
                         {std::make_shared<const std::string>("f.yaml")}, parsing);
  ASSERT_TRUE(root);
  ConfigNode& sink = *root->find("sinks")->find("s");
  sink.find("type")->secret = true;
  sink.find("inputs")->items[0].secret = true;
  sink.find("inputs")->items[1].find("when")->secret = true;
  TestTypes types;
  Diagnostics diagnostics;
  EXPECT_FALSE(build_pipeline(*root, types, diagnostics));
  EXPECT_GE(diagnostics.all().size(), 3U);
  for (const auto& one : diagnostics.all()) {
    EXPECT_EQ(to_string(one).find("TTT"), std::string::npos);
    EXPECT_EQ(to_string(one).find("III"), std::string::npos);
    EXPECT_EQ(to_string(one).find("WWW"), std::string::npos);
  }
}

TEST(Build, ManyStagesEndSoon) {
  std::string text = kSource + "enrichers:\n";
  for (int i = 0; i < 2000; ++i) {
    text += "  e" + std::to_string(i) + ": {type: enrich, inputs: [" + (i == 0 ? "a" : "e" + std::to_string(i - 1)) +
            "]}\n";
  }
  const auto [pipeline, problems] = build(text);
  EXPECT_FALSE(pipeline);
  EXPECT_TRUE(std::any_of(problems.begin(), problems.end(),
                          [](const auto& one) { return one.message == "more than 1000 stages"; }));
}

}  // namespace
}  // namespace fffa::core
