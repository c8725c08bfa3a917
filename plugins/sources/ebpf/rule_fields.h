// SPDX-License-Identifier: MIT
// What the rule that decided one packet of a flow says of the flow's record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "fffa/record.h"
#include "fffa/text.h"
#include "fffa_bpf/types.h"
#include "rules/rule_tracer.h"

namespace fffa::ebpf {

// Drop or reject.
bool refuses(Verdict verdict) noexcept;

// What the first hook saw of a record's flow. `entry` is what the record was made of.
TracedFlow traced_flow(const fffa_drain_record& entry, const FlowRecord& record);

// The texts of rules, of which a firewall that is changed all the time makes ever new ones: a text that is interned
// stays for ever, so there is a limit. One thread.
class RuleTexts {
 public:
  explicit RuleTexts(TextTable& texts) : texts_(texts) {}
  // Text::null beyond the limit: refused() then counts it.
  Text intern(const std::string& text);
  std::uint64_t refused() const noexcept { return refused_; }

 private:
  TextTable& texts_;
  std::unordered_map<std::string, Text> known_;
  std::size_t bytes_ = 0;
  std::uint64_t refused_ = 0;
};

// False: the rule decided otherwise than the flow's last packet was, so that it is not the one; nothing is changed
// then. A rule that queues may be followed by any verdict. One that refuses knows better than the kernel program
// whether that was a drop or a reject, and at which hook.
bool fill_rule(const Rule& rule, RuleTexts& texts, FlowRecord& record);

}  // namespace fffa::ebpf
