// SPDX-License-Identifier: MIT
#include "orient.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

#include "fffa_bpf/host_table.h"
#include "fragments.h"
#include "packet_builder.h"

namespace fffa::pcap {
namespace {

using bpf_test::Bytes;
using bpf_test::PacketBuilder;

const char* const kLow = "10.0.0.1";
const char* const kHigh = "10.0.0.2";

Bytes ip(const char* src, std::uint16_t src_port, const char* dst, std::uint16_t dst_port) {
  return PacketBuilder().ipv4(src, dst).tcp(src_port, dst_port).build();
}
Bytes eth(const char* src, std::uint16_t src_port, const char* dst, std::uint16_t dst_port) {
  return PacketBuilder().eth().ipv4(src, dst).tcp(src_port, dst_port).build();
}
Bytes behind(Bytes header, const Bytes& packet) {
  header.insert(header.end(), packet.begin(), packet.end());
  return header;
}
// GENEVE from `outer_src` to `outer_dst`, with TCP inside.
Bytes tunnel(const char* outer_src, const char* outer_dst, const char* src, const char* dst, const Bytes& options = {},
             std::uint16_t inner_vlan = 0) {
  const std::uint16_t from = src == kLow ? 1000 : 80, to = src == kLow ? 80 : 1000;
  PacketBuilder builder;
  builder.eth().ipv4(outer_src, outer_dst).udp(4444, 6081).geneve(7, options);
  if (inner_vlan != 0) builder.eth().vlan(inner_vlan);
  return builder.ipv4(src, dst).tcp(from, to).build();
}

class Orient : public ::testing::Test {
 protected:
  struct Seen {
    int reason;
    fffa_packet packet;
    Framed framed;
    std::uint32_t path() const { return packet.key.ifindex; }
  };
  Seen see(Bytes bytes, std::uint16_t link_type = kLinkEthernet, Way way = Way::unknown, std::uint32_t interface = 0) {
    Packet packet;
    packet.data = bytes.data();
    packet.captured = packet.length = static_cast<std::uint32_t>(bytes.size());
    packet.time = 5;
    packet.interface = interface;
    packet.way = way;
    Seen seen{};
    seen.reason = orienter_(packet, link_type, seen.packet, seen.framed);
    return seen;
  }
  static bool one_entry(const Seen& a, const Seen& b) {
    EXPECT_EQ(a.reason, FFFA_OK);
    EXPECT_EQ(b.reason, FFFA_OK);
    return fffa_same_key(&a.packet.key, &b.packet.key) != 0;
  }
  Orienter orienter_{FFFA_OPEN_GENEVE};
};

TEST_F(Orient, WithoutDirectionBothWaysMeetInOneEntry) {
  const auto there = see(eth(kLow, 1000, kHigh, 80)), back = see(eth(kHigh, 80, kLow, 1000));
  EXPECT_TRUE(one_entry(there, back));
  EXPECT_EQ(there.packet.direction, FFFA_INGRESS) << "the lower end is remote";
  EXPECT_EQ(back.packet.direction, FFFA_EGRESS);
  EXPECT_EQ(there.packet.key.remote_port, 1000);
  EXPECT_EQ(there.packet.at_sender + back.packet.at_sender, 0);
  EXPECT_FALSE(one_entry(there, see(eth(kLow, 80, kHigh, 1000)))) << "another connection";
  EXPECT_TRUE(one_entry(see(eth(kLow, 1, kLow, 2)), see(eth(kLow, 2, kLow, 1)))) << "told apart by port";
}

TEST_F(Orient, KnownDirectionIsTheKernelsAndNeverMeetsUnknown) {
  const auto in = see(eth(kHigh, 80, kLow, 1000), kLinkEthernet, Way::in);
  const auto out = see(eth(kLow, 1000, kHigh, 80), kLinkEthernet, Way::out);
  EXPECT_TRUE(one_entry(in, out));
  EXPECT_EQ(in.packet.key.remote_port, 80);
  EXPECT_EQ(in.packet.direction, FFFA_INGRESS);
  EXPECT_EQ(out.packet.direction, FFFA_EGRESS);
  EXPECT_EQ(in.packet.at_sender, 0);
  EXPECT_EQ(out.packet.at_sender, 1);
  EXPECT_FALSE(one_entry(in, see(eth(kHigh, 80, kLow, 1000))));
  EXPECT_FALSE(one_entry(in, see(eth(kLow, 1000, kHigh, 80))));
  EXPECT_EQ(orienter_.paths()[in.path()].kind, Path::directed);
}

TEST_F(Orient, InterfacesAndVlanStacksArePaths) {
  const auto tagged = [&](std::uint16_t outer, std::uint16_t inner) {
    PacketBuilder builder;
    builder.eth();
    if (outer != 0) builder.vlan(outer, inner != 0 ? 0x88a8 : 0x8100);
    if (inner != 0) builder.vlan(inner);
    return builder.ipv4(kLow, kHigh).tcp(1, 2).build();
  };
  const auto plain = see(tagged(0, 0)), ten = see(tagged(10, 0)), stacked = see(tagged(10, 20));
  EXPECT_FALSE(one_entry(plain, ten));
  EXPECT_FALSE(one_entry(ten, stacked));
  EXPECT_FALSE(one_entry(stacked, see(tagged(10, 21))));
  EXPECT_FALSE(one_entry(plain, see(tagged(0, 0), kLinkEthernet, Way::unknown, 1)));
  EXPECT_TRUE(one_entry(stacked, see(tagged(10, 20))));
  EXPECT_EQ(stacked.packet.vlan & 0xfff, 10);
}

TEST_F(Orient, FragmentsFindTheirPortsBeforeTheEndsAreOrdered) {
  const auto fragments = [&](const char* src, const char* dst, std::uint16_t from, Way way) {
    const bpf_test::Datagram d{.src = src, .dst = dst};
    const auto first = see(d.first(from, 80), kLinkEthernet, way), later = see(d.later(), kLinkEthernet, way);
    EXPECT_TRUE(one_entry(first, later)) << src;
    EXPECT_EQ(first.packet.direction, later.packet.direction);
    EXPECT_EQ(std::max(later.packet.key.remote_port, later.packet.key.local_port), from);
  };
  // the same id there, back, and between two ports of one machine, where the ports decide which end is remote
  fragments(kLow, kHigh, 1000, Way::unknown);
  fragments(kHigh, kLow, 2000, Way::unknown);
  fragments(kLow, kLow, 3000, Way::unknown);
  fragments(kLow, kHigh, 4000, Way::in);
  fragments(kLow, kHigh, 5000, Way::out);
  const bpf_test::Datagram d{.src = kLow, .dst = kHigh};
  EXPECT_EQ(see(d.later()).packet.key.remote_port, 1000) << "the others have not touched it";
  EXPECT_EQ(see(d.later(), kLinkEthernet, Way::unknown, 1).packet.key.remote_port, 0) << "another interface";
}

TEST_F(Orient, FragmentsInAndAroundTunnels) {
  for (const auto& [src, dst] : {std::pair{kLow, kHigh}, std::pair{kHigh, kLow}, std::pair{kLow, kLow}}) {
    for (const auto& [outer_src, outer_dst] :
         {std::pair{"192.0.2.1", "192.0.2.2"}, std::pair{"192.0.2.2", "192.0.2.1"}}) {
      PacketBuilder in;
      in.eth().ipv4(outer_src, outer_dst).udp(1, 6081).geneve(7);
      const bpf_test::Datagram d{.src = src, .dst = dst, .in = in};
      EXPECT_EQ(see(d.later()).packet.key.remote_port, 0) << "another path's";
      const auto first = see(d.first(4000, 80));
      EXPECT_TRUE(one_entry(first, see(d.later())));
      const bpf_test::Datagram outer{.src = outer_src, .dst = outer_dst, .id = src == dst ? 5u : src == kLow ? 6u : 7u};
      const auto bytes = outer.ip(0, true).udp(777, 6081).geneve(7).eth().vlan(5).ipv4(src, dst).udp(1, 2).build();
      EXPECT_EQ(see(bytes).packet.key.encap_depth, 1);
      const auto later = see(outer.later());
      EXPECT_EQ(later.packet.key.encap_depth, 0);
      EXPECT_EQ(std::minmax(later.packet.key.remote_port, later.packet.key.local_port),
                std::minmax(std::uint16_t{777}, std::uint16_t{6081}));
    }
  }
}

TEST_F(Orient, OverlayAnswersComeTheOtherWayRound) {
  const auto there = see(tunnel("192.0.2.1", "192.0.2.2", kLow, kHigh));
  const auto back = see(tunnel("192.0.2.2", "192.0.2.1", kHigh, kLow));
  EXPECT_TRUE(one_entry(there, back));
  EXPECT_EQ(there.packet.outer.src.v4, back.packet.outer.dst.v4) << "outer addresses stay as on the wire";
  const auto returned = see(tunnel("192.0.2.2", "192.0.2.1", kLow, kHigh));
  EXPECT_FALSE(one_entry(there, returned));
  EXPECT_TRUE(one_entry(returned, see(tunnel("192.0.2.1", "192.0.2.2", kHigh, kLow))));
  EXPECT_FALSE(one_entry(there, see(tunnel("192.0.2.1", "192.0.2.2", kLow, kHigh, {}, 5)))) << "a VLAN inside";
}

TEST_F(Orient, AGatewayLoadBalancersPathsGoByTheOuterDirection) {
  const auto options = bpf_test::gwlb_options(1, 2, 3);
  const auto there = see(tunnel("192.0.2.1", "192.0.2.2", kLow, kHigh, options));
  const auto back = see(tunnel("192.0.2.1", "192.0.2.2", kHigh, kLow, options));
  EXPECT_TRUE(one_entry(there, back));
  const auto returned = see(tunnel("192.0.2.2", "192.0.2.1", kLow, kHigh, options));
  EXPECT_FALSE(one_entry(there, returned));
  EXPECT_TRUE(one_entry(returned, see(tunnel("192.0.2.2", "192.0.2.1", kHigh, kLow, options))));
  EXPECT_EQ(orienter_.paths()[there.path()].way, Way::in) << "an appliance begins nothing";
  EXPECT_EQ(orienter_.paths()[returned.path()].way, Way::out);
  const auto other = see(tunnel("192.0.2.9", "192.0.2.2", kLow, kHigh, options));
  EXPECT_EQ(orienter_.paths()[other.path()].way, Way::in) << "of another load balancer's node, with a higher address";
}

TEST_F(Orient, WithKnownDirectionAnAppliancesCopiesAreApartAsInTheKernel) {
  const auto options = bpf_test::gwlb_options(1, 2, 3);
  const auto in = see(tunnel("192.0.2.1", "192.0.2.2", kLow, kHigh, options), kLinkEthernet, Way::in);
  const auto out = see(tunnel("192.0.2.2", "192.0.2.1", kLow, kHigh, options), kLinkEthernet, Way::out);
  EXPECT_EQ(in.path(), out.path());
  EXPECT_FALSE(one_entry(in, out));
}

struct LinkCase {
  const char* name;
  std::uint16_t link_type;
  Bytes bytes;
  int reason;
  Way way;
  std::uint32_t ifindex;
};

TEST_F(Orient, LinkTypes) {
  const auto v4 = ip(kLow, 1000, kHigh, 80);
  const auto v6 = PacketBuilder().ipv6("2001:db8::1", "2001:db8::2").tcp(1000, 80).build();
  const auto sll = [](std::uint8_t type, std::uint16_t protocol) {
    return Bytes{0,
                 type,
                 0,
                 1,
                 0,
                 6,
                 1,
                 2,
                 3,
                 4,
                 5,
                 6,
                 0,
                 0,
                 static_cast<std::uint8_t>(protocol >> 8),
                 static_cast<std::uint8_t>(protocol)};
  };
  const auto sll2 = [](std::uint8_t type, std::uint16_t protocol) {
    return Bytes{static_cast<std::uint8_t>(protocol >> 8),
                 static_cast<std::uint8_t>(protocol),
                 0,
                 0,
                 0,
                 0,
                 1,
                 9,
                 0,
                 1,
                 type,
                 6,
                 1,
                 2,
                 3,
                 4,
                 5,
                 6,
                 7,
                 8};
  };
  const LinkCase cases[] = {
      {"raw", kLinkRaw, v4, FFFA_OK, Way::unknown, 0},
      {"raw 12", kLinkRawBsd, v6, FFFA_OK, Way::unknown, 0},
      {"raw 14", kLinkRawOpenBsd, v4, FFFA_OK, Way::unknown, 0},
      {"ipv4", kLinkIpv4, v4, FFFA_OK, Way::unknown, 0},
      {"ipv6", kLinkIpv6, v6, FFFA_OK, Way::unknown, 0},
      {"raw, empty", kLinkRaw, {}, FFFA_TRUNCATED_L3, Way::unknown, 0},
      {"null, little-endian", kLinkNull, behind({2, 0, 0, 0}, v4), FFFA_OK, Way::unknown, 0},
      {"null, big-endian", kLinkNull, behind({0, 0, 0, 30}, v6), FFFA_OK, Way::unknown, 0},
      {"null, not IP", kLinkNull, behind({7, 0, 0, 0}, v4), FFFA_NOT_IP, Way::unknown, 0},
      {"null, cut", kLinkNull, {2, 0, 0}, FFFA_TRUNCATED_L2, Way::unknown, 0},
      {"loop", kLinkLoop, behind({0, 0, 0, 2}, v4), FFFA_OK, Way::unknown, 0},
      {"loop is in network order", kLinkLoop, behind({2, 0, 0, 0}, v4), FFFA_NOT_IP, Way::unknown, 0},
      {"cooked, to us", kLinkSll, behind(sll(0, 0x0800), v4), FFFA_OK, Way::in, 0},
      {"cooked, multicast", kLinkSll, behind(sll(2, 0x86dd), v6), FFFA_OK, Way::in, 0},
      {"cooked, to others", kLinkSll, behind(sll(3, 0x0800), v4), FFFA_OK, Way::unknown, 0},
      {"cooked, outgoing", kLinkSll, behind(sll(4, 0x0800), v4), FFFA_OK, Way::out, 0},
      {"cooked, tagged", kLinkSll, behind(behind(sll(4, 0x8100), {0, 5, 8, 0}), v4), FFFA_OK, Way::out, 0},
      {"cooked, ARP", kLinkSll, behind(sll(0, 0x0806), v4), FFFA_NOT_IP, Way::in, 0},
      {"cooked, cut", kLinkSll, Bytes(15), FFFA_TRUNCATED_L2, Way::unknown, 0},
      {"cooked 2, outgoing", kLinkSll2, behind(sll2(4, 0x0800), v4), FFFA_OK, Way::out, 265},
      {"cooked 2, broadcast", kLinkSll2, behind(sll2(1, 0x86dd), v6), FFFA_OK, Way::in, 265},
      {"cooked 2, cut", kLinkSll2, Bytes(19), FFFA_TRUNCATED_L2, Way::unknown, 0},
      {"a link type that is not known", 147, v4, FFFA_NOT_IP, Way::unknown, 0},
      {"Ethernet, cut", kLinkEthernet, Bytes(13), FFFA_TRUNCATED_L2, Way::unknown, 0},
  };
  for (const auto& c : cases) {
    const auto seen = see(c.bytes, c.link_type);
    EXPECT_EQ(seen.reason, c.reason) << c.name;
    EXPECT_EQ(seen.framed.way, c.way) << c.name;
    EXPECT_EQ(seen.framed.ifindex, c.ifindex) << c.name;
    if (c.reason != FFFA_OK || seen.reason != FFFA_OK) continue;
    EXPECT_EQ(seen.packet.bytes, (seen.packet.key.family == 4 ? v4 : v6).size()) << c.name;
    EXPECT_EQ(seen.packet.tcp, 1) << c.name;
  }
}

TEST_F(Orient, WhatPcapngSaysOfADirectionGoesBeforeTheCookedHeader) {
  Bytes header{0, 4, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0};
  EXPECT_EQ(see(behind(header, ip(kLow, 1, kHigh, 2)), kLinkSll, Way::in).framed.way, Way::in);
}

TEST_F(Orient, TunnelsStayClosedOnRequest) {
  Orienter closed(0);
  Bytes bytes = tunnel("192.0.2.1", "192.0.2.2", kLow, kHigh);
  Packet packet;
  packet.data = bytes.data();
  packet.captured = packet.length = static_cast<std::uint32_t>(bytes.size());
  fffa_packet out;
  Framed framed;
  ASSERT_EQ(closed(packet, kLinkEthernet, out, framed), FFFA_OK);
  EXPECT_EQ(out.key.encap, 0);
  EXPECT_EQ(out.key.proto, FFFA_PROTO_UDP);
}

template <typename Key, typename Hash>
std::size_t different(const std::vector<Key>& keys, const Hash& hash) {
  std::set<std::size_t> hashes;
  for (const auto& key : keys) hashes.insert(hash(key));
  return hashes.size();
}

// Keys for which multiplying and folding in, word after word without a seed, always ends in the same: who knows how a
// hash goes on can choose the last word by all the others.
constexpr std::uint64_t kKnown = 0x9e3779b97f4a7c15ull;

std::vector<GatewayPair> crafted_pairs() {
  std::vector<GatewayPair> pairs(1000);
  for (std::uint64_t i = 0; i < pairs.size(); ++i) {
    auto& [low, high] = pairs[i];
    low.words[0] = 0x20 | i << 8;
    high.words[0] = 0xfd;
    const std::uint64_t sum = ((low.words[0] * kKnown) * kKnown ^ high.words[0]) * kKnown;
    high.words[1] = sum ^ 0x1234567800000000ull;
  }
  return pairs;
}

std::vector<Path> crafted_paths() {
  std::vector<Path> paths;
  for (std::uint32_t ifindex = 0; ifindex < 1u << 22; ++ifindex) {
    const std::uint64_t sum = ifindex * kKnown;
    if ((sum >> 56 | (sum & 0xff)) != 0) continue;
    Path& path = paths.emplace_back();
    path.ifindex = ifindex;
    path.vlans = static_cast<std::uint32_t>(sum >> 24);
    path.inner_vlan = static_cast<std::uint16_t>(sum >> 8);
  }
  return paths;
}

TEST(SeededHash, NobodyCanMakeKeysThatMeet) {
  const auto pairs = crafted_pairs();
  const GatewayPairHash pair_hash, other_pair_hash;
  EXPECT_EQ(different(pairs, pair_hash), pairs.size());
  EXPECT_NE(pair_hash(pairs[0]), other_pair_hash(pairs[0]));
  const auto paths = crafted_paths();
  EXPECT_GT(paths.size(), 20u);
  const PathHash path_hash, other_path_hash;
  EXPECT_EQ(different(paths, path_hash), paths.size());
  EXPECT_NE(path_hash(paths[0]), other_path_hash(paths[0]));
}

TEST(SeededHash, EveryPartOfAKeyCounts) {
  const PathHash hash;
  const Path paths[] = {
      {}, {.interface = 1}, {.ifindex = 1}, {.vlans = 1}, {.inner_vlan = 1}, {.kind = Path::gwlb}, {.way = Way::in}};
  EXPECT_EQ(different(std::vector(std::begin(paths), std::end(paths)), hash), std::size(paths));
}

TEST(Paths, AreBounded) {
  Paths paths;
  Path path;
  path.kind = Path::undirected;
  for (std::uint32_t i = 0; i < Paths::kMax + 1000; ++i) {
    path.vlans = i;
    ASSERT_NE(paths.number_of(path), 0u);
  }
  EXPECT_LE(paths.size(), Paths::kMax + 1);
  for (std::uint16_t tag = 1; tag < 100; ++tag) {
    path.inner_vlan = tag;
    path.ifindex = tag;
    path.way = Way::unknown;
    for (const auto kind : {Path::directed, Path::undirected, Path::overlay, Path::overlay_reverse}) {
      path.kind = kind;
      static_cast<void>(paths.number_of(path));
    }
    for (const auto kind : {Path::gwlb, Path::gwlb_reverse}) {
      path.kind = kind;
      for (const auto way : {Way::unknown, Way::in, Way::out}) {
        path.way = way;
        const Path& kept = paths[paths.number_of(path)];
        EXPECT_EQ(kept.kind, kind);
        EXPECT_EQ(kept.way, way);
        EXPECT_EQ(kept.inner_vlan, 0);
      }
    }
  }
  EXPECT_EQ(paths.size(), Paths::kMax + Paths::kPlain - 1) << "the very first one was plain";
  path = {.kind = Path::undirected};
  path.vlans = 7;
  EXPECT_EQ(paths[paths.number_of(path)].vlans, 7u);
}

}  // namespace
}  // namespace fffa::pcap
