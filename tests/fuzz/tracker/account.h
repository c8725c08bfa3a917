// SPDX-License-Identifier: MIT
// What was sent since the last read-out of one direction, and what a slot may then say.
#pragma once

#include <fffa_bpf/host_table.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "../require.h"

namespace fffa::fuzz {

struct Account {
  std::uint64_t packets = 0, bytes = 0, outer_bytes = 0, first_ns = 0;
  std::uint32_t calls = 0, with_space = 0, acks = 0, syn_acks = 0, ce = 0, ece = 0, cwr = 0, windows = 0;
  std::uint16_t vlan = 0;
  std::uint8_t flags = 0, ecn = 0;

  void add(const fffa_packet& p) {
    if (calls++ == 0) first_ns = p.time_ns;
    packets += p.packets;
    bytes += p.bytes;
    outer_bytes += p.outer_bytes;
    vlan = p.vlan;
    ecn |= p.ecn;
    if (p.ecn == 3) ce += p.packets;
    if (!p.tcp) return;
    flags |= p.flags;
    if (p.flags & FFFA_ECE) ece += p.packets;
    if (p.flags & FFFA_CWR) ++cwr;
    if (p.flags & FFFA_ACK) ++acks;
    if ((p.flags & FFFA_SYN) && (p.flags & FFFA_ACK)) ++syn_acks;
    if (!(p.flags & FFFA_RST)) ++windows;
    if (p.payload || (p.flags & (FFFA_SYN | FFFA_FIN))) with_space += p.packets;
  }
};

inline void check_counts(const fffa_slot& slot, const Account& sent) {
  require(slot.packets == sent.packets && slot.bytes == sent.bytes);
  require(!sent.calls || (slot.first_ns == sent.first_ns && slot.vlan == sent.vlan));
  require((slot.flags & 0xff) == sent.flags && ((slot.flags & FFFA_SLOT_SYN_ACK) != 0) == (sent.syn_acks != 0));
  require((slot.flags >> FFFA_SLOT_ECN_SHIFT) == sent.ecn);
  require(slot.ecn_ce == sent.ce && slot.tcp_ece == sent.ece && slot.tcp_cwr == sent.cwr);
}

// `peer`: what the other direction has sent in the same time, whose ACKs make round trips of this one's segments.
inline void check_measurements(const fffa_slot& slot, const Account& sent, const Account& peer) {
  const std::uint64_t again = std::uint64_t{slot.fast_retransmits} + slot.timeout_retransmits;
  require(slot.spurious_retransmits <= again);
  require(slot.out_of_order + again <= sent.with_space);
  require(slot.duplicate_acks <= sent.acks && slot.zero_windows <= sent.packets);
  require(slot.rtt_samples <= peer.acks);
  if (slot.rtt_samples) {
    require(slot.rtt_min <= slot.rtt_max);
    require(slot.rtt_sum_ns >= std::uint64_t{slot.rtt_min} * slot.rtt_samples << FFFA_RTT_SHIFT);
    require(slot.rtt_sum_ns >= std::uint64_t{slot.rtt_max} << FFFA_RTT_SHIFT);
    require(slot.rtt_max == 0x7fffffff ||
            slot.rtt_sum_ns <= ((std::uint64_t{slot.rtt_max} << FFFA_RTT_SHIFT) + 15) * slot.rtt_samples);
  } else {
    require(!slot.rtt_min && !slot.rtt_max && !slot.rtt_sum_ns);
  }
  require(slot.jitter_samples <= sent.calls && slot.jitter_max_ns <= FFFA_JITTER_PAUSE_NS);
  require(slot.jitter_max_ns <= slot.jitter_sum_ns &&
          slot.jitter_sum_ns <= std::uint64_t{slot.jitter_max_ns} * slot.jitter_samples);
  require(((slot.flags & FFFA_SLOT_WINDOW) != 0) == (sent.windows != 0));
  require(slot.window_min <= slot.window_last && slot.window_last <= slot.window_max);
}

inline void check_slot(const fffa_slot& slot, const Account& sent, const Account& peer) {
  check_counts(slot, sent);
  check_measurements(slot, sent, peer);
}

inline void check_half(const fffa_half& half) {
  for (const auto& hole : half.holes)
    require(hole.start == hole.end || fffa_seq_diff(hole.end, hole.start) > 0 || !(half.seen & FFFA_SEEN_HOLE));
}

inline void merge_round_trips(fffa_slot& total, const fffa_slot& part) {
  if (!part.rtt_samples) return;
  total.rtt_min = total.rtt_samples ? std::min(total.rtt_min, part.rtt_min) : part.rtt_min;
  total.rtt_max = std::max(total.rtt_max, part.rtt_max);
  total.rtt_samples += part.rtt_samples;
  total.rtt_sum_ns += part.rtt_sum_ns;
}

// Adds what a read-out said to what earlier ones said: as FlowRecords merge.
inline void merge(fffa_slot& total, const fffa_slot& part) {
  merge_round_trips(total, part);
  if (!part.packets) return;
  if (!total.packets) total.first_ns = part.first_ns;
  total.packets += part.packets;
  total.bytes += part.bytes;
  total.jitter_sum_ns += part.jitter_sum_ns;
  total.jitter_samples += part.jitter_samples;
  total.jitter_max_ns = std::max(total.jitter_max_ns, part.jitter_max_ns);
  total.fast_retransmits += part.fast_retransmits;
  total.timeout_retransmits += part.timeout_retransmits;
  total.spurious_retransmits += part.spurious_retransmits;
  total.out_of_order += part.out_of_order;
  total.duplicate_acks += part.duplicate_acks;
  if (part.flags & FFFA_SLOT_WINDOW) {
    const bool known = (total.flags & FFFA_SLOT_WINDOW) != 0;
    total.window_min = known ? std::min(total.window_min, part.window_min) : part.window_min;
    total.window_max = std::max(total.window_max, part.window_max);
    total.window_last = part.window_last;
  }
  total.zero_windows += part.zero_windows;
  total.ecn_ce += part.ecn_ce;
  total.tcp_ece += part.tcp_ece;
  total.tcp_cwr += part.tcp_cwr;
  total.flags |= part.flags;
  total.vlan = part.vlan;
}

}  // namespace fffa::fuzz
