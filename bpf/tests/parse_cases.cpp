// SPDX-License-Identifier: MIT
#include "parse_cases.h"

#include <fffa_bpf/packet.h>

namespace fffa::bpf_test {
namespace {

PacketBuilder eth4() {
  return PacketBuilder().eth().ipv4("10.0.0.1", "10.0.0.2");
}
PacketBuilder eth6() {
  return PacketBuilder().eth().ipv6("2001:db8::1", "2001:db8::2");
}
PacketBuilder outer() {
  return PacketBuilder().eth().ipv4("172.16.0.1", "172.16.0.2").udp(50000, 6081);
}
const char* const a6 = "2001:db8::1";
const char* const b6 = "2001:db8::2";
const Bytes unknown_option = {0x02, 0x00, 0x81, 1, 1, 2, 3, 4};  // critical, and of nobody we know

void plain(std::vector<ParseCase>& c) {
  c.push_back({.name = "tcp4", .packet = eth4().tcp(40000, 443).payload(100).build(), .bytes = 140});
  c.push_back(
      {.name = "tcp6", .packet = eth6().tcp(40000, 443).payload(100).build(), .src = a6, .dst = b6, .bytes = 160});
  c.push_back({.name = "padded", .packet = eth4().tcp(40000, 443).pad(6).build(), .bytes = 40});
  c.push_back({.name = "udp4", .packet = eth4().udp(40000, 443).payload(5).build(), .proto = 17, .bytes = 33});
  c.push_back(
      {.name = "udp6", .packet = eth6().udp(40000, 443).build(), .src = a6, .dst = b6, .proto = 17, .bytes = 48});
  c.push_back({.name = "sctp", .packet = eth4().sctp(40000, 443).build(), .proto = 132, .bytes = 32});
  c.push_back({.name = "icmp_echo_request",
               .packet = eth4().icmp(8, 0).build(),
               .src_port = 0,
               .dst_port = 0x0800,
               .proto = 1,
               .bytes = 28});
  c.push_back({.name = "icmp_port_unreachable",
               .packet = eth4().icmp(3, 3).payload(28).build(),
               .src_port = 0,
               .dst_port = 0x0303,
               .proto = 1,
               .bytes = 56});
  c.push_back({.name = "icmpv6",
               .packet = eth6().icmp(128, 0).build(),
               .src = a6,
               .dst = b6,
               .src_port = 0,
               .dst_port = 0x8000,
               .proto = 58,
               .bytes = 48});
  c.push_back({.name = "gre",
               .packet = eth4().set8(9, 47).raw({0, 0, 8, 0}).payload(40).build(),
               .src_port = 0,
               .dst_port = 0,
               .proto = 47,
               .bytes = 64});
  c.push_back({.name = "ipv4_options",
               .packet = PacketBuilder()
                             .eth()
                             .ipv4("10.0.0.1", "10.0.0.2", {7, 4, 4, 0, 1, 1, 1, 0})
                             .tcp(40000, 443)
                             .payload(2)
                             .build(),
               .bytes = 50});
  c.push_back(
      {.name = "total_length_zero", .packet = eth4().set16(2, 0).tcp(40000, 443).payload(60).build(), .bytes = 100});
  c.push_back({.name = "longer_than_the_frame",
               .packet = eth4().set16(2, 1500).tcp(40000, 443).payload(60).build(),
               .bytes = 1500,
               .note = FFFA_LENGTH_BEYOND_FRAME});
  c.push_back({.name = "longer_than_the_frame_6",
               .packet = eth6().set16(4, 1460).tcp(40000, 443).payload(60).build(),
               .src = a6,
               .dst = b6,
               .bytes = 1500,
               .note = FFFA_LENGTH_BEYOND_FRAME});
  c.push_back({.name = "longer_than_the_frame_without_ports",
               .packet = eth4().set16(2, 1500).set8(9, 6).raw({0x9c, 0x40}).build(),
               .src_port = 0,
               .dst_port = 0,
               .bytes = 1500,
               .note = FFFA_LENGTH_BEYOND_FRAME});
}

void vlans(std::vector<ParseCase>& c) {
  const auto ip = [](PacketBuilder b) { return b.ipv4("10.0.0.1", "10.0.0.2").tcp(40000, 443).build(); };
  c.push_back({.name = "vlan", .packet = ip(PacketBuilder().eth().vlan(10)), .bytes = 40, .vlan = 0x100a});
  c.push_back(
      {.name = "vlan_with_priority", .packet = ip(PacketBuilder().eth().vlan(0xe00a)), .bytes = 40, .vlan = 0x100a});
  c.push_back({.name = "qinq_gives_the_outer_id",
               .packet = ip(PacketBuilder().eth().vlan(100, 0x88a8).vlan(10)),
               .bytes = 40,
               .vlan = 0x1064});
  c.push_back({.name = "three_tags",
               .packet = ip(PacketBuilder().eth().vlan(100, 0x88a8).vlan(10).vlan(11)),
               .reason = FFFA_VLAN_TOO_DEEP});
}

ParseCase fragment(const char* name, PacketBuilder builder, std::uint8_t kind, std::uint32_t bytes) {
  const bool later = kind == FFFA_FRAGMENT_LATER;
  return {.name = name,
          .packet = builder.udp(40000, 443).payload(16).build(),
          .src_port = static_cast<std::uint16_t>(later ? 0 : 40000),
          .dst_port = static_cast<std::uint16_t>(later ? 0 : 443),
          .proto = 17,
          .bytes = bytes,
          .fragment = kind,
          .fragment_id = 1};
}

void fragments(std::vector<ParseCase>& c) {
  const auto four = [](std::uint16_t place) { return eth4().set16(6, place); };
  c.push_back(fragment("first_fragment", four(0x2000), FFFA_FRAGMENT_FIRST, 44));
  c.push_back(fragment("middle_fragment", four(0x2003), FFFA_FRAGMENT_LATER, 44));
  c.push_back(fragment("last_fragment", four(0x0003), FFFA_FRAGMENT_LATER, 44));
  c.push_back(fragment("not_to_be_fragmented", four(0xc000), 0, 44));  // nor with the reserved bit
  const auto six = [&c](const char* name, PacketBuilder builder, std::uint8_t kind, std::uint32_t bytes,
                        std::uint8_t proto = 17) -> ParseCase& {
    c.push_back(fragment(name, std::move(builder), kind, bytes));
    c.back().src = a6;
    c.back().dst = b6;
    c.back().fragment_id = 0x12345678;
    c.back().datagram_proto = proto;
    return c.back();
  };
  six("first_fragment_6", eth6().fragment(0, true, 0x12345678), FFFA_FRAGMENT_FIRST, 72);
  six("later_fragment_6", eth6().fragment(24, false, 0x12345678), FFFA_FRAGMENT_LATER, 72);
  six("atomic_fragment_6", eth6().fragment(0, false, 0x12345678), 0, 72);
  six("first_fragment_6_with_headers", eth6().extension(0, 8).fragment(0, true, 0x12345678).extension(60, 8),
      FFFA_FRAGMENT_FIRST, 88, 60);
  six("fragment_in_a_fragment", eth6().fragment(0, true, 0x12345678).fragment(0, true, 9), FFFA_FRAGMENT_FIRST, 80, 44);
  // the walk ends before there are any ports
  auto& nested = six("later_fragment_in_a_first_one", eth6().fragment(0, true, 0x12345678).fragment(8, true, 9),
                     FFFA_FRAGMENT_FIRST, 80, 44);
  nested.src_port = nested.dst_port = 0;
  c.push_back({.name = "tiny_fragment",
               .packet = eth4().set8(9, 6).set16(6, 0x2000).raw({0x9c, 0x40, 1, 0xbb, 0, 0, 0, 0}).build(),
               .bytes = 28,
               .note = FFFA_TRUNCATED_L4,
               .fragment = FFFA_FRAGMENT_FIRST,
               .fragment_id = 1,
               .datagram_proto = 6});
  c.push_back({.name = "fragment_without_ports",
               .packet = eth4().set8(9, 6).set16(6, 0x2000).raw({0x9c, 0x40}).build(),
               .src_port = 0,
               .dst_port = 0,
               .bytes = 22,
               .note = FFFA_TRUNCATED_L4,
               .fragment = FFFA_FRAGMENT_FIRST,
               .fragment_id = 1,
               .datagram_proto = 6});
}

void fragmented_tunnels(std::vector<ParseCase>& c) {
  const auto inside = [](PacketBuilder outer) { return outer.udp(5000, 6081).geneve(7).ipv4("10.0.0.1", "10.0.0.2"); };
  c.push_back({.name = "tunnel_in_a_first_fragment",
               .packet = inside(eth4().set16(6, 0x2000)).udp(40000, 443).payload(16).build(),
               .proto = 17,
               .bytes = 44,
               .depth = 1,
               .vni = 7,
               .outer_bytes = 80,
               .outer_fragment = FFFA_FRAGMENT_FIRST,
               .fragment_id = 1});
  c.push_back({.name = "first_fragment_in_a_tunnel",
               .packet = inside(eth4()).set16(6, 0x2000).udp(40000, 443).payload(16).build(),
               .proto = 17,
               .bytes = 44,
               .depth = 1,
               .vni = 7,
               .outer_bytes = 80,
               .fragment = FFFA_FRAGMENT_FIRST,
               .fragment_id = 1});
  c.push_back({.name = "later_fragment_in_a_first_fragment",
               .packet = inside(eth4().set16(6, 0x2000)).set16(6, 0x2003).udp(40000, 443).payload(16).build(),
               .src_port = 0,
               .dst_port = 0,
               .proto = 17,
               .bytes = 44,
               .depth = 1,
               .vni = 7,
               .outer_bytes = 80,
               .fragment = FFFA_FRAGMENT_LATER,
               .outer_fragment = FFFA_FRAGMENT_FIRST,
               .fragment_id = 1});
}

void extensions(std::vector<ParseCase>& c) {
  const auto add = [&c](const char* name, PacketBuilder b, std::uint32_t bytes) {
    c.push_back({.name = name, .packet = b.tcp(40000, 443).build(), .src = a6, .dst = b6, .bytes = bytes});
  };
  add("hop_by_hop", eth6().extension(0, 8), 68);
  add("hop_by_hop_routing_destination", eth6().extension(0, 8).extension(43, 24).extension(60, 264), 356);
  add("atomic_fragment", eth6().fragment(0, false), 68);
  add("authentication", eth6().authentication(24), 84);
  auto eight = eth6(), nine = eth6();
  for (int i = 0; i < 8; ++i) eight.extension(60, 8);
  for (int i = 0; i < 9; ++i) nine.extension(60, 8);
  add("eight_headers", eight, 124);
  c.push_back({.name = "nine_headers",
               .packet = nine.tcp(40000, 443).build(),
               .src = a6,
               .dst = b6,
               .src_port = 0,
               .dst_port = 0,
               .proto = 60,
               .bytes = 132,
               .note = FFFA_EXT_CHAIN_TOO_LONG});
  c.push_back({.name = "header_beyond_the_packet",
               .packet = eth6().extension(60, 8).set8(1, 200).tcp(40000, 443).build(),
               .src = a6,
               .dst = b6,
               .src_port = 0,
               .dst_port = 0,
               .proto = 60,
               .bytes = 68,
               .note = FFFA_TRUNCATED_L4});
  c.push_back({.name = "no_next_header",
               .packet = eth6().extension(60, 8).build(),
               .src = a6,
               .dst = b6,
               .src_port = 0,
               .dst_port = 0,
               .proto = 59,
               .bytes = 48});
}

void broken(std::vector<ParseCase>& c) {
  c.push_back(
      {.name = "arp", .packet = PacketBuilder().eth().set16(12, 0x0806).raw(Bytes(28)).build(), .reason = FFFA_NOT_IP});
  c.push_back(
      {.name = "llc", .packet = PacketBuilder().eth().set16(12, 38).raw(Bytes(38)).build(), .reason = FFFA_NOT_IP});
  c.push_back({.name = "one_byte_of_ip",
               .packet = PacketBuilder().eth().vlan(1).set16(2, 0x0800).raw({0x45}).build(),
               .reason = FFFA_TRUNCATED_L3});
  c.push_back({.name = "vlan_cut",
               .packet = PacketBuilder().eth().set16(12, 0x8100).raw({0, 1}).build(),
               .reason = FFFA_TRUNCATED_L2});
  c.push_back({.name = "version_5", .packet = eth4().set8(0, 0x55).tcp(1, 2).build(), .reason = FFFA_BAD_IP_VERSION});
  c.push_back(
      {.name = "version_4_as_6", .packet = eth6().set8(0, 0x45).tcp(1, 2).build(), .reason = FFFA_BAD_IP_VERSION});
  c.push_back({.name = "ihl_4", .packet = eth4().set8(0, 0x44).tcp(1, 2).build(), .reason = FFFA_BAD_IHL});
  c.push_back(
      {.name = "total_below_header", .packet = eth4().set16(2, 19).tcp(1, 2).build(), .reason = FFFA_BAD_IP_LENGTH});
  c.push_back({.name = "options_cut", .packet = eth4().set8(0, 0x4f).build(), .reason = FFFA_TRUNCATED_L3});
  c.push_back({.name = "tcp_offset_4",
               .packet = eth4().tcp(40000, 443).set8(12, 0x40).build(),
               .bytes = 40,
               .note = FFFA_BAD_TCP_OFFSET});
  c.push_back({.name = "tcp_offset_beyond",
               .packet = eth4().tcp(40000, 443).set8(12, 0xf0).build(),
               .bytes = 40,
               .note = FFFA_BAD_TCP_OFFSET});
  c.push_back({.name = "tcp_header_cut",
               .packet = eth4().set8(9, 6).raw({0x9c, 0x40, 1, 0xbb, 0, 0, 0, 1}).build(),
               .bytes = 28,
               .note = FFFA_TRUNCATED_L4});
  c.push_back({.name = "ports_cut",
               .packet = eth4().set8(9, 17).raw({0x9c, 0x40}).build(),
               .src_port = 0,
               .dst_port = 0,
               .proto = 17,
               .bytes = 22,
               .note = FFFA_TRUNCATED_L4});
}

void tunnels(std::vector<ParseCase>& c) {
  const auto inner4 = [](PacketBuilder b) { return b.ipv4("10.0.0.1", "10.0.0.2").tcp(40000, 443).payload(10); };
  const auto options = gwlb_options(0x1122334455667788, 0xa1, 0xc0ffee);
  c.push_back({.name = "geneve_raw_ip",
               .packet = inner4(outer().geneve(7)).build(),
               .bytes = 50,
               .depth = 1,
               .vni = 7,
               .outer_bytes = 86});
  c.push_back({.name = "geneve_ethernet",
               .packet = inner4(outer().geneve(0xabcdef).eth()).build(),
               .bytes = 50,
               .depth = 1,
               .vni = 0xabcdef,
               .outer_bytes = 100});
  c.push_back({.name = "geneve_ethernet_vlan",
               .packet = inner4(outer().geneve(9).eth().vlan(5)).build(),
               .bytes = 50,
               .depth = 1,
               .vni = 9,
               .outer_bytes = 104});
  c.push_back({.name = "geneve_gwlb",
               .packet = inner4(outer().geneve(0, options)).build(),
               .bytes = 50,
               .depth = 1,
               .outer_bytes = 118,
               .gwlb = 7});
  c.push_back({.name = "geneve_unknown_option",
               .packet = inner4(outer().geneve(0, unknown_option)).build(),
               .bytes = 50,
               .depth = 1,
               .outer_bytes = 94});
  c.push_back({.name = "geneve_ipv6_inside",
               .packet = outer().geneve(3).ipv6(a6, b6).extension(0, 8).tcp(40000, 443).build(),
               .src = a6,
               .dst = b6,
               .bytes = 68,
               .depth = 1,
               .vni = 3,
               .outer_bytes = 104});
  c.push_back(
      {.name = "geneve_over_ipv6",
       .packet = inner4(PacketBuilder().eth().ipv6("2001:db8::8", "2001:db8::9").udp(1, 6081).geneve(4)).build(),
       .bytes = 50,
       .depth = 1,
       .vni = 4,
       .outer_bytes = 106});
}

void tunnels_in_tunnels(std::vector<ParseCase>& c) {
  const auto inner4 = [](PacketBuilder b) { return b.ipv4("10.0.0.1", "10.0.0.2").tcp(40000, 443).payload(10); };
  const auto options = gwlb_options(0x1122334455667788, 0xa1, 0xc0ffee);
  const auto twice = [&](std::uint32_t vni) {
    return outer().geneve(1).ipv4("172.17.0.1", "172.17.0.2").udp(50001, 6081).geneve(vni);
  };
  c.push_back({.name = "geneve_twice",
               .packet = inner4(twice(2)).build(),
               .bytes = 50,
               .depth = 2,
               .vni = 2,
               .outer_bytes = 122});
  c.push_back(
      {.name = "geneve_twice_ids_in_the_inner_one",
       .packet = inner4(outer().geneve(1).ipv4("172.17.0.1", "172.17.0.2").udp(50001, 6081).geneve(2, options)).build(),
       .bytes = 50,
       .depth = 2,
       .vni = 2,
       .outer_bytes = 154});
  c.push_back({.name = "geneve_thrice_stops_at_two",
               .packet = inner4(twice(2).ipv4("172.18.0.1", "172.18.0.2").udp(50002, 6081).geneve(3)).build(),
               .src = "172.18.0.1",
               .dst = "172.18.0.2",
               .src_port = 50002,
               .dst_port = 6081,
               .proto = 17,
               .bytes = 86,
               .depth = 2,
               .vni = 2,
               .outer_bytes = 158});
  c.push_back({.name = "geneve_twice_inner_broken",
               .packet = twice(2).ipv4("10.0.0.1", "10.0.0.2").set8(0, 0x41).payload(20).build(),
               .src = "172.17.0.1",
               .dst = "172.17.0.2",
               .src_port = 50001,
               .dst_port = 6081,
               .proto = 17,
               .bytes = 76,
               .note = FFFA_BAD_TUNNEL,
               .depth = 1,
               .vni = 1,
               .outer_bytes = 112});
}

// Opened, but not by the common way.
void unusual_tunnels(std::vector<ParseCase>& c) {
  const auto inner4 = [](PacketBuilder b) { return b.ipv4("10.0.0.1", "10.0.0.2").tcp(40000, 443).payload(10); };
  Bytes most;
  for (int i = 0; i < 63; ++i) most.insert(most.end(), {0x02, 0x00, 0x01, 0});
  auto five = gwlb_options(0x1122334455667788, 0xa1, 0xc0ffee);
  five.insert(five.begin(), most.begin(), most.begin() + 8);
  c.push_back({.name = "geneve_five_options",
               .packet = inner4(outer().geneve(0, five)).build(),
               .bytes = 50,
               .depth = 1,
               .outer_bytes = 126,
               .gwlb = 7});
  c.push_back({.name = "geneve_as_many_options_as_fit",
               .packet = inner4(outer().geneve(6, most)).build(),
               .bytes = 50,
               .depth = 1,
               .vni = 6,
               .outer_bytes = 338});
  c.push_back(
      {.name = "vlan_geneve",
       .packet =
           inner4(PacketBuilder().eth().vlan(10).ipv4("172.16.0.1", "172.16.0.2").udp(50000, 6081).geneve(7)).build(),
       .bytes = 50,
       .vlan = 0x100a,
       .depth = 1,
       .vni = 7,
       .outer_bytes = 86});
  c.push_back({.name = "geneve_icmp_inside",
               .packet = outer().geneve(3).ipv4("10.0.0.1", "10.0.0.2").icmp(8, 0).build(),
               .src_port = 0,
               .dst_port = 0x0800,
               .proto = 1,
               .bytes = 28,
               .depth = 1,
               .vni = 3,
               .outer_bytes = 64});
  c.push_back({.name = "geneve_inner_longer_than_the_frame",
               .packet = outer().geneve(3).ipv4("10.0.0.1", "10.0.0.2").set16(2, 1500).tcp(40000, 443).build(),
               .bytes = 1500,
               .note = FFFA_LENGTH_BEYOND_FRAME,
               .depth = 1,
               .vni = 3,
               .outer_bytes = 76});
}

void closed_tunnels(std::vector<ParseCase>& c) {
  const auto add = [&c](const char* name, const PacketBuilder& b, std::uint32_t bytes, int note) {
    c.push_back({.name = name,
                 .packet = b.build(),
                 .src = "172.16.0.1",
                 .dst = "172.16.0.2",
                 .src_port = 50000,
                 .dst_port = 6081,
                 .proto = 17,
                 .bytes = bytes,
                 .note = note});
  };
  const auto in = [](PacketBuilder b) { return b.ipv4("10.0.0.1", "10.0.0.2").tcp(40000, 443); };
  add("geneve_version_1", in(outer().geneve(1).set8(0, 0x40)), 76, FFFA_BAD_TUNNEL);
  add("geneve_options_beyond", in(outer().geneve(1).set8(0, 0x3f)), 76, FFFA_BAD_TUNNEL);
  add("geneve_option_overruns", in(outer().geneve(1, {1, 8, 1, 5, 0, 0, 0, 0})), 84, FFFA_BAD_TUNNEL);
  add("geneve_cut", outer().raw({0, 0, 8}), 31, FFFA_BAD_TUNNEL);
  add("geneve_arp", outer().geneve(1).set16(2, 0x0806).raw(Bytes(28)), 64, FFFA_OK);
  add("geneve_ethernet_arp", outer().geneve(1).eth().set16(12, 0x0806).raw(Bytes(28)), 78, FFFA_OK);
  add("geneve_inner_version_5", outer().geneve(1).ipv4("1.1.1.1", "2.2.2.2").set8(0, 0x55).payload(20), 76,
      FFFA_BAD_TUNNEL);
  c.push_back({.name = "geneve_source_port_only",
               .packet = PacketBuilder().eth().ipv4("10.0.0.1", "10.0.0.2").udp(6081, 443).geneve(1).build(),
               .src_port = 6081,
               .proto = 17,
               .bytes = 36});
}

}  // namespace

std::vector<ParseCase> parse_cases() {
  std::vector<ParseCase> cases;
  plain(cases);
  vlans(cases);
  fragments(cases);
  fragmented_tunnels(cases);
  extensions(cases);
  broken(cases);
  tunnels(cases);
  unusual_tunnels(cases);
  tunnels_in_tunnels(cases);
  closed_tunnels(cases);
  return cases;
}

}  // namespace fffa::bpf_test
