// SPDX-License-Identifier: MIT
#include "orient.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "fffa_bpf/hash.h"
#include "seeds.h"

namespace fffa::pcap {
namespace {

constexpr std::uint32_t kEthernetHeader = 14;

// Cooked headers: enough in front of the EtherType to stand for an Ethernet header.
constexpr std::uint32_t kSllHeader = 16;
constexpr std::uint32_t kSll2Header = 20;
enum SllType : std::uint8_t { kToUs = 0, kBroadcast = 1, kMulticast = 2, kToOthers = 3, kOutgoing = 4 };

Way way_of_sll(std::uint32_t type) {
  if (type == kOutgoing) return Way::out;
  return type <= kMulticast ? Way::in : Way::unknown;
}

// BSD's address families: IPv4 is 2 everywhere, IPv6 has as many numbers as there are BSDs.
bool is_ip_family(std::uint32_t family) {
  return family == 2 || family == 10 || family == 24 || family == 28 || family == 30;
}

void use_bytes(Framed& framed, const Packet& packet, std::uint32_t skip) {
  framed.frame.data = packet.data + skip;
  framed.frame.end = packet.data + packet.captured;
  framed.frame.length = packet.length - skip;
  framed.header = skip;
  framed.readable = true;
}

void frame_null(Framed& framed, const Packet& packet, bool network_order) {
  framed.header = 4;
  framed.reason = FFFA_TRUNCATED_L2;
  if (packet.captured < 4) return;
  const std::uint32_t family = fffa_be32(packet.data);
  framed.reason = FFFA_NOT_IP;
  // DLT_NULL has the byte order of the machine that captured, whichever that was
  if (is_ip_family(family) || (!network_order && is_ip_family(__builtin_bswap32(family)))) use_bytes(framed, packet, 4);
}

void frame_cooked(Framed& framed, const Packet& packet, bool second_version) {
  const std::uint32_t header = second_version ? kSll2Header : kSllHeader;
  framed.header = header;
  framed.reason = FFFA_TRUNCATED_L2;
  if (packet.captured < header) return;
  std::uint8_t* at = packet.data;
  Way way = Way::unknown;
  if (second_version) {
    framed.ifindex = fffa_be32(at + 4);
    way = way_of_sll(at[10]);
    std::memcpy(at + kSll2Header - 2, at, 2);  // the EtherType to where Ethernet has it: the address's unused end
  } else {
    way = way_of_sll(fffa_be16(at));
  }
  if (framed.way == Way::unknown) framed.way = way;
  use_bytes(framed, packet, header - kEthernetHeader);
  framed.header = header;
  framed.ethernet = true;
}

// The tags that the engine steps over, outermost first.
std::uint32_t vlan_stack(const fffa_frame& frame) {
  std::uint32_t stack = 0;
  const std::uint8_t* type = frame.data + 12;
  for (int i = 0; i < FFFA_VLAN_DEPTH && type + 4 <= frame.end && fffa_is_vlan(fffa_be16(type)); ++i, type += 4)
    stack |= static_cast<std::uint32_t>(FFFA_VLAN_PRESENT | (fffa_be16(type + 2) & 0x0fff)) << 16 * i;
  return stack;
}

// The outermost tag of an Ethernet frame in a tunnel, where it is easily found: behind the first GENEVE header.
std::uint16_t inner_vlan(const fffa_frame& frame, const fffa_packet& p) {
  if (p.inner_type != FFFA_ETH_BRIDGED || p.key.encap_depth != 1) return 0;
  const std::uint8_t* ip = frame.data + p.outer_at;
  if (p.outer.family == 6 && ip[6] != FFFA_PROTO_UDP) return 0;
  const std::uint8_t* geneve = ip + (p.outer.family == 4 ? (ip[0] & 15) * 4 : 40) + 8;
  if (geneve + 8 > frame.end) return 0;
  const std::uint8_t* type = geneve + 8 + (geneve[0] & 0x3f) * 4 + 12;
  if (type + 4 > frame.end || !fffa_is_vlan(fffa_be16(type))) return 0;
  return static_cast<std::uint16_t>(FFFA_VLAN_PRESENT | (fffa_be16(type + 2) & 0x0fff));
}

// Whether an end is higher than the other, as numbers in network order.
bool higher(const fffa_addr& a, std::uint16_t port, const fffa_addr& b, std::uint16_t other_port) {
  const std::uint64_t a0 = fffa_be64(a.bytes), b0 = fffa_be64(b.bytes);
  if (a0 != b0) return a0 > b0;
  const std::uint64_t a1 = fffa_be64(a.bytes + 8), b1 = fffa_be64(b.bytes + 8);
  if (a1 != b1) return a1 > b1;
  return port > other_port;
}

}  // namespace

SeededHash::SeededHash() {
  draw_seeds(seeds_);
}

std::size_t SeededHash::operator()(std::span<const std::uint64_t> words) const noexcept {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < words.size(); ++i) sum += fffa_hash_word(words[i], seeds_[2 * i], seeds_[2 * i + 1]);
  return fffa_hash_end(sum);
}

std::size_t PathHash::operator()(const Path& path) const noexcept {
  const std::uint64_t words[] = {std::uint64_t{path.interface} << 32 | path.ifindex,
                                 std::uint64_t{path.vlans} << 32 | std::uint64_t{path.inner_vlan} << 16 |
                                     static_cast<unsigned>(path.way) << 8 | path.kind};
  return hash(words);
}

std::size_t GatewayPairHash::operator()(const GatewayPair& pair) const noexcept {
  const std::uint64_t words[] = {pair.low.words[0], pair.low.words[1], pair.high.words[0], pair.high.words[1]};
  return hash(words);
}
bool operator==(const GatewayPair& a, const GatewayPair& b) noexcept {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

std::uint32_t Paths::add(const Path& path, std::size_t limit) {
  if (const auto found = numbers_.find(path); found != numbers_.end()) return found->second;
  if (paths_.size() >= limit) return 0;
  paths_.push_back(path);
  const auto number = static_cast<std::uint32_t>(paths_.size());
  numbers_.emplace(path, number);
  return number;
}

std::uint32_t Paths::look_up(const Path& path) {
  std::uint32_t number = add(path, kMax);
  if (number == 0) {
    Path plain = path;
    plain.vlans = 0;
    plain.inner_vlan = 0;
    plain.ifindex = 0;
    number = add(plain, SIZE_MAX);  // there are few of these
  }
  last_ = path;
  last_number_ = number;
  return number;
}

Way GatewayPaths::way_of(const fffa_outer& outer, bool reverse) {
  const GatewayPair pair = reverse ? GatewayPair{outer.dst, outer.src} : GatewayPair{outer.src, outer.dst};
  auto found = first_.find(pair);
  if (found == first_.end()) {
    if (first_.size() >= kMax) return Way::unknown;
    found = first_.emplace(pair, reverse).first;
  }
  return found->second == reverse ? Way::in : Way::out;
}

Framed frame_of(const Packet& packet, std::uint16_t link_type, std::uint32_t tunnels) {
  Framed framed;
  framed.way = packet.way;
  framed.frame.segments = 1;
  framed.frame.tunnels = tunnels;
  switch (link_type) {
    case kLinkEthernet:
      use_bytes(framed, packet, 0);
      framed.header = kEthernetHeader;
      framed.ethernet = true;
      break;
    case kLinkRaw:
    case kLinkRawBsd:
    case kLinkRawOpenBsd:
    case kLinkIpv4:
    case kLinkIpv6: use_bytes(framed, packet, 0); break;
    case kLinkNull: frame_null(framed, packet, false); break;
    case kLinkLoop: frame_null(framed, packet, true); break;
    case kLinkSll: frame_cooked(framed, packet, false); break;
    case kLinkSll2: frame_cooked(framed, packet, true); break;
    default: break;
  }
  framed.frame.at_sender = framed.way == Way::out;
  return framed;
}

// The kind of path of a packet whose direction is not known; `reverse`: its remote end is the higher one.
void Orienter::set_kind(const fffa_packet& packet, bool reverse, Path& path) {
  path.kind = Path::undirected;
  if (packet.key.encap == FFFA_ENCAP_NONE) return;
  const fffa_outer& outer = packet.outer;
  const bool outer_reverse = higher(outer.src, 0, outer.dst, 0);
  if (outer.gwlb == 0) {
    path.kind = outer_reverse != reverse ? Path::overlay_reverse : Path::overlay;
    return;
  }
  path.kind = outer_reverse ? Path::gwlb_reverse : Path::gwlb;
  path.way = gateways_.way_of(outer, outer_reverse);
}

// Puts the ends of the key in order, since the direction is not known.
void Orienter::set_undirected(fffa_packet& packet, Path& path) {
  fffa_flow_key& key = packet.key;
  const bool reverse = higher(key.remote_addr, key.remote_port, key.local_addr, key.local_port);
  if (reverse) {
    std::swap(key.remote_addr, key.local_addr);
    std::swap(key.remote_port, key.local_port);
    packet.direction = FFFA_EGRESS;
  }
  set_kind(packet, reverse, path);
}

Orienter::Orienter(std::uint32_t tunnels) : tunnels_(tunnels) {
  draw_seeds(fragments_.seeds);
}

// Ports are not known here, so the path's kind is that of the outer packet's direction; the inner one's is in the ends.
void Orienter::follow_fragment(const Path& path, fffa_packet& packet) {
  if (fragment_entries_.empty()) {
    fragment_entries_.resize(FFFA_FRAGMENTS);
    fragments_.entries = fragment_entries_.data();
  }
  Path way = path;
  if (packet.outer_fragment != 0) {
    way.inner_vlan = 0;
    packet.key.ifindex = paths_.number_of(way);
    fffa_follow_outer_fragment(&fragments_, &packet);
  }
  if (packet.fragment == 0) return;
  way = path;
  if (way.kind != Path::directed) set_kind(packet, false, way);
  packet.key.ifindex = paths_.number_of(way);
  fffa_follow_fragment(&fragments_, &packet);
}

int Orienter::operator()(const Packet& packet, std::uint16_t link_type, fffa_packet& out, Framed& framed) {
  framed = frame_of(packet, link_type, tunnels_);
  if (!framed.readable) return framed.reason;
  int reason = FFFA_OK;
  if (framed.way == Way::out) {
    reason = framed.ethernet ? fffa_parse_frame(&framed.frame, &out, FFFA_EGRESS)
                             : fffa_parse_raw_ip(&framed.frame, &out, FFFA_EGRESS);
  } else {
    reason = framed.ethernet ? fffa_parse_frame(&framed.frame, &out, FFFA_INGRESS)
                             : fffa_parse_raw_ip(&framed.frame, &out, FFFA_INGRESS);
  }
  if (reason != FFFA_OK) return reason;
  Path path;
  path.interface = packet.interface;
  path.ifindex = framed.ifindex;
  if (fffa_unlikely(out.vlan != 0)) path.vlans = vlan_stack(framed.frame);
  if (fffa_unlikely(out.key.encap != 0)) path.inner_vlan = inner_vlan(framed.frame, out);
  if (framed.way == Way::unknown) path.kind = Path::undirected;
  out.time_ns = static_cast<__u64>(packet.time);
  if (fffa_unlikely((out.fragment | out.outer_fragment) != 0)) follow_fragment(path, out);
  if (framed.way == Way::unknown) set_undirected(out, path);
  out.key.ifindex = paths_.number_of(path);
  return FFFA_OK;
}

}  // namespace fffa::pcap
