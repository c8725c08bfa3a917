// SPDX-License-Identifier: MIT
#include "rule_fields.h"

#include <gtest/gtest.h>

namespace fffa::ebpf {
namespace {

Rule rule(Verdict verdict) {
  Rule r;
  r.verdict = verdict;
  r.hook = NetfilterHook::forward;
  r.priority = 50;
  r.table = "filter";
  r.chain = "FORWARD";
  r.rule_num = 3;
  r.target = "T";
  r.match_info = "tcp dport 443";
  return r;
}

FlowRecord judged(Verdict verdict, std::uint64_t drops, std::uint64_t rejects) {
  FlowRecord record;
  record.set(Has::netfilter);
  record.netfilter_verdict = verdict;
  record.netfilter_hook = NetfilterHook::local_in;
  record.netfilter_drops = drops;
  record.netfilter_rejects = rejects;
  return record;
}

class FillRule : public ::testing::Test {
 protected:
  TextTable table_;
  RuleTexts texts_{table_};
};

// A text that is interned stays for ever.
TEST(RuleTexts, AreLimited) {
  TextTable table;
  RuleTexts texts(table);
  const std::string padding(500, 'x');
  std::size_t taken = 0;
  while (texts.intern(padding + std::to_string(taken)) != Text::null) ++taken;
  EXPECT_GT(taken, 10000u);
  EXPECT_LT(taken, 40000u);
  EXPECT_EQ(texts.refused(), 1u);
  EXPECT_EQ(table.view(texts.intern(padding + "0")), padding + "0") << "what is known stays known";
}

TEST_F(FillRule, SaysWhichRuleItWas) {
  FlowRecord record = judged(Verdict::accept, 0, 0);
  ASSERT_TRUE(fill_rule(rule(Verdict::accept), texts_, record));
  EXPECT_EQ(table_.view(record.netfilter_table), "filter");
  EXPECT_EQ(table_.view(record.netfilter_chain), "FORWARD");
  EXPECT_EQ(table_.view(record.netfilter_target), "T");
  EXPECT_EQ(table_.view(record.netfilter_match_info), "tcp dport 443");
  EXPECT_EQ(record.netfilter_priority, 50);
  EXPECT_TRUE(record.has(Has::rule));
  EXPECT_EQ(record.netfilter_rule_num, 3u);
  EXPECT_EQ(record.netfilter_hook, NetfilterHook::local_in) << "of an accept the kernel program knows";
}

TEST_F(FillRule, APolicyHasNoNumber) {
  Rule policy = rule(Verdict::drop);
  policy.rule_num = std::nullopt;
  policy.match_info = "";
  FlowRecord record = judged(Verdict::drop, 1, 0);
  ASSERT_TRUE(fill_rule(policy, texts_, record));
  EXPECT_FALSE(record.has(Has::rule));
  EXPECT_EQ(table_.view(record.netfilter_match_info), "");
}

TEST_F(FillRule, OneThatRefusesKnowsHowAndWhere) {
  FlowRecord record = judged(Verdict::drop, 5, 2);
  ASSERT_TRUE(fill_rule(rule(Verdict::reject), texts_, record));
  EXPECT_EQ(record.netfilter_verdict, Verdict::reject);
  EXPECT_EQ(record.netfilter_hook, NetfilterHook::forward);
  EXPECT_EQ(record.netfilter_drops, 0u);
  EXPECT_EQ(record.netfilter_rejects, 7u);

  record = judged(Verdict::reject, 0, 7);  // somebody else's answer, to the same address
  ASSERT_TRUE(fill_rule(rule(Verdict::drop), texts_, record));
  EXPECT_EQ(record.netfilter_verdict, Verdict::drop);
  EXPECT_EQ(record.netfilter_drops, 7u);
  EXPECT_EQ(record.netfilter_rejects, 0u);
}

TEST_F(FillRule, OfAnotherVerdictIsNotTheOne) {
  for (const auto& [traced, last] : {std::pair{Verdict::accept, Verdict::drop}, {Verdict::reject, Verdict::accept}}) {
    FlowRecord record = judged(last, 3, 0);
    EXPECT_FALSE(fill_rule(rule(traced), texts_, record));
    EXPECT_EQ(record.netfilter_verdict, last);
    EXPECT_EQ(record.netfilter_drops, 3u);
    EXPECT_EQ(record.netfilter_table, Text::null);
    EXPECT_FALSE(record.has(Has::rule));
  }
}

TEST_F(FillRule, WhatReadsTheQueueMayDecideEitherWay) {
  for (const auto last : {Verdict::accept, Verdict::drop}) {
    FlowRecord record = judged(last, 3, 0);
    ASSERT_TRUE(fill_rule(rule(Verdict::queue), texts_, record));
    EXPECT_EQ(record.netfilter_verdict, last);
    EXPECT_EQ(record.netfilter_hook, NetfilterHook::local_in);
    EXPECT_EQ(record.netfilter_drops, 3u);
    EXPECT_EQ(record.netfilter_rule_num, 3u);
  }
}

TEST(TracedFlow, IsWhatTheFirstHookSaw) {
  fffa_drain_record entry{};
  entry.verdicts.side[FFFA_EGRESS].came_in = 7;
  FlowRecord record;
  record.ifindex = 3;
  record.flow.src_port = 1;
  record.nat.src_port = 2;

  record.direction = Direction::ingress;
  entry.verdicts.translation[FFFA_INGRESS].state = FFFA_TRANSLATED;
  EXPECT_EQ(traced_flow(entry, record), (TracedFlow{record.flow, 3})) << "as it came, by its own interface";

  record.direction = Direction::egress;
  EXPECT_EQ(traced_flow(entry, record), (TracedFlow{record.flow, 7})) << "by the one where it came in";
  entry.verdicts.translation[FFFA_EGRESS].state = FFFA_TRANSLATED;
  EXPECT_EQ(traced_flow(entry, record), (TracedFlow{record.nat, 7})) << "as it was before its translation";
}

}  // namespace
}  // namespace fffa::ebpf
