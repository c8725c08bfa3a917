// SPDX-License-Identifier: MIT
// Sequences of packets through the parser and the tracker. Each packet in the input: one byte of options, two of
// captured length (little-endian), the bytes. Option bits: 1 egress, 2 raw IP, 4 cut by the capture, 8 super-packet, 16
// at the sender, 32 a second passes.
#include <fffa_bpf/host_table.h>
#include <fffa_bpf/parse.h>

#include <cstdlib>
#include <cstring>
#include <memory>

namespace {

void require(bool truth) {
  if (!truth) std::abort();
}

// What must hold of whatever was parsed.
void check_packet(const fffa_packet& p, const fffa_frame& frame) {
  require(p.key.family == 4 || p.key.family == 6);
  require(p.key.encap_depth <= FFFA_TUNNEL_DEPTH && (p.key.encap_depth != 0) == (p.key.encap != 0));
  require(p.packets == frame.segments && p.bytes >= 20);
  require(p.note == FFFA_OK || (p.note >= FFFA_EXT_CHAIN_TOO_LONG && p.note <= FFFA_LENGTH_BEYOND_FRAME));
  require(!p.tcp || (p.payload <= frame.length && p.headers >= 40));
  require(p.l4_at <= FFFA_OFFSET_LIMIT && p.ip_at <= p.l4_at);
  if (!p.key.encap) require(p.outer_bytes == 0);
}

void check_flow(const fffa_flow& flow) {
  for (const auto& slot : flow.slot) {
    require(slot.spurious_retransmits <= slot.fast_retransmits + slot.timeout_retransmits);
    require(slot.rtt_samples == 0 || slot.rtt_min <= slot.rtt_max);
    require(!(slot.flags & FFFA_SLOT_WINDOW) || slot.window_min <= slot.window_max);
    require(slot.jitter_samples == 0 || slot.jitter_sum_ns >= slot.jitter_max_ns);
  }
  for (const auto& half : flow.half)
    for (const auto& hole : half.holes)
      require(hole.start == hole.end || fffa_seq_diff(hole.end, hole.start) > 0 || !(half.seen & FFFA_SEEN_HOLE));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fffa_flow flow{};
  std::uint64_t now = 1'000'000'000;
  fffa_begin_flow(&flow, FFFA_INGRESS);
  while (size >= 3) {
    const std::uint8_t options = data[0];
    std::size_t length = data[1] | static_cast<std::size_t>(data[2]) << 8;
    data += 3;
    size -= 3;
    if (length > size) length = size;
    const std::unique_ptr<std::uint8_t[]> exact(new std::uint8_t[length ? length : 1]);
    if (length) std::memcpy(exact.get(), data, length);
    data += length;
    size -= length;
    fffa_frame frame{};
    frame.data = exact.get();
    frame.end = exact.get() + length;
    frame.length = static_cast<std::uint32_t>(options & 4 ? length + 1400 : length);
    frame.segments = options & 8 ? 3 : 1;
    frame.tunnels = FFFA_OPEN_GENEVE;
    frame.at_sender = (options & 16) != 0;
    const int direction = options & 1 ? FFFA_EGRESS : FFFA_INGRESS;
    now += options & 32 ? 1'000'000'001 : 1'000'000;
    fffa_packet packet;
    const int reason =
        options & 2 ? fffa_parse_raw_ip(&frame, &packet, direction) : fffa_parse_frame(&frame, &packet, direction);
    require(reason >= FFFA_OK && reason <= FFFA_VLAN_TOO_DEEP);
    if (reason) continue;
    check_packet(packet, frame);
    packet.time_ns = now;
    fffa_track(&flow, &packet, direction);
    check_flow(flow);
  }
  return 0;
}
