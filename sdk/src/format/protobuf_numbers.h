// SPDX-License-Identifier: MIT
// What the Protobuf format's writer and reader share: the fields' numbers, and how each is put on the wire.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "fffa/detail/protobuf_wire.h"
#include "field_table.h"

namespace fffa::detail {

// A field's place here is its number, from 1, for ever: new names go to the end, and none is taken out.
inline constexpr auto kNumbered = std::to_array<std::string_view>({
    "version",
    "timestamp",
    "proto",
    "src_ip",
    "src_port",
    "dst_ip",
    "dst_port",
    "pkt_src_ip",
    "pkt_src_port",
    "pkt_dst_ip",
    "pkt_dst_port",
    "direction",
    "encapsulated",
    "packets",
    "bytes",
    "first_seen",
    "last_seen",
    "duration_ms",
    "tcp_flags",
    "vpc_tcp_flags",
    "initiator",
    "conn_state",
    "handshake_latency_us",
    "retransmissions",
    "fast_retransmits",
    "timeout_retransmits",
    "spurious_retransmissions",
    "avg_jitter_us",
    "max_jitter_us",
    "min_window_size",
    "max_window_size",
    "last_window_size",
    "window_scale",
    "out_of_order_pkts",
    "duplicate_acks",
    "zero_windows",
    "min_rtt_us",
    "max_rtt_us",
    "avg_rtt_us",
    "rtt_samples",
    "ecn_flags",
    "ecn_ce_packets",
    "tcp_ece_packets",
    "tcp_cwr_packets",
    "netfilter_verdict",
    "netfilter_hook",
    "netfilter_priority",
    "netfilter_table",
    "netfilter_chain",
    "netfilter_rule_num",
    "netfilter_target",
    "netfilter_match_info",
    "netfilter_accepts",
    "netfilter_drops",
    "netfilter_rejects",
    "netfilter_queues",
    "refused_packets",
    "refused_bytes",
    "refused_first_seen",
    "refused_last_seen",
    "refused_vpc_tcp_flags",
    "drop_reason",
    "drops",
    "nat_src_ip",
    "nat_src_port",
    "nat_dst_ip",
    "nat_dst_port",
    "aws_account",
    "aws_vpc",
    "aws_subnet",
    "aws_instance",
    "aws_az",
    "aws_az_id",
    "aws_region",
    "aws_eni",
    "geneve_vni",
    "gwlb_endpoint_id",
    "gwlb_attachment_id",
    "gwlb_flow_cookie",
    "outer_bytes",
    "community_id",
    "host",
    "run_id",
    "sequence",
    "interface",
    "ifindex",
    "vlan_id",
    "flow_end_reason",
    "cumulative",
    "incomplete",
    "labels",
    "jitter_samples",
    "jitter_sum_us",
    "rtt_sum_us",
});

constexpr unsigned number_of(std::string_view name) {
  return static_cast<unsigned>(std::ranges::find(kNumbered, name) - kNumbered.begin()) + 1;
}
static_assert(kNumbered.size() == kFields.size() &&
                  std::ranges::all_of(kFields, [](const Field& f) { return number_of(f.name) <= kNumbered.size(); }),
              "every field of the table has a number here");

constexpr bool is_signed(const Field& field) {
  return field.name == "netfilter_priority";
}

constexpr Wire wire_of(const Field& field) {
  switch (field.type) {
    case FieldType::boolean:
    case FieldType::integer: return Wire::varint;
    case FieldType::time:
    case FieldType::hex: return Wire::fixed64;
    default: return Wire::bytes;
  }
}

}  // namespace fffa::detail
