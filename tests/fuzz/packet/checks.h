// SPDX-License-Identifier: MIT
// What must hold of whatever was parsed, whichever bytes it was made from.
#pragma once

#include <fffa_bpf/host_fragments.h>
#include <fffa_bpf/parse.h>

#include <cstdint>
#include <cstring>
#include <memory>

#include "../require.h"

namespace fffa::fuzz {

// A copy of the captured bytes that ends where they end, so that the sanitizer sees any access beyond them.
class Captured {
 public:
  Captured(const std::uint8_t* data, std::size_t size) : bytes_(new std::uint8_t[size ? size : 1]), size_(size) {
    if (size) std::memcpy(bytes_.get(), data, size);
  }
  fffa_frame frame() const {
    fffa_frame frame{};
    frame.data = bytes_.get();
    frame.end = bytes_.get() + size_;
    frame.length = static_cast<std::uint32_t>(size_);
    frame.segments = 1;
    frame.ifindex = 1;
    frame.tunnels = FFFA_OPEN_GENEVE;
    return frame;
  }

 private:
  std::unique_ptr<std::uint8_t[]> bytes_;
  std::size_t size_;
};

inline bool same(const fffa_addr& a, const fffa_addr& b) {
  return std::memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

inline void check_tunnel(const fffa_packet& p, std::uint32_t one_header) {
  require(p.key.encap == FFFA_ENCAP_GENEVE && p.key.vni < 1u << 24);
  require(p.outer.family == 4 || p.outer.family == 6);
  require(p.outer.dst_port == FFFA_GENEVE_PORT && p.outer.vni < 1u << 24);
  require(p.outer.gwlb <= (FFFA_GWLB_ENDPOINT | FFFA_GWLB_ATTACHMENT | FFFA_GWLB_COOKIE));
  require(p.outer_at + 20 + 8 + 8 <= p.ip_at);
  require(p.outer_bytes - (p.packets - 1) * (p.ip_at - p.outer_at + one_header) >= 20 + 8 + 8);
}

inline void check_fragment(const fffa_packet& p) {
  require(p.fragment <= FFFA_FRAGMENT_LATER && p.outer_fragment <= FFFA_FRAGMENT_FIRST);
  require(!p.outer_fragment || p.key.encap);
  if (p.fragment != FFFA_FRAGMENT_LATER) return;
  require(!p.tcp && !p.key.remote_port && !p.key.local_port);
}

inline void check_packet(const fffa_packet& p, const fffa_frame& frame) {
  require(p.key.family == 4 || p.key.family == 6);
  require(p.key.encap_depth <= FFFA_TUNNEL_DEPTH && (p.key.encap_depth != 0) == (p.key.encap != 0));
  require(p.note == FFFA_OK || (p.note >= FFFA_EXT_CHAIN_TOO_LONG && p.note <= FFFA_LENGTH_BEYOND_FRAME));
  require(p.packets == frame.segments && p.cut <= 1 && p.tcp <= 1 && p.ecn <= 3);
  // headers lie within the frame and within what the IP header says
  require(p.headers >= (p.key.family == 4 ? 20u : 40u) && p.ip_at + p.headers <= frame.length);
  require(p.bytes - (p.packets - 1) * p.headers >= p.headers);
  require(p.l4_at <= FFFA_OFFSET_LIMIT && p.ip_at < p.l4_at && p.room <= frame.length);
  if (p.tcp) {
    require(p.key.proto == FFFA_PROTO_TCP && (p.note == FFFA_OK || p.note == FFFA_LENGTH_BEYOND_FRAME));
    require(p.headers >= 40 && p.ip_at + p.headers + p.payload <= frame.length);
    require(p.scale <= 14 || p.scale == FFFA_NO_OFFER);
  }
  check_fragment(p);
  if (p.key.family == 4) require(!(p.key.remote_addr.words[1] | p.key.local_addr.words[1]));
  if (p.key.encap) {
    check_tunnel(p, p.headers);
  } else {
    require(p.outer_bytes == 0 && p.key.vni == 0);
  }
}

inline void require_same_outer(const fffa_packet& a, const fffa_packet& b) {
  require(a.outer_bytes == b.outer_bytes && a.outer_at == b.outer_at);
  require(same(a.outer.src, b.outer.src) && same(a.outer.dst, b.outer.dst));
  require(a.outer.src_port == b.outer.src_port && a.outer.dst_port == b.outer.dst_port);
  require(a.outer.family == b.outer.family && a.outer.gwlb == b.outer.gwlb && a.outer.vni == b.outer.vni);
  require(a.outer.gwlb_cookie == b.outer.gwlb_cookie && a.outer.gwlb_endpoint == b.outer.gwlb_endpoint);
  require(a.outer.gwlb_attachment == b.outer.gwlb_attachment && a.outer.reserved == b.outer.reserved);
}

// All but the key's two ends and the direction.
inline void require_same(const fffa_packet& a, const fffa_packet& b) {
  require(a.key.ifindex == b.key.ifindex && a.key.proto == b.key.proto && a.key.family == b.key.family);
  require(a.key.encap == b.key.encap && a.key.encap_depth == b.key.encap_depth && a.key.vni == b.key.vni);
  require(a.bytes == b.bytes && a.packets == b.packets && a.headers == b.headers && a.vlan == b.vlan);
  require(a.note == b.note && a.cut == b.cut && a.tcp == b.tcp && a.ecn == b.ecn && a.at_sender == b.at_sender);
  require(a.ip_at == b.ip_at && a.l4_at == b.l4_at && a.room == b.room);
  require(a.fragment == b.fragment && a.outer_fragment == b.outer_fragment);
  if (a.fragment) require(a.fragment_id == b.fragment_id && a.datagram_proto == b.datagram_proto);
  if (a.outer_fragment)
    require(a.outer_fragment_id == b.outer_fragment_id && a.outer_datagram_proto == b.outer_datagram_proto);
  if (a.tcp) {
    require(a.seq == b.seq && a.ack == b.ack && a.payload == b.payload && a.window == b.window);
    require(a.flags == b.flags && a.scale == b.scale && a.sack == b.sack);
  }
  if (a.key.encap) require_same_outer(a, b);
}

inline int parse_once(const fffa_frame& frame, fffa_packet& packet, int direction, bool raw_ip, int rubbish) {
  std::memset(&packet, rubbish, sizeof packet);
  return raw_ip ? fffa_parse_raw_ip(&frame, &packet, direction) : fffa_parse_frame(&frame, &packet, direction);
}

// Parses into memory with one content and with another, and as the other direction, and requires the same of all.
inline int parse_checked(const fffa_frame& frame, fffa_packet& packet, int direction, bool raw_ip) {
  fffa_packet again, other;
  const int reason = parse_once(frame, packet, direction, raw_ip, 0xaa);
  require(reason >= FFFA_OK && reason <= FFFA_VLAN_TOO_DEEP);
  require(parse_once(frame, again, direction, raw_ip, 0x55) == reason);
  require(parse_once(frame, other, !direction, raw_ip, 0) == reason);
  if (reason) {
    require(packet.vlan == again.vlan && packet.cut == again.cut && packet.cut == other.cut);
    return reason;
  }
  check_packet(packet, frame);
  require_same(packet, again);
  require(same(packet.key.remote_addr, again.key.remote_addr) && same(packet.key.local_addr, again.key.local_addr));
  require(packet.key.remote_port == again.key.remote_port && packet.key.local_port == again.key.local_port);
  require_same(packet, other);
  require(same(packet.key.remote_addr, other.key.local_addr) && same(packet.key.local_addr, other.key.remote_addr));
  require(packet.key.remote_port == other.key.local_port && packet.key.local_port == other.key.remote_port);
  return reason;
}

}  // namespace fffa::fuzz
