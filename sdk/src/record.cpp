// SPDX-License-Identifier: MIT
#include "fffa/record.h"

#include <sys/auxv.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace fffa {

namespace {

__extension__ using Wide = unsigned __int128;

// 16 random bytes that the kernel gives every process: the same seed in every library of it, and no system call.
std::uint64_t process_seed(std::size_t half) noexcept {
  std::uint64_t seed = 0x9e3779b97f4a7c15ull * (half + 1);
  if (const auto* random = reinterpret_cast<const char*>(getauxval(AT_RANDOM)))
    std::memcpy(&seed, random + half * sizeof seed, sizeof seed);
  return seed;
}
const std::uint64_t kSeed0 = process_seed(0);
const std::uint64_t kSeed1 = process_seed(1);

std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t word(const std::uint8_t* bytes) noexcept {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

}  // namespace

FlowKey identity(const FlowRecord& record) noexcept {
  return {record.flow, record.host, record.interface, record.vni, record.encapsulation, record.direction};
}

std::uint64_t hash(const FlowKey& key) noexcept {
  constexpr std::uint64_t k0 = 0xa0761d6478bd642full, k1 = 0xe7037ed1a0b428dbull, k2 = 0x8ebc6af09c88c6e3ull,
                          k3 = 0x589965cc75374cc3ull;
  const auto& flow = key.flow;
  const std::uint64_t ports = flow.src_port | std::uint64_t{flow.dst_port} << 16 | std::uint64_t{flow.protocol} << 32 |
                              std::uint64_t{flow.family} << 40 |
                              std::uint64_t{static_cast<std::uint8_t>(key.encapsulation)} << 48 |
                              std::uint64_t{static_cast<std::uint8_t>(key.direction)} << 56;
  const std::uint64_t where = static_cast<std::uint64_t>(key.host) | static_cast<std::uint64_t>(key.interface) << 32;
  const std::uint64_t src = mix(word(flow.src.data()) ^ k0 ^ kSeed0, word(flow.src.data() + 8) ^ k1 ^ kSeed1);
  const std::uint64_t dst = mix(word(flow.dst.data()) ^ k2 ^ kSeed0, word(flow.dst.data() + 8) ^ k3 ^ kSeed1);
  const std::uint64_t rest = mix(ports ^ k1 ^ kSeed1, where ^ k2 ^ kSeed0);
  return mix(mix(src ^ k3, dst ^ k0) ^ rest, std::uint64_t{key.vni} ^ k0 ^ kSeed1);
}

void FlowRecord::set_label(Text name, Text value) noexcept {
  for (std::size_t i = 0; i < label_count; ++i) {
    if (labels[i].name == name) {
      labels[i].value = value;
      return;
    }
  }
  if (label_count == kMaxLabels) {
    ++labels_lost;
    return;
  }
  labels[label_count++] = {name, value};
}

namespace {

constexpr std::uint32_t bit(Has what) noexcept {
  return static_cast<std::uint32_t>(what);
}

// Times of 0 are "not set": the earlier of those that are set.
TimeNs earlier(TimeNs a, TimeNs b) noexcept {
  return static_cast<TimeNs>(std::min(static_cast<std::uint64_t>(a) - 1, static_cast<std::uint64_t>(b) - 1) + 1);
}

// The end of what a record tells of, by which "last" goes.
TimeNs end_of(const FlowRecord& record) noexcept {
  return std::max(record.last_seen, record.refused_last_seen);
}

// "Last" of two values, either of which may be missing. The compiler makes conditional moves of these: which one
// wins is not predictable.
template <typename T>
void last(T& mine, const T& theirs, bool later) noexcept {
  mine = (theirs != T{} && (later || mine == T{})) ? theirs : mine;
}
template <typename T>
void last_if(T& mine, const T& theirs, bool take) noexcept {
  mine = take ? theirs : mine;
}

struct Presence {
  std::uint32_t mine;
  std::uint32_t theirs;
  bool later;
  bool has(Has what) const noexcept { return (theirs & bit(what)) != 0; }
  // Their value is the one to keep as the last.
  bool take(Has what) const noexcept { return has(what) && (later || (mine & bit(what)) == 0); }
};

void merge_counters(FlowRecord& r, const FlowRecord& o) noexcept {
  r.packets += o.packets;
  r.bytes += o.bytes;
  r.outer_bytes += o.outer_bytes;
  r.new_packets += o.new_packets;
  r.new_bytes += o.new_bytes;
  r.fast_retransmits += o.fast_retransmits;
  r.timeout_retransmits += o.timeout_retransmits;
  r.spurious_retransmissions += o.spurious_retransmissions;
  r.out_of_order_pkts += o.out_of_order_pkts;
  r.duplicate_acks += o.duplicate_acks;
  r.zero_windows += o.zero_windows;
  r.jitter_sum_us += o.jitter_sum_us;
  r.jitter_samples += o.jitter_samples;
  r.ecn_ce_packets += o.ecn_ce_packets;
  r.tcp_ece_packets += o.tcp_ece_packets;
  r.tcp_cwr_packets += o.tcp_cwr_packets;
  r.netfilter_accepts += o.netfilter_accepts;
  r.netfilter_drops += o.netfilter_drops;
  r.netfilter_rejects += o.netfilter_rejects;
  r.netfilter_queues += o.netfilter_queues;
  r.refused_packets += o.refused_packets;
  r.refused_bytes += o.refused_bytes;
  r.drops += o.drops;
  r.labels_lost += o.labels_lost;
  r.tcp_flags |= o.tcp_flags;
  r.vpc_tcp_flags |= o.vpc_tcp_flags;
  r.refused_vpc_tcp_flags |= o.refused_vpc_tcp_flags;
  r.ecn_flags |= o.ecn_flags;
  r.cumulative |= o.cumulative;
  r.incomplete |= o.incomplete;
}

void merge_extremes(FlowRecord& r, const FlowRecord& o, const Presence& p) noexcept {
  constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
  const bool mine = (p.mine & bit(Has::window)) != 0;
  const std::uint32_t window = std::min(mine ? r.min_window_size : none, p.has(Has::window) ? o.min_window_size : none);
  r.min_window_size = mine || p.has(Has::window) ? window : 0;
  r.max_window_size = std::max(r.max_window_size, o.max_window_size);
  last_if(r.last_window_size, o.last_window_size, p.take(Has::window));

  const std::uint32_t rtt = std::min(r.rtt_samples ? r.min_rtt_us : none, o.rtt_samples ? o.min_rtt_us : none);
  r.rtt_sum_us += o.rtt_sum_us;
  r.rtt_samples += o.rtt_samples;
  r.min_rtt_us = r.rtt_samples ? rtt : 0;
  r.max_rtt_us = std::max(r.max_rtt_us, o.max_rtt_us);
  r.max_jitter_us = std::max(r.max_jitter_us, o.max_jitter_us);

  r.sequence = std::max(r.sequence, o.sequence);
  r.emitted = std::max(r.emitted, o.emitted);
  r.first_seen = earlier(r.first_seen, o.first_seen);
  r.last_seen = std::max(r.last_seen, o.last_seen);
  r.refused_first_seen = earlier(r.refused_first_seen, o.refused_first_seen);
  r.refused_last_seen = std::max(r.refused_last_seen, o.refused_last_seen);
}

// Rule and position belong together: they come from one record.
void merge_netfilter(FlowRecord& r, const FlowRecord& o, const Presence& p) noexcept {
  const bool verdict = p.take(Has::netfilter);
  last_if(r.netfilter_verdict, o.netfilter_verdict, verdict);
  last_if(r.netfilter_hook, o.netfilter_hook, verdict);
  last_if(r.netfilter_priority, o.netfilter_priority, verdict);
  const auto any_rule = [](const FlowRecord& x) {
    return (static_cast<std::uint32_t>(x.netfilter_table) | static_cast<std::uint32_t>(x.netfilter_chain) |
            static_cast<std::uint32_t>(x.netfilter_target) | static_cast<std::uint32_t>(x.netfilter_match_info) |
            (x.present & bit(Has::rule))) != 0;
  };
  if (any_rule(o) && (p.later || !any_rule(r))) {
    r.netfilter_table = o.netfilter_table;
    r.netfilter_chain = o.netfilter_chain;
    r.netfilter_target = o.netfilter_target;
    r.netfilter_match_info = o.netfilter_match_info;
    r.netfilter_rule_num = o.netfilter_rule_num;
    r.present = (r.present & ~bit(Has::rule)) | (o.present & bit(Has::rule));
  }
  last(r.drop_reason, o.drop_reason, p.later);
  if (p.take(Has::nat)) r.nat = o.nat;
}

void merge_last(FlowRecord& r, const FlowRecord& o, const Presence& p) noexcept {
  last_if(r.ifindex, o.ifindex, p.later && o.ifindex != 0);
  if (o.outer.family != 0 && (p.later || r.outer.family == 0)) r.outer = o.outer;
  last_if(r.vlan_id, o.vlan_id, p.take(Has::vlan));
  last(r.run_id, o.run_id, p.later);
  last_if(r.initiator, o.initiator, p.later);
  last(r.conn_state, o.conn_state, p.later);
  last_if(r.handshake_latency_us, o.handshake_latency_us, p.take(Has::handshake));
  last_if(r.window_scale, o.window_scale, p.take(Has::window_scale));
  last_if(r.flow_end_reason, o.flow_end_reason, p.later);
  last(r.aws.account, o.aws.account, p.later);
  last(r.aws.vpc, o.aws.vpc, p.later);
  last(r.aws.subnet, o.aws.subnet, p.later);
  last(r.aws.instance, o.aws.instance, p.later);
  last(r.aws.az, o.aws.az, p.later);
  last(r.aws.az_id, o.aws.az_id, p.later);
  last(r.aws.region, o.aws.region, p.later);
  last(r.aws.eni, o.aws.eni, p.later);
  last_if(r.gwlb_endpoint_id, o.gwlb_endpoint_id, p.take(Has::gwlb_endpoint));
  last_if(r.gwlb_attachment_id, o.gwlb_attachment_id, p.take(Has::gwlb_attachment));
  last_if(r.gwlb_flow_cookie, o.gwlb_flow_cookie, p.take(Has::gwlb_cookie));
}

// The later record's value wins; names stand in the order in which they were first seen.
void merge_labels(FlowRecord& r, const FlowRecord& o, bool later) noexcept {
  for (std::size_t i = 0; i < o.label_count; ++i) {
    const Label& label = o.labels[i];
    const auto end = r.labels.begin() + r.label_count;
    const bool known = std::any_of(r.labels.begin(), end, [&](const Label& mine) { return mine.name == label.name; });
    if (later || !known) r.set_label(label.name, label.value);
  }
}

}  // namespace

void merge(FlowRecord& r, const FlowRecord& o) noexcept {
  if (r.flow.family == 0 && r.first_seen == 0) {  // an empty record: it has no identity yet
    r = o;
    return;
  }
  const Presence p{r.present, o.present, end_of(o) >= end_of(r)};
  merge_counters(r, o);
  merge_netfilter(r, o, p);
  merge_last(r, o, p);
  merge_extremes(r, o, p);
  r.present |= o.present & ~bit(Has::rule);
  if (o.label_count != 0) merge_labels(r, o, p.later);
}

}  // namespace fffa
