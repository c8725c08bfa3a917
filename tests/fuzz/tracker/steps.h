// SPDX-License-Identifier: MIT
// What the input of fuzz_tracker says: steps of five bytes, each a packet of one of four connections, or a read-out.
// Numbers are relative to what the connection has sent so far, so that most inputs are conversations.
#pragma once

#include <fffa_bpf/parse_l4.h>

#include <cstdint>

namespace fffa::fuzz {

inline constexpr std::size_t kStepSize = 5;
inline constexpr int kConnections = 4;

struct Step {
  std::uint8_t what, flags, numbers, sizes, rest;

  bool is_readout() const { return (what & 3) == 3; }
  int connection() const { return what >> 2 & 3; }
  int direction() const { return what >> 4 & 1; }
  // The clocks of two CPUs may differ a little.
  std::int64_t time() const {
    constexpr std::int64_t us = 1000, ms = 1000 * us, s = 1000 * ms;
    constexpr std::int64_t kTimes[] = {1 * us, 0, 100 * us, 5 * ms, 250 * ms, 2 * s, 4500 * s, -2 * us};
    return kTimes[what >> 5];
  }

  std::uint32_t payload() const {
    constexpr std::uint32_t kPayloads[] = {0, 0, 0, 1, 2, 100, 100, 100, 1448, 1448, 536, 14480, 65495, 7, 0, 100};
    return kPayloads[sizes & 15];
  }
  std::uint16_t window() const {
    constexpr std::uint16_t kWindows[] = {1000, 1000, 1000, 0, 1, 500, 65535, 2000};
    return kWindows[sizes >> 4 & 7];
  }
  bool has_tcp() const { return sizes >> 7 == 0; }  // else the header was cut off: it only counts

  std::uint16_t sack() const { return static_cast<std::uint16_t>((rest & 3) * 0x1111u); }
  std::uint8_t ecn() const { return rest >> 2 & 3; }
  std::uint8_t scale() const {
    constexpr std::uint8_t kScales[] = {FFFA_NO_OFFER, 7, 0, 14};
    return kScales[rest >> 4 & 3];
  }
  bool at_sender() const { return (rest & 64) != 0; }
  std::uint32_t packets() const { return rest & 128 ? 3 : 1; }
  std::uint16_t vlan() const { return rest & 32 ? 0x1007 : 0; }
};

// What a side has sent, as it would say itself.
struct Side {
  std::uint32_t next = 1000, last_length = 0, last_seq = 1000, initial = 1000;
};

inline std::uint32_t sequence(const Step& step, const Side& mine) {
  switch (step.numbers & 15) {
    case 0:
    case 1:
    case 2: return mine.next;
    case 3: return mine.last_seq;                // again
    case 4: return mine.next - 100;              // partly again
    case 5: return mine.next + 100;              // a hole
    case 6: return mine.next + 1448;             //
    case 7: return mine.next - 1;                // keep-alive
    case 8: return mine.last_seq - 100;          //
    case 9: return mine.last_seq - 1448;         //
    case 10: return mine.initial;                // the SYN's
    case 11: return mine.initial + 1;            //
    case 12: return mine.next + 0x7fffff00u;     // far away
    case 13: return mine.next + 0x80000000u;     //
    case 14: return 0u - step.payload();         // ends where numbers wrap
    default: return mine.initial + 0x01000000u;  // of another connection
  }
}

inline std::uint32_t acknowledgement(const Step& step, const Side& theirs) {
  switch (step.numbers >> 4) {
    case 0:
    case 1:
    case 2: return theirs.next;
    case 3:
    case 4: return theirs.last_seq;  // all but the last
    case 5: return theirs.next - 100;
    case 6: return theirs.next - 200;
    case 7: return theirs.next - 1448;
    case 8: return theirs.initial;
    case 9: return theirs.initial + 1;
    case 10: return theirs.next + 100;  // of what was not seen
    case 11: return theirs.next + 0x80000000u;
    case 12: return 0;
    case 13: return theirs.next - 1;
    case 14: return theirs.last_seq + 50;
    default: return theirs.next + 1;
  }
}

}  // namespace fffa::fuzz
