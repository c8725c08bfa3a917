// SPDX-License-Identifier: MIT
// Packets and what the parser must make of them. Every case stands alone; the tests run each natively and in the
// kernel.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "packet_builder.h"

namespace fffa::bpf_test {

struct ParseCase {
  const char* name;
  Bytes packet;
  int reason = 0;  // enum fffa_reason: FFFA_OK, or why no flow can be named
  // of the flow, seen at ingress
  const char* src = "10.0.0.1";
  const char* dst = "10.0.0.2";
  std::uint16_t src_port = 40000;
  std::uint16_t dst_port = 443;
  std::uint8_t proto = 6;
  std::uint32_t bytes = 0;
  std::uint16_t vlan = 0;
  int note = 0;
  std::uint8_t depth = 0;  // tunnels opened
  std::uint32_t vni = 0;
  std::uint32_t outer_bytes = 0;
  std::uint8_t gwlb = 0;  // enum fffa_gwlb_ids
  // enum fffa_fragment_kind of the innermost and the outermost packet, and what tells their datagrams
  std::uint8_t fragment = 0;
  std::uint8_t outer_fragment = 0;
  std::uint32_t fragment_id = 0;
  std::uint8_t datagram_proto = 17;
};

inline std::ostream& operator<<(std::ostream& out, const ParseCase& c) {
  return out << c.name;
}

// All cases; gtest parameters.
std::vector<ParseCase> parse_cases();

}  // namespace fffa::bpf_test
