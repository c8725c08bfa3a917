// SPDX-License-Identifier: MIT
// Sequences of frames through the parser and the tracker. Each frame in the input: one byte of options, two of captured
// length (little-endian), what the options add, the bytes. Option bits: 1 egress, 2 raw IP, 4 cut by the capture, 8
// super-packet, 16 at the sender, 32 a second passes, 64 two more bytes: the length on the wire, as they say, 128 one
// more byte: 1 tunnels stay closed, 2 a VLAN tag beside the data, the rest the number of segments.
#include <fffa_bpf/host_table.h>

#include <vector>

#include "checks.h"

using namespace fffa::fuzz;

namespace {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  bool has(std::size_t bytes) const { return size_ >= bytes; }
  std::uint8_t byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  std::uint16_t word() {
    const std::uint8_t low = byte();
    return static_cast<std::uint16_t>(low | byte() << 8);
  }
  Captured bytes(std::size_t length) {
    if (length > size_) length = size_;
    Captured captured(data_, length);
    data_ += length;
    size_ -= length;
    return captured;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

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

// A later fragment becomes what its datagram's first one was, or stays as it is.
void follow(fffa_fragments& table, fffa_packet& packet) {
  const fffa_flow_key before = packet.key;
  if (packet.outer_fragment) fffa_follow_outer_fragment(&table, &packet);
  if (packet.fragment) fffa_follow_fragment(&table, &packet);
  if (packet.fragment != FFFA_FRAGMENT_LATER) require(fffa_same_key(&before, &packet.key));
  fffa_flow_key after = packet.key;
  after.remote_port = after.local_port = 0;
  after.proto = before.proto;
  if (packet.fragment == FFFA_FRAGMENT_LATER) require(fffa_same_key(&before, &after));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  fffa_flow flow{};
  std::vector<fffa_fragment> entries(FFFA_FRAGMENTS);
  fffa_fragments fragments{entries.data(), {}};
  std::uint64_t now = 1'000'000'000;
  fffa_begin_flow(&flow, FFFA_INGRESS);
  while (input.has(3)) {
    const std::uint8_t options = input.byte();
    const std::size_t captured_length = input.word();
    const std::uint16_t wire_length = options & 64 ? input.word() : 0;
    const std::uint8_t more = options & 128 ? input.byte() : 0;
    const Captured captured = input.bytes(captured_length);
    fffa_frame frame = captured.frame();
    if (options & 4) frame.length += 1400;
    if (options & 64) frame.length = wire_length;
    if (options & 8) frame.segments = 3;
    if (more >> 2) frame.segments = more >> 2;
    if (more & 1) frame.tunnels = 0;
    if (more & 2) frame.vlan = FFFA_VLAN_PRESENT | 0xabc;
    frame.at_sender = (options & 16) != 0;
    const int direction = options & 1 ? FFFA_EGRESS : FFFA_INGRESS;
    now += options & 32 ? 1'000'000'001 : 1'000'000;
    fffa_packet packet;
    if (parse_checked(frame, packet, direction, (options & 2) != 0)) continue;
    if (more & 2) require(packet.vlan == frame.vlan);
    packet.time_ns = now;
    follow(fragments, packet);
    fffa_track(&flow, &packet, direction);
    check_flow(flow);
  }
  return 0;
}
