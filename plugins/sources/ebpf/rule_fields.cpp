// SPDX-License-Identifier: MIT
#include "rule_fields.h"

namespace fffa::ebpf {
namespace {

constexpr std::size_t kTextBytes = 16U << 20;  // some hundred thousand rules, over the life of a run

}  // namespace

Text RuleTexts::intern(const std::string& text) {
  if (const auto found = known_.find(text); found != known_.end()) return found->second;
  if (bytes_ + text.size() > kTextBytes) {
    ++refused_;
    return Text::null;
  }
  bytes_ += text.size() + sizeof(std::string);
  return known_.emplace(text, texts_.intern(text)).first->second;
}

bool refuses(Verdict verdict) noexcept {
  return verdict == Verdict::drop || verdict == Verdict::reject;
}

TracedFlow traced_flow(const fffa_drain_record& entry, const FlowRecord& record) {
  if (record.direction != Direction::egress) return {record.flow, record.ifindex};
  const bool translated = entry.verdicts.translation[FFFA_EGRESS].state == FFFA_TRANSLATED;
  return {translated ? record.nat : record.flow, entry.verdicts.side[FFFA_EGRESS].came_in};
}

bool fill_rule(const Rule& rule, RuleTexts& texts, FlowRecord& record) {
  const bool queued = rule.verdict == Verdict::queue;
  if (!queued && refuses(rule.verdict) != refuses(record.netfilter_verdict)) return false;
  record.netfilter_priority = rule.priority;
  record.netfilter_table = texts.intern(rule.table);
  record.netfilter_chain = texts.intern(rule.chain);
  record.netfilter_target = texts.intern(rule.target);
  record.netfilter_match_info = texts.intern(rule.match_info);
  if (rule.rule_num) {
    record.set(Has::rule);
    record.netfilter_rule_num = *rule.rule_num;
  }
  if (!refuses(rule.verdict)) return true;
  record.netfilter_hook = rule.hook;
  record.netfilter_verdict = rule.verdict;
  const std::uint64_t refused = record.netfilter_drops + record.netfilter_rejects;
  record.netfilter_drops = rule.verdict == Verdict::reject ? 0 : refused;
  record.netfilter_rejects = refused - record.netfilter_drops;
  return true;
}

}  // namespace fffa::ebpf
