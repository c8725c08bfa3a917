// SPDX-License-Identifier: MIT
#include "netfilter.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <linux/bpf.h>
#include <linux/netfilter.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <fstream>
#include <memory>
#include <string_view>

#include "attach.h"
#include "fffa/fields.h"
#include "kernel_types.h"
#include "newer.h"
#include "privileges.h"
#include "rule_fields.h"

namespace fffa::ebpf {
namespace {

// Of kernel 6.4's <linux/bpf.h>; the headers we build with may be older.
struct NetfilterLinkAttributes {
  std::uint32_t program;
  std::uint32_t target;
  std::uint32_t attach_type;
  std::uint32_t flags;
  std::uint32_t family;
  std::uint32_t hook;
  std::int32_t priority;
  std::uint32_t netfilter_flags;
};

constexpr std::array<std::uint32_t, 5> kHooks = {NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN, NF_INET_FORWARD,
                                                 NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING};
constexpr std::array<std::uint32_t, 2> kLastHooks = {NF_INET_LOCAL_IN, NF_INET_POST_ROUTING};
constexpr std::array<std::uint32_t, 3> kOtherHooks = {NF_INET_PRE_ROUTING, NF_INET_FORWARD, NF_INET_LOCAL_OUT};

constexpr std::chrono::milliseconds kSettle{40};  // a trace is complete, and its rule known, in less
constexpr std::chrono::seconds kReadersPause{5};  // nobody tells when somebody begins to read a queue

constexpr int kPriorities = 64;  // tried, from the outermost inwards: each may be somebody else's

int create_link(int program, std::uint32_t family, std::uint32_t hook, std::int32_t priority) {
  NetfilterLinkAttributes attributes{};
  attributes.program = static_cast<std::uint32_t>(program);
  attributes.attach_type = kNetfilterAttach;
  attributes.family = family;
  attributes.hook = hook;
  attributes.priority = priority;
  return static_cast<int>(::syscall(SYS_bpf, BPF_LINK_CREATE, &attributes, sizeof attributes));
}

// Of enum nf_inet_hooks.
std::string_view name_of(std::uint32_t hook) {
  return fffa::hook_name(static_cast<NetfilterHook>(hook + 1));
}

Result<Descriptor> attach_at(int program, std::uint32_t family, std::uint32_t hook, bool last) {
  for (int i = 1; i <= kPriorities; ++i) {
    Descriptor link(create_link(program, family, hook, last ? INT_MAX - i : INT_MIN + i));
    if (link) return link;
    if (errno != EBUSY) break;
  }
  return kernel_error("attach to netfilter hook " + std::string(name_of(hook)));
}

}  // namespace

std::string drop_reason_name(std::uint32_t reason) {
  constexpr std::string_view prefix = "SKB_DROP_REASON_";
  const KernelTypes types = load_kernel_types();
  if (!types) return {};
  const int id = btf__find_by_name_kind(types.get(), "skb_drop_reason", BTF_KIND_ENUM);
  if (id < 0) return {};
  const btf_type* type = btf__type_by_id(types.get(), static_cast<std::uint32_t>(id));
  const struct btf_enum* values = btf_enum(type);
  for (std::uint32_t i = 0; i < btf_vlen(type); ++i) {
    if (static_cast<std::uint32_t>(values[i].val) != reason) continue;
    const std::string_view name = btf__name_by_offset(types.get(), values[i].name_off);
    return std::string(name.starts_with(prefix) ? name.substr(prefix.size()) : name);
  }
  return {};
}

Result<void> Netfilter::attach_hooks(Program program, std::span<const std::uint32_t> hooks) {
  const bool last = program == Program::hook_end;
  auto loaded = table_.program(program);
  if (!loaded) return loaded.error();
  for (const std::uint32_t family : {NFPROTO_IPV4, NFPROTO_IPV6}) {
    for (const std::uint32_t hook : hooks) {
      auto link = attach_at(*loaded, family, hook, last);
      if (!link) return link.error();
      links_.push_back(std::move(*link));
    }
  }
  return {};
}

Result<void> Netfilter::attach_freed() {
  const bool loads = static_cast<bool>(table_.program(Program::freed_for));
  return trace(loads ? Program::freed_for : Program::freed, "the tracepoint kfree_skb");
}

Result<void> Netfilter::trace(Program program, std::string_view what) {
  auto loaded = table_.program(program);
  if (!loaded) return loaded.error();
  auto link = attach_tracing(*loaded, what);
  if (!link) return link.error();
  links_.push_back(std::move(*link));
  return {};
}

// Where a packet is accepted, and where it is freed: that is all that most machines need, and costs least.
Result<void> Netfilter::attach_links() {
  auto attached = attach_hooks(Program::hook_end, kLastHooks);
  if (attached) attached = attach_freed();
  if (attached && config_.detail == Detail::all) attached = take_notes();
  return attached;
}

// Before kernel 6.4. Packets are noted there always, hence followed through queues as well.
Result<void> Netfilter::attach_traced() {
  noting_ = true;
  if (config_.detail == Detail::all) table_.count_hooks();
  auto attached = trace(Program::traced_begin, "nf_hook_slow");
  if (attached) attached = trace(Program::traced_freed, "the tracepoint kfree_skb");
  if (attached) {
    wait_for_running_programs();  // packets that are between the hook's ends now were not noted
    attached = trace(Program::traced_end, "nf_hook_slow");
  }
  if (attached) attached = trace(Program::traced_back, "nf_reinject");
  if (!attached) {
    Error refused = attached.error();
    refused.message += " (before kernel 6.4 netfilter is watched by tracing programs, which lockdown may forbid)";
    return refused;
  }
  hold_hooks();
  return {};
}

void Netfilter::hold_hooks() {
  auto held = HookTable::make();
  if (held) {
    held_hooks_ = std::move(*held);
    return;
  }
  context_.log().warning(held.error().message +
                         ": accepted packets are counted only where somebody else has chains at " +
                         "input and postrouting");
}

Result<void> Netfilter::start() {
  auto attached = has_netfilter_links() == false ? attach_traced() : attach_links();
  if (!attached) {
    detach();
    return attached;
  }
  if (config_.rules != Rules::off) start_rules();
  follow_queues();
  context_.log().info("netfilter: verdicts" +
                      (rules_ ? ", rules by the table inet " + rules_->table() : std::string()) +
                      (noting_ ? ", packets followed from hook to hook" : ""));
  return {};
}

void Netfilter::start_rules() {
  RuleTracerOptions options;
  options.mode =
      config_.rules == Rules::sampled ? RuleTracerOptions::Mode::sampled : RuleTracerOptions::Mode::first_packet;
  options.rate = config_.rate;
  auto tracer = RuleTracer::start(options, context_.log());
  if (!tracer) {
    context_.log().warning(tracer.error().message + ": verdicts are reported without their rules");
    return;
  }
  rules_ = std::move(*tracer);
}

// Without the rules, or with those that cannot be listed: whether somebody reads a queue.
bool Netfilter::queues() const {
  if (rules_ && rules_->queues()) return true;
  if (rules_ && !has_legacy_iptables()) return false;
  std::ifstream readers("/proc/thread-self/net/netfilter/nfnetlink_queue");
  std::string reader;
  return static_cast<bool>(readers >> reader);
}

// What is queued leaves the hook and comes back: only notes tell that apart from what is dropped there.
void Netfilter::follow_queues() {
  if (noting_ || !queues()) return;
  if (auto done = take_notes(); !done)  // not tried again
    context_.log().warning(done.error().message + ": queued packets are not followed");
}

void Netfilter::read() {
  const auto now = std::chrono::steady_clock::now();
  const std::uint64_t listed = listings_;
  if (rules_) {
    rules_->read();
    listings_ = rules_->stats().listings;
  }
  if (listings_ == listed && now < look_for_queues_) return;
  look_for_queues_ = now + kReadersPause;
  follow_queues();
}

// All or nothing: what is noted at one end of a hook must be looked at at the other.
Result<void> Netfilter::take_notes() {
  noting_ = true;
  const auto before = static_cast<std::ptrdiff_t>(links_.size());
  table_.begin_notes();
  auto done = attach_hooks(Program::hook_end, kOtherHooks);
  if (done) done = attach_hooks(Program::hook_begin, kHooks);
  if (!done) {
    links_.erase(links_.begin() + before, links_.end());
    return done;
  }
  wait_for_running_programs();  // packets that are between two hooks now were not noted at the first
  if (config_.detail == Detail::all) table_.count_hooks();
  table_.take_notes();
  return {};
}

// What was traced is asked for still.
void Netfilter::detach() {
  links_.clear();
  held_hooks_.reset();
  if (rules_) rules_->read();
}

void Netfilter::watch(std::vector<std::pair<std::uint32_t, std::uint32_t>> interfaces) {
  if (interfaces == watched_) return;
  watched_ = std::move(interfaces);
  const std::size_t left_out = table_.set_monitored(watched_);
  if (left_out == 0) return;
  context_.log().warning("netfilter: " + std::to_string(left_out) + " of " + std::to_string(watched_.size()) +
                         " interfaces get no verdicts: there is room for " + std::to_string(FFFA_INTERFACES) +
                         " at most");
}

void Netfilter::add(std::uint32_t ifindex, Direction direction) {
  const std::uint32_t bit = 1U << (direction == Direction::egress ? FFFA_EGRESS : FFFA_INGRESS);
  auto all = watched_;
  const auto known = std::find_if(all.begin(), all.end(), [=](const auto& item) { return item.first == ifindex; });
  if (known == all.end())
    all.emplace_back(ifindex, bit);
  else
    known->second |= bit;
  watch(std::move(all));
}

Text Netfilter::reason_name(std::uint32_t reason) {
  const auto known = reasons_.find(reason);
  if (known != reasons_.end()) return known->second;
  std::string name = drop_reason_name(reason);
  if (name.empty()) name = std::to_string(reason);
  return reasons_.emplace(reason, context_.texts().intern(name)).first->second;
}

void Netfilter::complete(const fffa_drain_record& entry, std::vector<FlowRecord>& records, std::size_t index) {
  if ((entry.flags & FFFA_RECORD_VERDICTS) == 0) return;
  FlowRecord& record = records[index];
  const bool leaves = record.direction == Direction::egress;
  const unsigned side = leaves ? FFFA_EGRESS : FFFA_INGRESS;
  const fffa_verdict_side& verdicts = entry.verdicts.side[side];
  if (record.has(Has::drops)) record.drop_reason = reason_name(verdicts.freed_reason);
  if (!rules_ || !record.has(Has::netfilter)) return;
  const TracedFlow flow = traced_flow(entry, record);
  if (!add_rule(flow, record)) late_.push_back({index, flow});
}

void Netfilter::settle(std::vector<FlowRecord>& records, std::int64_t began) {
  using Clock = std::chrono::steady_clock;
  if (late_.empty()) return;
  const Clock::time_point deadline = Clock::time_point(std::chrono::nanoseconds(began)) + kSettle;
  while (rules_->waiting() && Clock::now() < deadline) {
    pollfd news{rules_->fd(), POLLIN, 0};
    ::poll(&news, 1, 5);
    rules_->read();
  }
  for (const auto& [index, flow] : late_) {
    FlowRecord& record = records[index];
    if (add_rule(flow, record) || links_.empty()) continue;
    // a connection that is older than we are has no first packet any more: it is asked for once
    if (refuses(record.netfilter_verdict))
      rules_->want(flow);
    else
      rules_->want_once(flow);
  }
  late_.clear();
}

bool Netfilter::add_rule(const TracedFlow& flow, FlowRecord& record) {
  const Rule* rule = rules_->find(flow);
  return rule != nullptr && fill_rule(*rule, texts_, record);
}

void Netfilter::count() {
  if (texts_.refused() != 0 && !said_full_) {
    context_.log().warning(
        "netfilter: so many rules have come and gone that new ones are reported without their texts until a restart");
    said_full_ = true;
  }
  constexpr std::array<std::string_view, FFFA_UNATTRIBUTED> whys = {"not_parsed", "table_full", "note_lost"};
  const auto unattributed = table_.take_unattributed();
  for (std::size_t i = 0; i < unattributed.size(); ++i) {
    if (unattributed[i] == 0) continue;
    context_.metrics()
        .counter("fffa_ebpf_netfilter_unattributed_total", "packets whose verdict is in no flow", {{"reason", whys[i]}})
        .add(unattributed[i]);
  }
  if (config_.detail != Detail::all) return;
  const auto hooks = table_.take_hook_deltas();
  for (std::uint32_t hook = FFFA_PRE_ROUTING; hook <= FFFA_POST_ROUTING; ++hook) {
    const auto& delta = hooks[hook];
    const std::array<std::pair<std::string_view, std::uint64_t>, 4> verdicts = {
        {{"ACCEPT", delta.accepts}, {"DROP", delta.drops}, {"REJECT", delta.rejects}, {"QUEUE", delta.queues}}};
    for (const auto& [verdict, packets] : verdicts) {
      if (packets == 0) continue;
      context_.metrics()
          .counter("fffa_ebpf_netfilter_packets_total", "packets at each hook, of all interfaces",
                   {{"hook", name_of(hook - 1)}, {"verdict", verdict}})
          .add(packets);
    }
  }
}

}  // namespace fffa::ebpf
