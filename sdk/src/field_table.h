// SPDX-License-Identifier: MIT
// The one field table, as a constant expression: formats expand it at compile time, so that a field costs no call.
// The order is the order of the JSON.
#pragma once

#include <array>

#include "fffa/fields.h"

namespace fffa::detail {

constexpr Value null_value() {
  return {};
}
constexpr Value bool_value(bool value) {
  return {.kind = Value::Kind::boolean, .number = value};
}
constexpr Value number(std::uint64_t value) {
  return {.kind = Value::Kind::number, .number = value};
}
constexpr Value number_if(bool there, std::uint64_t value) {
  return there ? number(value) : null_value();
}
constexpr Value handle(Text value) {
  return value == Text::null ? null_value() : Value{.kind = Value::Kind::handle, .handle = value};
}
constexpr Value name(std::string_view value) {
  return value.empty() ? null_value() : Value{.kind = Value::Kind::name, .name = value};
}
constexpr Value time_value(TimeNs value) {
  return value == 0 ? null_value() : Value{.kind = Value::Kind::time, .number = static_cast<std::uint64_t>(value)};
}
constexpr Value address_value(const Tuple& tuple, const Address& value) {
  return tuple.family == 0 ? null_value()
                           : Value{.kind = Value::Kind::address, .family = tuple.family, .address = &value};
}

// What the packet carried outermost: the innermost tuple where nothing is encapsulated.
constexpr const Tuple& outermost(const FlowRecord& r) {
  return r.outer.family != 0 ? r.outer : r.flow;
}
constexpr bool tunnelled(const FlowRecord& r) {
  return r.encapsulation != Encapsulation::none;
}
constexpr std::uint64_t mean(std::uint64_t sum, std::uint64_t samples) {
  return samples == 0 ? 0 : sum / samples;
}

std::string_view tcp_flags_name(std::uint8_t flags) noexcept;

inline constexpr std::string_view kNever = "never", kNotTcp = "not TCP", kUncaptured = "none captured",
                                  kUntraced = "not traced", kUntranslated = "not translated, no conntrack",
                                  kOffAws = "not on AWS, no enricher", kPlain = "not encapsulated";

using R = const FlowRecord&;
using enum FieldType;
using enum MergeRule;

// clang-format off
inline constexpr auto kFields = std::to_array<Field>({
    // name, AWS's id, type, unit, null when, merge, key, accessor, doc
    {"version", "", text, "", kNever, constant, false, [](R) { return name("3"); },
     "Version of this record layout"},
    {"timestamp", "", time, "", kNever, derived, false, [](R r) { return time_value(r.emitted); },
     "When the record was emitted"},
    {"proto", "protocol", text, "", kNever, key, true, [](R r) { return name(protocol_name(r.flow.protocol)); },
     "TCP, UDP, ICMP, ICMPv6, else PROTO_<n>, of the innermost packet"},
    {"src_ip", "srcaddr", address, "", kNever, last, false, [](R r) { return address_value(outermost(r), outermost(r).src); },
     "Source address of the outer packet where encapsulated, else of the packet"},
    {"src_port", "", integer, "", kNever, last, false, [](R r) { return number(outermost(r).src_port); },
     "Its source port; ICMP: 0"},
    {"dst_ip", "dstaddr", address, "", kNever, last, false, [](R r) { return address_value(outermost(r), outermost(r).dst); },
     "Destination address of the outer packet where encapsulated, else of the packet"},
    {"dst_port", "", integer, "", kNever, last, false, [](R r) { return number(outermost(r).dst_port); },
     "Its destination port; ICMP: type in the high byte, code in the low byte"},
    {"pkt_src_ip", "pkt-srcaddr", address, "", kNever, key, true, [](R r) { return address_value(r.flow, r.flow.src); },
     "Source address of the innermost packet"},
    {"pkt_src_port", "srcport", integer, "", kNever, key, true, [](R r) { return number(r.flow.src_port); },
     "Source port of the innermost packet; ICMP: 0"},
    {"pkt_dst_ip", "pkt-dstaddr", address, "", kNever, key, true, [](R r) { return address_value(r.flow, r.flow.dst); },
     "Destination address of the innermost packet"},
    {"pkt_dst_port", "dstport", integer, "", kNever, key, true, [](R r) { return number(r.flow.dst_port); },
     "Destination port of the innermost packet; ICMP: type in the high byte, code in the low byte"},
    {"direction", "flow-direction", integer, "", "capture does not say", key, true,
     [](R r) { return number_if(r.direction != Direction::unknown, static_cast<std::uint64_t>(r.direction)); },
     "0 ingress, 1 egress, as seen by the interface"},
    {"encapsulated", "", boolean, "", kNever, key, true, [](R r) { return bool_value(tunnelled(r)); },
     "True for a flow inside a tunnel that was opened (GENEVE)"},
    {"packets", "packets", integer, "packets", kNever, add, false, [](R r) { return number(r.packets); },
     "Packets on the wire"},
    {"bytes", "bytes", integer, "bytes", kNever, add, false, [](R r) { return number(r.bytes); },
     "IP-level bytes of the innermost packets"},
    {"first_seen", "start", time, "", kNever, minimum, false, [](R r) { return time_value(r.first_seen); },
     "Time of the first packet counted in this record"},
    {"last_seen", "end", time, "", kNever, maximum, false, [](R r) { return time_value(r.last_seen); },
     "Time of the last packet counted in this record"},
    {"duration_ms", "", integer, "ms", kNever, derived, false, [](R r) { return number(static_cast<std::uint64_t>((r.last_seen - r.first_seen) / 1'000'000)); },
     "From first_seen to last_seen"},

    {"tcp_flags", "", flags, "", kNotTcp, bit_or, false, [](R r) { return r.has(Has::tcp) ? name(tcp_flags_name(r.tcp_flags)) : null_value(); },
     "Names joined by |, in the order SYN ACK FIN RST PSH URG ECE CWR; NONE if no bit was seen"},
    {"vpc_tcp_flags", "tcp-flags", integer, "", kNotTcp, bit_or, false, [](R r) { return number_if(r.has(Has::tcp), r.vpc_tcp_flags); },
     "AWS's tcp-flags: per packet FIN 1, SYN 2, RST 4, and 16 only with SYN and ACK in one packet; ORed"},
    {"initiator", "", boolean, "", kNever, last, false, [](R r) { return bool_value(r.initiator); },
     "True if this direction opened the connection: sent the SYN, else the first packet seen"},
    {"conn_state", "", text, "", kNotTcp, last, false, [](R r) { return r.has(Has::tcp) ? name(conn_state_name(r.conn_state)) : null_value(); },
     "Zeek's connection state, as far as seen by the end of this record"},
    {"handshake_latency_us", "", integer, "us", "any of the three packets not seen", last, false, [](R r) { return number_if(r.has(Has::handshake), r.handshake_latency_us); },
     "First SYN of the connection to the ACK that completes it; in every record from then on"},
    {"retransmissions", "", integer, "segments", kNotTcp, derived, false, [](R r) { return number_if(r.has(Has::tcp), r.retransmissions()); },
     "Segments carrying sequence space already sent before: fast_retransmits + timeout_retransmits"},
    {"fast_retransmits", "", integer, "segments", kNotTcp, add, false, [](R r) { return number_if(r.has(Has::tcp), r.fast_retransmits); },
     "Retransmissions sent while duplicate ACKs or SACKs reported the hole, or too soon for a timeout"},
    {"timeout_retransmits", "", integer, "segments", kNotTcp, add, false, [](R r) { return number_if(r.has(Has::tcp), r.timeout_retransmits); },
     "Retransmissions after a silence of at least max(200 ms, RTO estimate); retransmitted SYNs"},
    {"spurious_retransmissions", "", integer, "segments", kNotTcp, add, false, [](R r) { return number_if(r.has(Has::tcp), r.spurious_retransmissions); },
     "Retransmissions of data already acknowledged; a part of the total"},
    {"avg_jitter_us", "", integer, "us", "not TCP, fewer than 3 packets", derived, false,
     [](R r) { return number_if(r.has(Has::tcp) && r.jitter_samples != 0, mean(r.jitter_sum_us, r.jitter_samples)); },
     "Mean difference between consecutive gaps of packets; a pause over 1 s starts afresh"},
    {"max_jitter_us", "", integer, "us", "not TCP, fewer than 3 packets", maximum, false,
     [](R r) { return number_if(r.has(Has::tcp) && r.jitter_samples != 0, r.max_jitter_us); },
     "Largest difference between consecutive gaps of packets"},
    {"jitter_samples", "", integer, "samples", kNotTcp, add, false, [](R r) { return number_if(r.has(Has::tcp), r.jitter_samples); },
     "Number of those differences; 0 where there was none"},
    {"jitter_sum_us", "", integer, "us", kNotTcp, add, false, [](R r) { return number_if(r.has(Has::tcp), r.jitter_sum_us); },
     "Their sum, rounded down in each record; records of one flow merge by it, as averages do not"},
    {"min_window_size", "", integer, "bytes", kNotTcp, minimum, false, [](R r) { return number_if(r.has(Has::window), r.min_window_size); },
     "Smallest receive window advertised: scaled where the handshake was seen, else the raw field"},
    {"max_window_size", "", integer, "bytes", kNotTcp, maximum, false, [](R r) { return number_if(r.has(Has::window), r.max_window_size); },
     "Largest receive window advertised"},
    {"last_window_size", "", integer, "bytes", kNotTcp, last, false, [](R r) { return number_if(r.has(Has::window), r.last_window_size); },
     "Latest receive window advertised"},
    {"window_scale", "", integer, "", "not TCP, handshake not seen", last, false, [](R r) { return number_if(r.has(Has::window_scale), r.window_scale); },
     "Window shift count in force for this direction"},
    {"out_of_order_pkts", "", integer, "segments", kNotTcp, add, false, [](R r) { return number_if(r.has(Has::tcp), r.out_of_order_pkts); },
     "Segments that fill a hole within the handshake latency (3 ms if unknown), before a retransmission can have"},
    {"duplicate_acks", "", integer, "packets", kNotTcp, add, false, [](R r) { return number_if(r.has(Has::tcp), r.duplicate_acks); },
     "Pure ACKs repeating the last one while data is outstanding, or with a new SACK block (RFC 5681)"},
    {"zero_windows", "", integer, "packets", kNotTcp, add, false, [](R r) { return number_if(r.has(Has::tcp), r.zero_windows); },
     "Packets advertising a zero window, RST excluded"},
    {"min_rtt_us", "", integer, "us", "not TCP, no sample", minimum, false, [](R r) { return number_if(r.has(Has::tcp) && r.rtt_samples != 0, r.min_rtt_us); },
     "Smallest time from a segment sent once to the ACK covering its end"},
    {"max_rtt_us", "", integer, "us", "not TCP, no sample", maximum, false, [](R r) { return number_if(r.has(Has::tcp) && r.rtt_samples != 0, r.max_rtt_us); },
     "Largest of those times"},
    {"avg_rtt_us", "", integer, "us", "not TCP, no sample", derived, false,
     [](R r) { return number_if(r.has(Has::tcp) && r.rtt_samples != 0, mean(r.rtt_sum_us, r.rtt_samples)); },
     "Mean of those times"},
    {"rtt_samples", "", integer, "samples", kNotTcp, add, false, [](R r) { return number_if(r.has(Has::tcp), r.rtt_samples); },
     "Number of RTT samples; 0 where there was none"},
    {"rtt_sum_us", "", integer, "us", kNotTcp, add, false, [](R r) { return number_if(r.has(Has::tcp), r.rtt_sum_us); },
     "Their sum, rounded down in each record; records of one flow merge by it, as averages do not"},
    {"ecn_flags", "", integer, "", kNotTcp, bit_or, false, [](R r) { return number_if(r.has(Has::tcp), r.ecn_flags); },
     "Bitwise OR of the IP ECN field: 1 ECT(1), 2 ECT(0), 3 CE seen"},
    {"ecn_ce_packets", "", integer, "packets", kNotTcp, add, false, [](R r) { return number_if(r.has(Has::tcp), r.ecn_ce_packets); },
     "Packets marked CE"},
    {"tcp_ece_packets", "", integer, "packets", kNotTcp, add, false, [](R r) { return number_if(r.has(Has::tcp), r.tcp_ece_packets); },
     "Packets with ECE set"},
    {"tcp_cwr_packets", "", integer, "packets", kNotTcp, add, false, [](R r) { return number_if(r.has(Has::tcp), r.tcp_cwr_packets); },
     "Packets with CWR set"},

    {"netfilter_verdict", "", text, "", kUncaptured, last, false, [](R r) { return r.has(Has::netfilter) ? name(verdict_name(r.netfilter_verdict)) : null_value(); },
     "Most recent verdict: ACCEPT, DROP, REJECT, QUEUE, STOLEN, REPEAT, STOP"},
    {"netfilter_hook", "", text, "", kUncaptured, last, false, [](R r) { return r.has(Has::netfilter) ? name(hook_name(r.netfilter_hook)) : null_value(); },
     "Hook where it happened; for ACCEPT NF_INET_LOCAL_IN, NF_INET_FORWARD or NF_INET_LOCAL_OUT"},
    {"netfilter_priority", "", integer, "", kUncaptured, last, false,
     [](R r) { return r.has(Has::netfilter) ? Value{.kind = Value::Kind::signed_number, .number = static_cast<std::uint64_t>(std::int64_t{r.netfilter_priority})} : null_value(); },
     "Priority of the deciding chain; 0 for filter, and where the rule is not known"},
    {"netfilter_table", "", text, "", kUntraced, last, false, [](R r) { return handle(r.netfilter_table); },
     "Table of the rule that gave this verdict, of whatever family"},
    {"netfilter_chain", "", text, "", kUntraced, last, false, [](R r) { return handle(r.netfilter_chain); },
     "Its chain"},
    {"netfilter_rule_num", "", integer, "", "not traced, chain policy", last, false, [](R r) { return number_if(r.has(Has::rule), r.netfilter_rule_num); },
     "Its position in the chain, from 1, as iptables -L --line-numbers counts and nft list shows"},
    {"netfilter_target", "", text, "", kUntraced, last, false, [](R r) { return handle(r.netfilter_target); },
     "Its target or verdict; policy for a chain policy"},
    {"netfilter_match_info", "", text, "", kUntraced, last, false, [](R r) { return handle(r.netfilter_match_info); },
     "Its match as text, as nft or iptables write it"},
    {"netfilter_accepts", "", integer, "packets", kUncaptured, add, false, [](R r) { return number_if(r.has(Has::netfilter), r.netfilter_accepts); },
     "Packets of the flow that passed their last hook"},
    {"netfilter_drops", "", integer, "packets", kUncaptured, add, false, [](R r) { return number_if(r.has(Has::netfilter), r.netfilter_drops); },
     "Packets of the flow that netfilter dropped"},
    {"netfilter_rejects", "", integer, "packets", kUncaptured, add, false, [](R r) { return number_if(r.has(Has::netfilter), r.netfilter_rejects); },
     "Packets of the flow that a rule rejected; the kernel limits how many ICMP answers go out"},
    {"netfilter_queues", "", integer, "packets", kUncaptured, add, false, [](R r) { return number_if(r.has(Has::netfilter), r.netfilter_queues); },
     "Packets of the flow that netfilter queued, besides the verdict that followed"},
    {"refused_packets", "", integer, "packets", kUncaptured, add, false, [](R r) { return number_if(r.has(Has::refused), r.refused_packets); },
     "Packets dropped or rejected by netfilter; ingress: contained in packets, egress: not"},
    {"refused_bytes", "", integer, "bytes", kUncaptured, add, false, [](R r) { return number_if(r.has(Has::refused), r.refused_bytes); },
     "Their IP-level bytes"},
    {"refused_first_seen", "", time, "", kUncaptured, minimum, false, [](R r) { return r.has(Has::refused) ? time_value(r.refused_first_seen) : null_value(); },
     "Time of the first of them"},
    {"refused_last_seen", "", time, "", kUncaptured, maximum, false, [](R r) { return r.has(Has::refused) ? time_value(r.refused_last_seen) : null_value(); },
     "Time of the last of them"},
    {"refused_vpc_tcp_flags", "", integer, "", kUncaptured, bit_or, false, [](R r) { return number_if(r.has(Has::refused), r.refused_vpc_tcp_flags); },
     "vpc_tcp_flags of the refused packets"},
    {"drop_reason", "", text, "", "no drop seen", last, false, [](R r) { return handle(r.drop_reason); },
     "Most recent drop reason, by the kernel's name"},
    {"drops", "", integer, "packets", "no drop seen", add, false, [](R r) { return number_if(r.has(Has::drops), r.drops); },
     "Packets the kernel dropped for any reason, those that netfilter refused included"},
    {"nat_src_ip", "", address, "", kUntranslated, last, false, [](R r) { return r.has(Has::nat) ? address_value(r.nat, r.nat.src) : null_value(); },
     "Source address after translation; at egress, before it"},
    {"nat_src_port", "", integer, "", kUntranslated, last, false, [](R r) { return number_if(r.has(Has::nat), r.nat.src_port); },
     "Source port after translation; at egress, before it"},
    {"nat_dst_ip", "", address, "", kUntranslated, last, false, [](R r) { return r.has(Has::nat) ? address_value(r.nat, r.nat.dst) : null_value(); },
     "Destination address after translation; at egress, before it"},
    {"nat_dst_port", "", integer, "", kUntranslated, last, false, [](R r) { return number_if(r.has(Has::nat), r.nat.dst_port); },
     "Destination port after translation; at egress, before it"},

    {"aws_account", "account-id", text, "", kOffAws, last, false, [](R r) { return handle(r.aws.account); },
     "Account of the interface the flow was seen on"},
    {"aws_vpc", "vpc-id", text, "", kOffAws, last, false, [](R r) { return handle(r.aws.vpc); }, "Its VPC"},
    {"aws_subnet", "subnet-id", text, "", kOffAws, last, false, [](R r) { return handle(r.aws.subnet); }, "Its subnet"},
    {"aws_instance", "instance-id", text, "", kOffAws, last, false, [](R r) { return handle(r.aws.instance); }, "The instance"},
    {"aws_az", "", text, "", kOffAws, last, false, [](R r) { return handle(r.aws.az); }, "Availability zone, by name"},
    {"aws_az_id", "az-id", text, "", kOffAws, last, false, [](R r) { return handle(r.aws.az_id); }, "Availability zone, by id"},
    {"aws_region", "region", text, "", kOffAws, last, false, [](R r) { return handle(r.aws.region); }, "Region"},
    {"aws_eni", "interface-id", text, "", kOffAws, last, false, [](R r) { return handle(r.aws.eni); }, "The network interface's id"},
    {"geneve_vni", "", integer, "", kPlain, key, true, [](R r) { return number_if(tunnelled(r), r.vni); },
     "Virtual network identifier of the innermost tunnel"},
    {"gwlb_endpoint_id", "", hex, "", kPlain, last, false, [](R r) { return number_if(r.has(Has::gwlb_endpoint), r.gwlb_endpoint_id); },
     "Gateway Load Balancer endpoint: vpce-0 and 16 hex digits (the 64 bits of the option; the leading 0 is assumed)"},
    {"gwlb_attachment_id", "", hex, "", kPlain, last, false, [](R r) { return number_if(r.has(Has::gwlb_attachment), r.gwlb_attachment_id); },
     "Gateway Load Balancer attachment: 16 hex digits"},
    {"gwlb_flow_cookie", "", hex, "", kPlain, last, false, [](R r) { return number_if(r.has(Has::gwlb_cookie), r.gwlb_flow_cookie); },
     "Gateway Load Balancer flow cookie: 8 hex digits"},
    {"outer_bytes", "", integer, "bytes", kPlain, add, false, [](R r) { return number_if(tunnelled(r), r.outer_bytes); },
     "IP-level bytes of the outermost packets"},
    {"community_id", "", computed, "", "never for TCP, UDP, SCTP, ICMP", derived, false, [](R) { return null_value(); },
     "Community ID v1, seed 0, of the innermost 5-tuple"},
    {"host", "", text, "", kNever, key, true, [](R r) { return handle(r.host); },
     "The machine that saw the packets"},
    {"run_id", "", text, "", kNever, last, false, [](R r) { return handle(r.run_id); },
     "UUID of that start of fffa"},
    {"sequence", "", integer, "", kNever, maximum, false, [](R r) { return number(r.sequence); },
     "Rises by one with every record that start emitted: host, run_id and sequence name a record for ever"},
    {"interface", "", text, "", "unknown", key, true, [](R r) { return handle(r.interface); },
     "Name of the interface"},
    {"ifindex", "", integer, "", "unknown", last, false, [](R r) { return number_if(r.ifindex != 0, r.ifindex); },
     "Its index"},
    {"vlan_id", "", integer, "", "unknown", last, false, [](R r) { return number_if(r.has(Has::vlan), r.vlan_id); },
     "VLAN of the outermost tag"},
    {"flow_end_reason", "", text, "", "flow goes on", last, false, [](R r) { return name(end_reason_name(r.flow_end_reason)); },
     "IPFIX flowEndReason: idle timeout, active timeout, end of flow, forced end, lack of resources"},
    {"cumulative", "", boolean, "", kNever, bit_or, false, [](R r) { return bool_value(r.cumulative); },
     "True where the counters run from the flow's beginning instead of the last record"},
    {"incomplete", "", boolean, "", kNever, bit_or, false, [](R r) { return bool_value(r.incomplete); },
     "True where packets of this flow or window are known to be missing"},
    {"labels", "", computed, "", "no labels", last, false, [](R) { return null_value(); },
     "Names and values set by enrichers; left out where there are none"},
});
// clang-format on

}  // namespace fffa::detail
