// SPDX-License-Identifier: MIT
// The parser in user space: every case of parse_cases.cpp, and each of them cut at every byte.
#include <gtest/gtest.h>

#include "native.h"
#include "parse_cases.h"

namespace fffa::bpf_test {
namespace {

class Parse : public testing::TestWithParam<ParseCase> {};

INSTANTIATE_TEST_SUITE_P(Cases, Parse, testing::ValuesIn(parse_cases()),
                         [](const auto& i) { return std::string(i.param.name); });

TEST_P(Parse, ingress) {
  const auto& c = GetParam();
  fffa_packet p;
  ASSERT_EQ(parse(c.packet, p), c.reason);
  if (c.reason) return;
  EXPECT_EQ(text(p.key.remote_addr, p.key.family), c.src);
  EXPECT_EQ(text(p.key.local_addr, p.key.family), c.dst);
  EXPECT_EQ(p.key.remote_port, c.src_port);
  EXPECT_EQ(p.key.local_port, c.dst_port);
  EXPECT_EQ(p.key.proto, c.proto);
  EXPECT_EQ(p.key.ifindex, 1u);
  EXPECT_EQ(p.bytes, c.bytes);
  EXPECT_EQ(p.packets, 1u);
  EXPECT_EQ(p.vlan, c.vlan);
  EXPECT_EQ(p.note, c.note);
  EXPECT_EQ(p.key.encap_depth, c.depth);
  EXPECT_EQ(p.key.encap, c.depth ? FFFA_ENCAP_GENEVE : FFFA_ENCAP_NONE);
  EXPECT_EQ(p.key.vni, c.vni);
  EXPECT_EQ(p.fragment, c.fragment);
  EXPECT_EQ(p.outer_fragment, c.outer_fragment);
  if (c.fragment) {
    EXPECT_EQ(p.fragment_id, c.fragment_id);
    EXPECT_EQ(p.datagram_proto, c.datagram_proto);
  }
  if (c.outer_fragment) {
    EXPECT_EQ(p.outer_fragment_id, c.fragment_id);
    EXPECT_EQ(p.outer_datagram_proto, c.datagram_proto);
  }
  if (!c.depth) return;
  EXPECT_EQ(p.outer_bytes, c.outer_bytes);
  EXPECT_EQ(p.outer.gwlb, c.gwlb);
  EXPECT_EQ(p.outer.dst_port, 6081);
}

TEST_P(Parse, egress_is_the_mirror) {
  const auto& c = GetParam();
  fffa_packet in, out;
  ASSERT_EQ(parse(c.packet, in, FFFA_INGRESS), parse(c.packet, out, FFFA_EGRESS));
  if (c.reason) return;
  EXPECT_EQ(std::memcmp(in.key.remote_addr.bytes, out.key.local_addr.bytes, 16), 0);
  EXPECT_EQ(std::memcmp(in.key.local_addr.bytes, out.key.remote_addr.bytes, 16), 0);
  EXPECT_EQ(in.key.remote_port, out.key.local_port);
  EXPECT_EQ(in.key.local_port, out.key.remote_port);
  EXPECT_EQ(std::memcmp(&in.bytes, &out.bytes, offsetof(fffa_packet, direction) - offsetof(fffa_packet, bytes)), 0);
  if (c.depth) {
    const void *inward = &in.outer, *outward = &out.outer;
    EXPECT_EQ(std::memcmp(inward, outward, sizeof in.outer), 0);
  }
}

// Whatever is missing, what is reported is never more than the whole packet said, and never from beyond the bytes that
// are there.
TEST_P(Parse, cut_at_every_byte) {
  const auto& c = GetParam();
  for (std::size_t size = 0; size < c.packet.size(); ++size) {
    fffa_packet p;
    const auto reason = parse(Bytes(c.packet.begin(), c.packet.begin() + static_cast<std::ptrdiff_t>(size)), p,
                              FFFA_INGRESS, 1, c.packet.size());
    SCOPED_TRACE(size);
    if (size < 14) {
      EXPECT_EQ(reason, FFFA_TRUNCATED_L2);
    }
    if (reason || c.reason) continue;
    EXPECT_LE(p.key.encap_depth, c.depth);
    if (p.key.encap_depth == c.depth) {
      EXPECT_EQ(p.bytes, c.bytes) << "the IP header says so, however little follows";
      EXPECT_EQ(text(p.key.remote_addr, p.key.family), c.src);
    }
  }
}

TEST(ParseTcp, header_fields) {
  fffa_packet p;
  const TcpFields fields{.seq = 0xfffffff0, .ack = 77, .flags = 0x18, .window = 502};
  ASSERT_EQ(parse(PacketBuilder().eth().ipv4("1.2.3.4", "5.6.7.8").set8(1, 3).tcp(1, 2, fields).payload(9).build(), p),
            0);
  EXPECT_EQ(p.seq, 0xfffffff0);
  EXPECT_EQ(p.ack, 77u);
  EXPECT_EQ(p.flags, 0x18);
  EXPECT_EQ(p.window, 502);
  EXPECT_EQ(p.payload, 9u);
  EXPECT_EQ(p.ecn, 3);
  EXPECT_EQ(p.tcp, 1);
}

fffa_packet with_options(std::uint8_t flags, const Bytes& options, std::size_t payload = 0) {
  fffa_packet p;
  EXPECT_EQ(parse(PacketBuilder()
                      .eth()
                      .ipv4("1.2.3.4", "5.6.7.8")
                      .tcp(1, 2, {.flags = flags, .options = options})
                      .payload(payload)
                      .build(),
                  p),
            0);
  return p;
}

TEST(ParseTcp, window_scale_on_a_syn) {
  EXPECT_EQ(with_options(0x02, {2, 4, 5, 0xb4, 1, 3, 3, 7}).scale, 7);
  EXPECT_EQ(with_options(0x12, {3, 3, 15}).scale, 14) << "RFC 7323: more than 14 counts as 14";
  EXPECT_EQ(with_options(0x02, {2, 4, 5, 0xb4}).scale, FFFA_NO_OFFER);
  EXPECT_EQ(with_options(0x02, {0, 3, 3, 7}).scale, FFFA_NO_OFFER) << "behind the end of the options";
  EXPECT_EQ(with_options(0x02, {2, 0, 3, 3, 7}).scale, FFFA_NO_OFFER) << "an option of length 0 ends the walk";
  EXPECT_EQ(with_options(0x10, {3, 3, 7}).scale, FFFA_NO_OFFER) << "only a SYN offers";
}

TEST(ParseTcp, sack_on_a_pure_ack) {
  const Bytes timestamps = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};
  Bytes both = timestamps;
  const Bytes sack = {1, 1, 5, 10, 0, 0, 1, 0, 0, 0, 2, 0};
  both.insert(both.end(), sack.begin(), sack.end());
  EXPECT_EQ(with_options(0x10, timestamps).sack, 0);
  EXPECT_NE(with_options(0x10, sack).sack, 0);
  EXPECT_EQ(with_options(0x10, sack).sack, with_options(0x10, both).sack);
  auto other = sack;
  other[10] = 3;
  EXPECT_NE(with_options(0x10, sack).sack, with_options(0x10, other).sack);
  EXPECT_EQ(with_options(0x10, sack, 5).sack, 0) << "not looked for on data";
}

TEST(ParseTunnel, gwlb_ids) {
  fffa_packet p;
  const auto options = gwlb_options(0x2b8ee1d4db0c51c4, 0xa1, 0xc0ffee);
  ASSERT_EQ(parse(PacketBuilder()
                      .eth()
                      .ipv4("172.16.0.1", "172.16.0.2")
                      .udp(50000, 6081)
                      .geneve(5, options)
                      .ipv4("10.0.0.1", "10.0.0.2")
                      .tcp(1, 2)
                      .build(),
                  p),
            0);
  EXPECT_EQ(p.outer.gwlb_endpoint, 0x2b8ee1d4db0c51c4);
  EXPECT_EQ(p.outer.gwlb_attachment, 0xa1u);
  EXPECT_EQ(p.outer.gwlb_cookie, 0xc0ffeeu);
  EXPECT_EQ(text(p.outer.src, p.outer.family), "172.16.0.1");
  EXPECT_EQ(text(p.outer.dst, p.outer.family), "172.16.0.2");
  EXPECT_EQ(p.outer.src_port, 50000);
  EXPECT_EQ(p.outer.vni, 5u);
}

TEST(ParseTunnel, ids_of_a_tunnel_in_the_tunnel_do_not_count) {
  fffa_packet p;
  ASSERT_EQ(parse(PacketBuilder()
                      .eth()
                      .ipv4("172.16.0.1", "172.16.0.2")
                      .udp(50000, 6081)
                      .geneve(5, gwlb_options(1, 2, 3))
                      .ipv4("172.17.0.1", "172.17.0.2")
                      .udp(50000, 6081)
                      .geneve(6, gwlb_options(7, 8, 9))
                      .ipv4("10.0.0.1", "10.0.0.2")
                      .tcp(1, 2)
                      .build(),
                  p),
            0);
  EXPECT_EQ(p.key.encap_depth, 2);
  EXPECT_EQ(p.outer.gwlb_endpoint, 1u);
  EXPECT_EQ(p.outer.gwlb_attachment, 2u);
  EXPECT_EQ(p.outer.gwlb_cookie, 3u);
}

TEST(ParseSuperPacket, counts_the_packets_on_the_wire) {
  fffa_packet p;
  ASSERT_EQ(
      parse(PacketBuilder().eth().ipv4("1.2.3.4", "5.6.7.8").tcp(1, 2, {.options = Bytes(12, 1)}).payload(3000).build(),
            p, FFFA_EGRESS, 3),
      0);
  EXPECT_EQ(p.packets, 3u);
  EXPECT_EQ(p.bytes, 3000u + 3 * 52);
  EXPECT_EQ(p.payload, 3000u);
  ASSERT_EQ(parse(PacketBuilder()
                      .eth()
                      .ipv4("172.16.0.1", "172.16.0.2")
                      .udp(1, 6081)
                      .geneve(1)
                      .ipv4("1.2.3.4", "5.6.7.8")
                      .tcp(1, 2)
                      .payload(3000)
                      .build(),
                  p, FFFA_EGRESS, 3),
            0);
  EXPECT_EQ(p.bytes, 3000u + 3 * 40);
  EXPECT_EQ(p.outer_bytes, 3000u + 3 * (40 + 36));
}

TEST(ParseRawIp, begins_with_the_ip_header) {
  fffa_packet p;
  EXPECT_EQ(parse(PacketBuilder().ipv4("1.2.3.4", "5.6.7.8").udp(1, 2).build(), p, FFFA_INGRESS, 1, 0, true), 0);
  EXPECT_EQ(p.bytes, 28u);
  EXPECT_EQ(parse(PacketBuilder().ipv6("::1", "::2").udp(1, 2).build(), p, FFFA_INGRESS, 1, 0, true), 0);
  EXPECT_EQ(p.bytes, 48u);
  EXPECT_EQ(parse({}, p, FFFA_INGRESS, 1, 0, true), FFFA_TRUNCATED_L3);
}

}  // namespace
}  // namespace fffa::bpf_test
