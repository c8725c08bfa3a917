// SPDX-License-Identifier: MIT
// The expected ids are those of the Community ID specification's examples and of tshark's Community ID dissector.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <string>

#include "fffa/fields.h"

namespace fffa {
namespace {

Tuple tuple(std::uint8_t protocol, const char* src, const char* dst, unsigned src_port, unsigned dst_port) {
  Tuple flow;
  flow.family = std::string_view(src).find(':') == std::string_view::npos ? 4 : 6;
  const int family = flow.family == 4 ? AF_INET : AF_INET6;
  EXPECT_EQ(inet_pton(family, src, flow.src.data()), 1);
  EXPECT_EQ(inet_pton(family, dst, flow.dst.data()), 1);
  flow.protocol = protocol;
  flow.src_port = static_cast<std::uint16_t>(src_port);
  flow.dst_port = static_cast<std::uint16_t>(dst_port);
  return flow;
}

std::string id_of(const Tuple& flow) {
  char text[30];
  return {text, community_id(flow, text)};
}

TEST(CommunityId, TcpBothDirections) {
  EXPECT_EQ(id_of(tuple(6, "128.232.110.120", "66.35.250.204", 34855, 80)), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
  EXPECT_EQ(id_of(tuple(6, "66.35.250.204", "128.232.110.120", 80, 34855)), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
}

TEST(CommunityId, UdpAndSctp) {
  EXPECT_EQ(id_of(tuple(17, "192.168.1.52", "8.8.8.8", 54585, 53)), "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
  EXPECT_EQ(id_of(tuple(132, "192.168.170.8", "192.168.170.56", 7, 80)), "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ=");
}

TEST(CommunityId, IcmpRequestAndReplyShareOne) {
  EXPECT_EQ(id_of(tuple(1, "192.168.0.89", "192.168.0.1", 0, 8 << 8)), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
  EXPECT_EQ(id_of(tuple(1, "192.168.0.1", "192.168.0.89", 0, 0 << 8)), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
  EXPECT_EQ(id_of(tuple(58, "fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea", 0, 135 << 8)),
            "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=");
  EXPECT_EQ(id_of(tuple(58, "fe80::260:97ff:fe07:69ea", "fe80::200:86ff:fe05:80da", 0, 136 << 8)),
            "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=");
}

TEST(CommunityId, EveryIcmpPairMeets) {
  constexpr std::pair<unsigned, unsigned> kPairs[] = {{0, 8}, {9, 10}, {13, 14}, {15, 16}, {17, 18}};
  for (const auto& [a, b] : kPairs) {
    EXPECT_EQ(id_of(tuple(1, "10.0.0.1", "10.0.0.2", 0, a << 8)), id_of(tuple(1, "10.0.0.2", "10.0.0.1", 0, b << 8)));
  }
  constexpr std::pair<unsigned, unsigned> kPairsV6[] = {{128, 129}, {130, 131}, {133, 134},
                                                        {135, 136}, {139, 140}, {144, 145}};
  for (const auto& [a, b] : kPairsV6) {
    EXPECT_EQ(id_of(tuple(58, "fe80::1", "fe80::2", 0, a << 8)), id_of(tuple(58, "fe80::2", "fe80::1", 0, b << 8)));
  }
}

TEST(CommunityId, OneWayIcmpKeepsItsDirection) {
  const auto there = tuple(1, "10.0.0.1", "10.0.0.2", 0, 3 << 8 | 1),
             back = tuple(1, "10.0.0.2", "10.0.0.1", 0, 3 << 8 | 1);
  EXPECT_NE(id_of(there), id_of(back));
}

TEST(CommunityId, EqualAddressesGoByPort) {
  EXPECT_EQ(id_of(tuple(6, "10.0.0.1", "10.0.0.1", 80, 1234)), id_of(tuple(6, "10.0.0.1", "10.0.0.1", 1234, 80)));
}

TEST(CommunityId, OtherProtocolsGoByAddresses) {
  EXPECT_EQ(id_of(tuple(46, "10.1.24.4", "10.1.12.1", 0, 0)), id_of(tuple(46, "10.1.12.1", "10.1.24.4", 0, 0)));
  EXPECT_EQ(id_of(tuple(46, "10.1.24.4", "10.1.12.1", 0, 0)), "1:/nQI4Rh/TtY3mf0R2gJFBkVlgS4=");
}

TEST(CommunityId, NoTupleNoId) {
  EXPECT_EQ(community_id(Tuple{}, nullptr), 0u);
}

}  // namespace
}  // namespace fffa
