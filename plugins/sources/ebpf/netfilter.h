// SPDX-License-Identifier: MIT
// What netfilter made of the flows' packets: the programs at its hooks, and what they report, in words.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config.h"
#include "fffa/context.h"
#include "fffa/detail/descriptor.h"
#include "fffa/record.h"
#include "kernel_table.h"
#include "rule_fields.h"
#include "rules/hook_table.h"
#include "rules/rule_tracer.h"

namespace fffa::ebpf {

// One thread. Destruction detaches; a killed process's links vanish with it.
class Netfilter {
 public:
  Netfilter(const NetfilterConfig& config, StageContext& context, KernelTable& table)
      : config_(config), context_(context), table_(table), texts_(context.texts()) {}

  // Attaches to the hooks of this network namespace. Errors as KernelTable::program(); nothing is attached then.
  Result<void> start();
  // No more verdicts; complete() goes on to tell what those that were counted mean.
  void detach();

  // Readable when read() has something to do; -1: never.
  int fd() const noexcept { return rules_ ? rules_->fd() : -1; }
  // Takes in what nftables has traced, and what has changed in its rules.
  void read();

  // These interfaces' flows get verdicts: as Ports::attached() says.
  void watch(std::vector<std::pair<std::uint32_t, std::uint32_t>> interfaces);
  // This one too, in this direction.
  void add(std::uint32_t ifindex, Direction direction);

  // Adds to records[index], of one side of an entry, what the kernel's numbers mean.
  void complete(const fffa_drain_record& entry, std::vector<FlowRecord>& records, std::size_t index);
  // The records are about to go: those whose packets were traced just before the read-out `began` (CLOCK_MONOTONIC) get
  // their rules, for which it waits a moment, once in each.
  void settle(std::vector<FlowRecord>& records, std::int64_t began);
  // Verdicts that belong to no flow, and those of each hook, as metrics.
  void count();

 private:
  Result<void> attach_hooks(Program program, std::span<const std::uint32_t> hooks);
  Result<void> take_notes();
  Result<void> attach_freed();
  Result<void> attach_links();
  Result<void> attach_traced();
  Result<void> trace(Program program, std::string_view what);
  void hold_hooks();
  void start_rules();
  bool queues() const;
  void follow_queues();
  bool add_rule(const TracedFlow& flow, FlowRecord& record);
  Text reason_name(std::uint32_t reason);

  const NetfilterConfig& config_;
  StageContext& context_;
  KernelTable& table_;
  RuleTexts texts_;
  bool said_full_ = false;
  std::vector<Descriptor> links_;
  std::unique_ptr<HookTable> held_hooks_;  // before kernel 6.4
  std::unique_ptr<RuleTracer> rules_;      // none: not wanted, or not allowed
  std::uint64_t listings_ = 0;             // of rules_ that were searched for queues
  std::chrono::steady_clock::time_point look_for_queues_;
  bool noting_ = false;  // or tried to
  std::vector<std::pair<std::uint32_t, std::uint32_t>> watched_;
  std::unordered_map<std::uint32_t, Text> reasons_;
  struct Late {
    std::size_t index = 0;
    TracedFlow flow;
  };
  std::vector<Late> late_;  // records of the batch whose rule is not known
};

// The kernel's name of a drop reason, without its prefix ("NETFILTER_DROP"); empty: the kernel does not say.
std::string drop_reason_name(std::uint32_t reason);

}  // namespace fffa::ebpf
