// SPDX-License-Identifier: MIT
// What clang -target bpf made of the shared structs, as the object's BTF says, against what this compiler makes of
// them.
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fffa_bpf/packet.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <map>
#include <memory>
#include <string>

namespace fffa::bpf_test {
namespace {

struct Struct {
  std::size_t size;
  std::map<std::string, std::size_t> members;
};

#define MEMBER(type, member) \
  { #member, offsetof(type, member) }

const std::map<std::string, Struct> expected = {
    {"fffa_flow_key",
     {sizeof(fffa_flow_key),
      {MEMBER(fffa_flow_key, remote_addr), MEMBER(fffa_flow_key, local_addr), MEMBER(fffa_flow_key, ifindex),
       MEMBER(fffa_flow_key, remote_port), MEMBER(fffa_flow_key, local_port), MEMBER(fffa_flow_key, proto),
       MEMBER(fffa_flow_key, family), MEMBER(fffa_flow_key, encap), MEMBER(fffa_flow_key, encap_depth),
       MEMBER(fffa_flow_key, vni)}}},
    {"fffa_slot",
     {sizeof(fffa_slot),
      {MEMBER(fffa_slot, packets),
       MEMBER(fffa_slot, bytes),
       MEMBER(fffa_slot, first_ns),
       MEMBER(fffa_slot, rtt_sum_ns),
       MEMBER(fffa_slot, jitter_sum_ns),
       MEMBER(fffa_slot, rtt_min),
       MEMBER(fffa_slot, rtt_max),
       MEMBER(fffa_slot, rtt_samples),
       MEMBER(fffa_slot, jitter_max_ns),
       MEMBER(fffa_slot, jitter_samples),
       MEMBER(fffa_slot, fast_retransmits),
       MEMBER(fffa_slot, timeout_retransmits),
       MEMBER(fffa_slot, spurious_retransmits),
       MEMBER(fffa_slot, out_of_order),
       MEMBER(fffa_slot, duplicate_acks),
       MEMBER(fffa_slot, window_min),
       MEMBER(fffa_slot, window_max),
       MEMBER(fffa_slot, window_last),
       MEMBER(fffa_slot, zero_windows),
       MEMBER(fffa_slot, ecn_ce),
       MEMBER(fffa_slot, tcp_ece),
       MEMBER(fffa_slot, tcp_cwr),
       MEMBER(fffa_slot, flags),
       MEMBER(fffa_slot, vlan)}}},
    {"fffa_hole", {sizeof(fffa_hole), {MEMBER(fffa_hole, start), MEMBER(fffa_hole, end), MEMBER(fffa_hole, opened)}}},
    {"fffa_half",
     {sizeof(fffa_half),
      {MEMBER(fffa_half, next_seq), MEMBER(fffa_half, last_ack), MEMBER(fffa_half, probe_end),
       MEMBER(fffa_half, last_interval_ns), MEMBER(fffa_half, probe_sent), MEMBER(fffa_half, newest_sent),
       MEMBER(fffa_half, last_ns), MEMBER(fffa_half, initial_seq), MEMBER(fffa_half, sent_tick),
       MEMBER(fffa_half, srtt), MEMBER(fffa_half, rttvar), MEMBER(fffa_half, rtt_min),
       MEMBER(fffa_half, third_dup_tick), MEMBER(fffa_half, last_window), MEMBER(fffa_half, last_sack),
       MEMBER(fffa_half, seen), MEMBER(fffa_half, dup_run), MEMBER(fffa_half, scale), MEMBER(fffa_half, holes)}}},
    {"fffa_flow",
     {sizeof(fffa_flow),
      {MEMBER(fffa_flow, lock), MEMBER(fffa_flow, handshake_us), MEMBER(fffa_flow, key), MEMBER(fffa_flow, syn_ns),
       MEMBER(fffa_flow, half), MEMBER(fffa_flow, slot)}}},
    {"fffa_outer",
     {sizeof(fffa_outer),
      {MEMBER(fffa_outer, src), MEMBER(fffa_outer, dst), MEMBER(fffa_outer, src_port), MEMBER(fffa_outer, dst_port),
       MEMBER(fffa_outer, family), MEMBER(fffa_outer, gwlb), MEMBER(fffa_outer, reserved),
       MEMBER(fffa_outer, gwlb_cookie), MEMBER(fffa_outer, vni), MEMBER(fffa_outer, gwlb_endpoint),
       MEMBER(fffa_outer, gwlb_attachment)}}},
    {"fffa_tunnel_side",
     {sizeof(fffa_tunnel_side), {MEMBER(fffa_tunnel_side, outer), MEMBER(fffa_tunnel_side, bytes)}}},
    {"fffa_tunnel", {sizeof(fffa_tunnel), {MEMBER(fffa_tunnel, side)}}},
    {"fffa_verdict_side",
     {sizeof(fffa_verdict_side),
      {MEMBER(fffa_verdict_side, refused_bytes), MEMBER(fffa_verdict_side, refused_first_ns),
       MEMBER(fffa_verdict_side, refused_last_ns), MEMBER(fffa_verdict_side, accepts), MEMBER(fffa_verdict_side, drops),
       MEMBER(fffa_verdict_side, rejects), MEMBER(fffa_verdict_side, queues), MEMBER(fffa_verdict_side, freed),
       MEMBER(fffa_verdict_side, freed_reason), MEMBER(fffa_verdict_side, refused_flags),
       MEMBER(fffa_verdict_side, last), MEMBER(fffa_verdict_side, answers), MEMBER(fffa_verdict_side, came_in),
       MEMBER(fffa_verdict_side, looked)}}},
    {"fffa_translation",
     {sizeof(fffa_translation),
      {MEMBER(fffa_translation, src), MEMBER(fffa_translation, dst), MEMBER(fffa_translation, src_port),
       MEMBER(fffa_translation, dst_port), MEMBER(fffa_translation, ifindex), MEMBER(fffa_translation, state),
       MEMBER(fffa_translation, reserved)}}},
    {"fffa_verdicts", {sizeof(fffa_verdicts), {MEMBER(fffa_verdicts, side), MEMBER(fffa_verdicts, translation)}}},
    {"fffa_monitored", {sizeof(fffa_monitored), {MEMBER(fffa_monitored, ifindex), MEMBER(fffa_monitored, directions)}}},
    {"fffa_hook_counters",
     {sizeof(fffa_hook_counters),
      {MEMBER(fffa_hook_counters, accepts), MEMBER(fffa_hook_counters, drops), MEMBER(fffa_hook_counters, rejects),
       MEMBER(fffa_hook_counters, queues)}}},
    {"fffa_bucket",
     {sizeof(fffa_bucket), {MEMBER(fffa_bucket, lock), MEMBER(fffa_bucket, reserved), MEMBER(fffa_bucket, places)}}},
    {"fffa_fragment",
     {sizeof(fffa_fragment),
      {MEMBER(fffa_fragment, lock), MEMBER(fffa_fragment, remote_port), MEMBER(fffa_fragment, local_port),
       MEMBER(fffa_fragment, time_ns), MEMBER(fffa_fragment, remote_addr), MEMBER(fffa_fragment, local_addr),
       MEMBER(fffa_fragment, ifindex), MEMBER(fffa_fragment, id), MEMBER(fffa_fragment, path),
       MEMBER(fffa_fragment, datagram_proto), MEMBER(fffa_fragment, proto), MEMBER(fffa_fragment, reserved)}}},
    {"fffa_table_state",
     {sizeof(fffa_table_state),
      {MEMBER(fffa_table_state, free_head), MEMBER(fffa_table_state, next_index), MEMBER(fffa_table_state, reserved)}}},
    {"fffa_count", {sizeof(fffa_count), {MEMBER(fffa_count, packets), MEMBER(fffa_count, bytes)}}},
    {"fffa_interface_counters",
     {sizeof(fffa_interface_counters),
      {MEMBER(fffa_interface_counters, seen), MEMBER(fffa_interface_counters, filtered),
       MEMBER(fffa_interface_counters, diverted), MEMBER(fffa_interface_counters, lost)}}},
    {"fffa_reason_counters", {sizeof(fffa_reason_counters), {MEMBER(fffa_reason_counters, side)}}},
    {"fffa_drain_request",
     {sizeof(fffa_drain_request),
      {MEMBER(fffa_drain_request, now_ns), MEMBER(fffa_drain_request, idle_ns), MEMBER(fffa_drain_request, linger_ns),
       MEMBER(fffa_drain_request, start), MEMBER(fffa_drain_request, count), MEMBER(fffa_drain_request, flags),
       MEMBER(fffa_drain_request, reserved)}}},
    {"fffa_drain_result",
     {sizeof(fffa_drain_result),
      {MEMBER(fffa_drain_result, records), MEMBER(fffa_drain_result, deleted), MEMBER(fffa_drain_result, busy),
       MEMBER(fffa_drain_result, in_use)}}},
    {"fffa_drain_record",
     {sizeof(fffa_drain_record),
      {MEMBER(fffa_drain_record, key), MEMBER(fffa_drain_record, last_ns), MEMBER(fffa_drain_record, index),
       MEMBER(fffa_drain_record, handshake_us), MEMBER(fffa_drain_record, seen),
       MEMBER(fffa_drain_record, window_scale), MEMBER(fffa_drain_record, flags), MEMBER(fffa_drain_record, reserved),
       MEMBER(fffa_drain_record, slot), MEMBER(fffa_drain_record, tunnel), MEMBER(fffa_drain_record, verdicts)}}},
    {"fffa_event",
     {sizeof(fffa_event),
      {MEMBER(fffa_event, type), MEMBER(fffa_event, direction), MEMBER(fffa_event, reason), MEMBER(fffa_event, vlan),
       MEMBER(fffa_event, key), MEMBER(fffa_event, time_ns), MEMBER(fffa_event, index), MEMBER(fffa_event, packets),
       MEMBER(fffa_event, bytes), MEMBER(fffa_event, outer_bytes), MEMBER(fffa_event, window),
       MEMBER(fffa_event, flags), MEMBER(fffa_event, reserved), MEMBER(fffa_event, outer)}}},
};

TEST(Layout, is_that_of_the_object) {
  const std::unique_ptr<btf, decltype(&btf__free)> types(btf__parse_elf(FFFA_FLOW_OBJECT, nullptr), btf__free);
  ASSERT_NE(types, nullptr) << FFFA_FLOW_OBJECT;
  for (const auto& [name, ours] : expected) {
    SCOPED_TRACE(name);
    const auto id = btf__find_by_name_kind(types.get(), name.c_str(), BTF_KIND_STRUCT);
    ASSERT_GT(id, 0) << "not in the object";
    const auto* type = btf__type_by_id(types.get(), static_cast<__u32>(id));
    EXPECT_EQ(type->size, ours.size);
    std::map<std::string, std::size_t> theirs;
    for (__u32 i = 0; i < btf_vlen(type); ++i)
      theirs[btf__name_by_offset(types.get(), btf_members(type)[i].name_off)] = btf_member_bit_offset(type, i) / 8;
    EXPECT_EQ(theirs, ours.members);
  }
}

}  // namespace
}  // namespace fffa::bpf_test
