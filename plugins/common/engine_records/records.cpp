// SPDX-License-Identifier: MIT
#include "fffa_engine/records.h"

#include <netinet/in.h>

#include <array>
#include <cstring>

#include "fffa_bpf/verdict.h"

namespace fffa::engine {
namespace {

constexpr std::uint16_t kVlanIdMask = 0x0fff;

// By enum fffa_reason, each beside its enumerator: as a bare list, two of them once stood in each other's place.
constexpr auto kReasonNames = [] {
  std::array<std::string_view, FFFA_REASONS> names{};
  names[FFFA_NOT_IP] = "not_ip";
  names[FFFA_TRUNCATED_L2] = "truncated_l2";
  names[FFFA_TRUNCATED_L3] = "truncated_l3";
  names[FFFA_BAD_IP_VERSION] = "bad_ip_version";
  names[FFFA_BAD_IHL] = "bad_ihl";
  names[FFFA_BAD_IP_LENGTH] = "bad_ip_length";
  names[FFFA_VLAN_TOO_DEEP] = "vlan_too_deep";
  names[FFFA_EXT_CHAIN_TOO_LONG] = "ext_chain_too_long";
  names[FFFA_TRUNCATED_L4] = "truncated_l4";
  names[FFFA_BAD_TCP_OFFSET] = "bad_tcp_offset";
  names[FFFA_BAD_TUNNEL] = "bad_tunnel";
  names[FFFA_LENGTH_BEYOND_FRAME] = "ip_length_beyond_frame";
  names[FFFA_TABLE_FULL] = "table_full";
  names[FFFA_LOCK_BUSY] = "lock_busy";
  names[FFFA_RING_FULL] = "ring_full";
  return names;
}();

TimeNs to_wall(std::uint64_t ns, TimeNs offset) {
  return static_cast<TimeNs>(ns) + offset;
}

Address address_of(const fffa_addr& address) {
  Address out;
  std::memcpy(out.data(), address.bytes, out.size());
  return out;
}

Tuple tuple_of(const fffa_flow_key& key, Direction direction) {
  Tuple tuple;
  const bool ingress = direction == Direction::ingress;
  tuple.src = address_of(ingress ? key.remote_addr : key.local_addr);
  tuple.dst = address_of(ingress ? key.local_addr : key.remote_addr);
  tuple.src_port = ingress ? key.remote_port : key.local_port;
  tuple.dst_port = ingress ? key.local_port : key.remote_port;
  tuple.protocol = key.proto;
  tuple.family = key.family;
  return tuple;
}

// AWS's tcp-flags: FIN, SYN, RST as they are, and 16 only for SYN and ACK in one packet.
std::uint8_t vpc_flags(std::uint16_t flags) {
  return static_cast<std::uint8_t>((flags & 0x07) | ((flags & FFFA_SLOT_SYN_ACK) != 0 ? 0x10 : 0));
}

std::uint32_t rtt_us(std::uint32_t units) {
  return static_cast<std::uint32_t>((static_cast<std::uint64_t>(units) << FFFA_RTT_SHIFT) / 1000);
}

void fill_tcp(const fffa_drain_record& entry, unsigned side, FlowRecord& record) {
  const fffa_slot& slot = entry.slot[side];
  record.set(Has::tcp);
  record.tcp_flags = static_cast<std::uint8_t>(slot.flags);
  record.vpc_tcp_flags = vpc_flags(slot.flags);
  record.ecn_flags = static_cast<std::uint8_t>((slot.flags >> FFFA_SLOT_ECN_SHIFT) & 3);
  if (slot.ecn_ce != 0) record.ecn_flags = 3;
  record.conn_state = connection_state(entry.seen);
  if (entry.handshake_us != 0) {
    record.set(Has::handshake);
    record.handshake_latency_us = entry.handshake_us;
  }
  record.fast_retransmits = slot.fast_retransmits;
  record.timeout_retransmits = slot.timeout_retransmits;
  record.spurious_retransmissions = slot.spurious_retransmits;
  record.out_of_order_pkts = slot.out_of_order;
  record.duplicate_acks = slot.duplicate_acks;
  record.zero_windows = slot.zero_windows;
  record.jitter_sum_us = slot.jitter_sum_ns / 1000;
  record.jitter_samples = slot.jitter_samples;
  record.max_jitter_us = slot.jitter_max_ns / 1000;
  if ((slot.flags & FFFA_SLOT_WINDOW) != 0) {
    record.set(Has::window);
    record.min_window_size = slot.window_min;
    record.max_window_size = slot.window_max;
    record.last_window_size = slot.window_last;
  }
  if (entry.window_scale[side] != FFFA_NO_SCALE) {
    record.set(Has::window_scale);
    record.window_scale = entry.window_scale[side];
  }
  record.rtt_sum_us = slot.rtt_sum_ns / 1000;
  record.rtt_samples = slot.rtt_samples;
  record.min_rtt_us = rtt_us(slot.rtt_min);
  record.max_rtt_us = rtt_us(slot.rtt_max);
  record.ecn_ce_packets = slot.ecn_ce;
  record.tcp_ece_packets = slot.tcp_ece;
  record.tcp_cwr_packets = slot.tcp_cwr;
}

void fill_tunnel(const fffa_flow_key& key, const fffa_tunnel_side& tunnel, FlowRecord& record) {
  const fffa_outer& outer = tunnel.outer;
  record.encapsulation = Encapsulation::geneve;
  record.vni = key.vni;
  record.outer_bytes = tunnel.bytes;
  record.outer.src = address_of(outer.src);
  record.outer.dst = address_of(outer.dst);
  record.outer.src_port = outer.src_port;
  record.outer.dst_port = outer.dst_port;
  record.outer.protocol = IPPROTO_UDP;
  record.outer.family = outer.family;
  if ((outer.gwlb & FFFA_GWLB_ENDPOINT) != 0) {
    record.set(Has::gwlb_endpoint);
    record.gwlb_endpoint_id = outer.gwlb_endpoint;
  }
  if ((outer.gwlb & FFFA_GWLB_ATTACHMENT) != 0) {
    record.set(Has::gwlb_attachment);
    record.gwlb_attachment_id = outer.gwlb_attachment;
  }
  if ((outer.gwlb & FFFA_GWLB_COOKIE) != 0) {
    record.set(Has::gwlb_cookie);
    record.gwlb_flow_cookie = outer.gwlb_cookie;
  }
}

Verdict verdict_of(std::uint16_t last) {
  return static_cast<Verdict>(last & 0xff);
}
NetfilterHook hook_of(std::uint16_t last) {
  return static_cast<NetfilterHook>(last >> 8);
}
static_assert(static_cast<int>(Verdict::queue) == FFFA_QUEUE && static_cast<int>(Verdict::accept) == FFFA_ACCEPT);
static_assert(static_cast<int>(NetfilterHook::post_routing) == FFFA_POST_ROUTING &&
              static_cast<int>(NetfilterHook::pre_routing) == FFFA_PRE_ROUTING);

bool judged(const fffa_drain_record& entry, unsigned side) {
  const fffa_verdict_side& v = entry.verdicts.side[side];
  return (entry.flags & FFFA_RECORD_VERDICTS) != 0 && fffa_has_counts(&v) != 0;
}

void fill_translation(const fffa_translation& other, FlowRecord& record) {
  record.set(Has::nat);
  record.nat.src = address_of(other.src);
  record.nat.dst = address_of(other.dst);
  record.nat.src_port = other.src_port;
  record.nat.dst_port = other.dst_port;
  record.nat.protocol = record.flow.protocol;
  record.nat.family = record.flow.family;
}

void fill_verdicts(const fffa_verdict_side& v, TimeNs offset, FlowRecord& record) {
  if ((v.accepts | v.drops | v.rejects | v.queues) != 0) {
    record.set(Has::netfilter);
    record.netfilter_verdict = verdict_of(v.last);
    record.netfilter_hook = hook_of(v.last);
    record.netfilter_accepts = v.accepts;
    record.netfilter_drops = v.drops;
    record.netfilter_rejects = v.rejects;
    record.netfilter_queues = v.queues;
  }
  if ((v.drops | v.rejects | v.refused_bytes) != 0) {
    record.set(Has::refused);
    record.refused_packets = std::uint64_t{v.drops} + v.rejects;
    record.refused_bytes = v.refused_bytes;
    record.refused_first_seen = to_wall(v.refused_first_ns, offset);
    record.refused_last_seen = to_wall(v.refused_last_ns, offset);
    record.refused_vpc_tcp_flags = vpc_flags(v.refused_flags);
    if (record.packets == 0) {
      record.first_seen = record.refused_first_seen;
      record.last_seen = record.refused_last_seen;
    }
  }
  if (v.freed != 0) {
    record.set(Has::drops);
    record.drops = v.freed;
  }
}

void fill(const fffa_drain_record& entry, unsigned side, const Origin& origin, TimeNs offset, FlowRecord& record) {
  const fffa_slot& slot = entry.slot[side];
  const Direction direction = side == FFFA_INGRESS ? Direction::ingress : Direction::egress;
  record.direction = origin.direction.value_or(direction);
  record.flow = tuple_of(entry.key, direction);
  record.host = origin.host;
  record.interface = origin.interface;
  record.ifindex = origin.ifindex;
  record.packets = slot.packets;
  record.bytes = slot.bytes;
  record.first_seen = to_wall(slot.packets != 0 ? slot.first_ns : entry.last_ns[side], offset);
  record.last_seen = to_wall(entry.last_ns[side], offset);
  record.initiator = (entry.seen[side] & FFFA_SEEN_INITIATOR) != 0;
  if ((slot.vlan & FFFA_VLAN_PRESENT) != 0) {
    record.set(Has::vlan);
    record.vlan_id = slot.vlan & kVlanIdMask;
  }
  if (entry.key.encap != FFFA_ENCAP_NONE) fill_tunnel(entry.key, entry.tunnel.side[side], record);
  if (entry.key.proto == IPPROTO_TCP) fill_tcp(entry, side, record);
  if (!judged(entry, side)) return;
  fill_verdicts(entry.verdicts.side[side], offset, record);
  const fffa_translation& other = entry.verdicts.translation[side];
  if (other.state == FFFA_TRANSLATED) fill_translation(other, record);
}

// The side that opened the connection: 0 or 1 (enum fffa_direction).
unsigned originator(const std::uint16_t (&seen)[2]) {
  if (((seen[0] | seen[1]) & FFFA_SEEN_SYN) != 0)
    return (seen[1] & FFFA_SEEN_SYN) != 0 && (seen[0] & FFFA_SEEN_SYN) == 0;
  if (((seen[0] | seen[1]) & FFFA_SEEN_SYN_ACK) != 0) return (seen[0] & FFFA_SEEN_SYN_ACK) != 0;
  return (seen[1] & FFFA_SEEN_INITIATOR) != 0 && (seen[0] & FFFA_SEEN_INITIATOR) == 0;
}

}  // namespace

ConnState connection_state(const std::uint16_t (&seen)[2]) noexcept {
  const unsigned opener = originator(seen);
  const unsigned mine = seen[opener];
  const unsigned theirs = seen[1 - opener];
  const bool syn = (mine & FFFA_SEEN_SYN) != 0;
  const bool answered = (theirs & FFFA_SEEN_ANY_SYN) != 0;
  const bool my_fin = (mine & FFFA_SEEN_FIN) != 0;
  const bool their_fin = (theirs & FFFA_SEEN_FIN) != 0;
  if (!syn && !answered) return ConnState::OTH;  // seen from its middle on
  if (!syn) {
    if ((theirs & FFFA_SEEN_RST) != 0) return ConnState::RSTRH;
    return their_fin ? ConnState::SHR : ConnState::OTH;
  }
  if (!answered) {
    if ((theirs & FFFA_SEEN_RST) != 0) return ConnState::REJ;
    if ((mine & FFFA_SEEN_RST) != 0) return ConnState::RSTOS0;
    return my_fin ? ConnState::SH : ConnState::S0;
  }
  if ((mine & FFFA_SEEN_RST) != 0) return ConnState::RSTO;
  if ((theirs & FFFA_SEEN_RST) != 0) return ConnState::RSTR;
  if (my_fin && their_fin) return ConnState::SF;
  if (my_fin) return ConnState::S2;
  return their_fin ? ConnState::S3 : ConnState::S1;
}

std::string_view reason_name(std::size_t reason) noexcept {
  return reason < kReasonNames.size() ? kReasonNames[reason] : std::string_view{};
}

void append_records(const fffa_drain_record& entry, const Origin& origin, TimeNs offset, std::vector<FlowRecord>& out) {
  for (unsigned side = 0; side < 2; ++side) {
    const fffa_slot& slot = entry.slot[side];
    if (slot.packets != 0 || slot.rtt_samples != 0 || judged(entry, side))
      fill(entry, side, origin, offset, out.emplace_back());
  }
}

}  // namespace fffa::engine
