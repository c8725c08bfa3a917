// SPDX-License-Identifier: MIT
// The fragment table in user space, and fragments to go through it.
#pragma once

#include <fffa_bpf/host_fragments.h>

#include <vector>

#include "packet_builder.h"

namespace fffa::bpf_test {

struct Fragments {
  Fragments() { table.entries = entries.data(); }
  std::vector<fffa_fragment> entries = std::vector<fffa_fragment>(FFFA_FRAGMENTS);
  fffa_fragments table{};
};

// A UDP datagram's fragments, IPv4 or IPv6 by its addresses.
struct Datagram {
  std::string src = "10.0.0.1", dst = "10.0.0.2";
  std::uint32_t id = 1;
  PacketBuilder in = PacketBuilder().eth();  // what it is in
  std::uint8_t proto = 17;

  PacketBuilder ip(std::uint16_t offset, bool more) const {
    PacketBuilder builder = in;
    if (src.find(':') != std::string::npos) return builder.ipv6(src, dst).fragment(offset, more, id).set8(0, proto);
    builder.ipv4(src, dst).set16(4, static_cast<std::uint16_t>(id)).set8(9, proto);
    return builder.set16(6, static_cast<std::uint16_t>((more ? 0x2000 : 0) | offset / 8));
  }
  Bytes first(std::uint16_t from, std::uint16_t to) const { return ip(0, true).udp(from, to).payload(16).build(); }
  Bytes later() const { return ip(24, false).payload(30).build(); }
};

}  // namespace fffa::bpf_test
