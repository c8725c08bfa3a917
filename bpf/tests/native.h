// SPDX-License-Identifier: MIT
// The engine in user space, for tests: parse, track and read out one packet or a sequence of them.
#pragma once

#include <fffa_bpf/host_table.h>
#include <fffa_bpf/parse.h>

#include <arpa/inet.h>

#include <cstring>
#include <memory>
#include <string>

#include "packet_builder.h"

namespace fffa::bpf_test {

// Parses an exact copy of the bytes, so that a sanitizer sees any access beyond them.
inline int parse(const Bytes& bytes, fffa_packet& packet, int direction = FFFA_INGRESS, std::uint32_t segments = 1,
                 std::size_t wire_length = 0, bool raw_ip = false) {
  const std::unique_ptr<std::uint8_t[]> exact(new std::uint8_t[bytes.empty() ? 1 : bytes.size()]);
  if (!bytes.empty()) std::memcpy(exact.get(), bytes.data(), bytes.size());
  fffa_frame frame{};
  frame.data = exact.get();
  frame.end = exact.get() + bytes.size();
  frame.length = static_cast<__u32>(wire_length ? wire_length : bytes.size());
  frame.segments = segments;
  frame.ifindex = 1;
  frame.tunnels = FFFA_OPEN_GENEVE;
  std::memset(&packet, 0, sizeof packet);
  return raw_ip ? fffa_parse_raw_ip(&frame, &packet, direction) : fffa_parse_frame(&frame, &packet, direction);
}

inline std::string text(const fffa_addr& address, int family) {
  char buffer[INET6_ADDRSTRLEN];
  return inet_ntop(family == 4 ? AF_INET : AF_INET6, address.bytes, buffer, sizeof buffer);
}

// What a read-out reports after these one packet.
inline fffa_drain_record record_of(const fffa_packet& packet) {
  fffa_flow flow{};
  fffa_tunnel tunnel{};
  fffa_drain_record record{};
  fffa_begin_flow(&flow, packet.direction);
  flow.key = packet.key;
  fffa_track(&flow, &packet, packet.direction);
  fffa_begin_record(&flow, 0, &record);
  for (int d = 0; d < 2; ++d) fffa_take_slot(&flow.slot[d], &record.slot[d]);
  if (packet.key.encap) fffa_track_tunnel(&tunnel, &packet, packet.direction);
  record.tunnel = tunnel;
  return record;
}

}  // namespace fffa::bpf_test
