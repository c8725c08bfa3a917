// SPDX-License-Identifier: MIT
// FlowRecord: one unidirectional flow over one interval, as a summary that merges. What every output field means stands
// in fields.h.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "fffa/text.h"

namespace fffa {

// Unix time in nanoseconds (UTC). 0 is "not set".
using TimeNs = std::int64_t;

// Network order, as on the wire. IPv4 stands in the first 4 bytes, the other 12 are zero.
using Address = std::array<std::uint8_t, 16>;

// Ports in host order. ICMP: src_port 0, dst_port = type << 8 | code. Other protocols without ports: 0.
struct Tuple {
  Address src{};
  Address dst{};
  std::uint16_t src_port = 0;
  std::uint16_t dst_port = 0;
  std::uint8_t protocol = 0;  // IANA number
  std::uint8_t family = 0;    // 4 or 6; 0: no tuple
  friend bool operator==(const Tuple&, const Tuple&) = default;
};

enum class Direction : std::uint8_t { ingress = 0, egress = 1, unknown = 2 };
enum class Encapsulation : std::uint8_t { none = 0, geneve = 1 };
// Zeek's connection states, as far as seen by the end of the record.
enum class ConnState : std::uint8_t { none, S0, S1, SF, REJ, S2, S3, RSTO, RSTR, RSTOS0, RSTRH, SH, SHR, OTH };
// IPFIX flowEndReason (RFC 5102, 5.11.3); none: the flow goes on.
enum class FlowEndReason : std::uint8_t {
  none = 0,
  idle_timeout = 1,
  active_timeout = 2,
  end_of_flow = 3,
  forced_end = 4,
  lack_of_resources = 5
};
enum class Verdict : std::uint8_t { none, accept, drop, reject, queue, stolen, repeat, stop };
// Numbered as the kernel's enum nf_inet_hooks, plus one.
enum class NetfilterHook : std::uint8_t { none, pre_routing, local_in, forward, local_out, post_routing };

// Who the interface is on AWS. Null where unknown.
struct AwsIdentity {
  Text account{}, vpc{}, subnet{}, instance{}, az{}, az_id{}, region{}, eni{};
  friend bool operator==(const AwsIdentity&, const AwsIdentity&) = default;
};

// Values that only mean something if they were observed. What is not listed here is either never null or says so by
// itself (a Text of null, a sample count of 0).
enum class Has : std::uint32_t {
  tcp = 1u << 0,            // the flow is TCP and its TCP fields were measured
  handshake = 1u << 1,      // handshake_latency_us
  window = 1u << 2,         // min/max/last_window_size
  window_scale = 1u << 3,   // window_scale
  netfilter = 1u << 4,      // verdict, hook, priority and the four counts
  refused = 1u << 5,        // refused_*
  rule = 1u << 6,           // netfilter_rule_num (table, chain, target and match are null by their handles)
  nat = 1u << 7,            // nat_*
  drops = 1u << 8,          // drops
  gwlb_endpoint = 1u << 9,  // gwlb_endpoint_id
  gwlb_attachment = 1u << 10,
  gwlb_cookie = 1u << 11,
  vlan = 1u << 12,  // vlan_id
};

struct Label {
  Text name{};
  Text value{};
};
inline constexpr std::size_t kMaxLabels = 8;

// Trivially copyable, no pointers, no allocation. Times are Unix nanoseconds, durations microseconds unless the name
// says otherwise.
struct FlowRecord {
  // --- identity: records with equal identity() merge
  Tuple flow;   // of the innermost packet
  Tuple outer;  // of the outermost packet; family 0 unless encapsulated
  Text host{};
  Text interface {};
  std::uint32_t ifindex = 0;
  std::uint32_t vni = 0;  // of the innermost tunnel, where encapsulated
  Encapsulation encapsulation = Encapsulation::none;
  Direction direction = Direction::unknown;
  std::uint16_t vlan_id = 0;

  // --- which optional values are there
  std::uint32_t present = 0;
  bool has(Has what) const noexcept { return (present & static_cast<std::uint32_t>(what)) != 0; }
  void set(Has what) noexcept { present |= static_cast<std::uint32_t>(what); }

  // --- provenance: stamped by the runtime when the record leaves (see fields.h: host, run_id, sequence, timestamp)
  Text run_id{};
  std::uint64_t sequence = 0;
  TimeNs emitted = 0;

  // --- counters
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::uint64_t outer_bytes = 0;  // IP-level bytes of the outermost packet, where encapsulated
  TimeNs first_seen = 0;
  TimeNs last_seen = 0;
  // cumulative records only: the part of packets/bytes that no earlier record carried, so that accounts balance
  std::uint64_t new_packets = 0;
  std::uint64_t new_bytes = 0;

  // --- TCP (Has::tcp)
  std::uint8_t tcp_flags = 0;      // as on the wire: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128
  std::uint8_t vpc_tcp_flags = 0;  // AWS's bits: see fields.h
  bool initiator = false;          // never null, TCP or not
  ConnState conn_state = ConnState::none;
  std::uint32_t handshake_latency_us = 0;
  std::uint64_t fast_retransmits = 0;
  std::uint64_t timeout_retransmits = 0;
  std::uint64_t spurious_retransmissions = 0;
  std::uint64_t out_of_order_pkts = 0;
  std::uint64_t duplicate_acks = 0;
  std::uint64_t zero_windows = 0;
  std::uint64_t jitter_sum_us = 0;
  std::uint64_t jitter_samples = 0;
  std::uint32_t max_jitter_us = 0;
  std::uint32_t min_window_size = 0;
  std::uint32_t max_window_size = 0;
  std::uint32_t last_window_size = 0;
  std::uint64_t rtt_sum_us = 0;
  std::uint64_t rtt_samples = 0;
  std::uint32_t min_rtt_us = 0;
  std::uint32_t max_rtt_us = 0;
  std::uint64_t ecn_ce_packets = 0;
  std::uint64_t tcp_ece_packets = 0;
  std::uint64_t tcp_cwr_packets = 0;
  std::uint8_t ecn_flags = 0;
  std::uint8_t window_scale = 0;

  // --- netfilter
  Verdict netfilter_verdict = Verdict::none;
  NetfilterHook netfilter_hook = NetfilterHook::none;
  std::int32_t netfilter_priority = 0;
  Text netfilter_table{}, netfilter_chain{}, netfilter_target{}, netfilter_match_info{};
  std::uint32_t netfilter_rule_num = 0;
  std::uint64_t netfilter_accepts = 0, netfilter_drops = 0, netfilter_rejects = 0, netfilter_queues = 0;
  std::uint64_t refused_packets = 0, refused_bytes = 0;
  TimeNs refused_first_seen = 0, refused_last_seen = 0;
  std::uint8_t refused_vpc_tcp_flags = 0;
  Text drop_reason{};
  std::uint64_t drops = 0;
  Tuple nat;

  // --- where it was, and whose
  AwsIdentity aws;
  std::uint64_t gwlb_endpoint_id = 0, gwlb_attachment_id = 0;
  std::uint32_t gwlb_flow_cookie = 0;

  FlowEndReason flow_end_reason = FlowEndReason::none;
  bool cumulative = false;
  bool incomplete = false;

  std::uint8_t label_count = 0;
  std::uint32_t labels_lost = 0;  // labels that found no room
  std::array<Label, kMaxLabels> labels{};

  std::uint64_t retransmissions() const noexcept { return fast_retransmits + timeout_retransmits; }
  // What this record adds to an account of packets and bytes.
  std::uint64_t accounted_packets() const noexcept { return cumulative ? new_packets : packets; }
  std::uint64_t accounted_bytes() const noexcept { return cumulative ? new_bytes : bytes; }
  // Sets or replaces a label; without room it is counted in labels_lost.
  void set_label(Text name, Text value) noexcept;
};
static_assert(std::is_trivially_copyable_v<FlowRecord>);

// The merge key: the fields marked `key` in the field table.
struct FlowKey {
  Tuple flow;
  Text host{};
  Text interface {};
  std::uint32_t vni = 0;
  Encapsulation encapsulation = Encapsulation::none;
  Direction direction = Direction::unknown;
  friend bool operator==(const FlowKey&, const FlowKey&) = default;
};
FlowKey identity(const FlowRecord& record) noexcept;
// A hash of good quality in all bits (for tables that mask it), seeded per process.
std::uint64_t hash(const FlowKey& key) noexcept;

// Merges `other`, a record of the same identity over another interval, into `record`: counters add, flags OR, extremes
// combine, "last" values come from the later interval that has one. Counters, flags and extremes are associative and
// commutative. "Last" values, and the order of labels, are what one record would have said where records are merged in
// the order of time, however they are grouped. In another order, one that the latest records lack may come from any of
// the others, for a record knows the end of its interval but not when each of its values was seen; and of equal times
// the one merged last wins. Labels beyond kMaxLabels are counted as lost, each time that they come. Identity is not
// checked. `first_seen` 0 means an empty record.
void merge(FlowRecord& record, const FlowRecord& other) noexcept;

}  // namespace fffa
