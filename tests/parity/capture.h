// SPDX-License-Identifier: MIT
// A capture as the kernel programs are given it: what orient.h decides for each packet, and a frame that
// BPF_PROG_TEST_RUN takes. Where the kernel could not have met a packet as the file has it, both sides get it changed,
// or neither gets it; how many these are is told, for a test to know them by name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "orient.h"
#include "reader.h"

namespace fffa::parity {

struct Handed {
  std::vector<std::uint8_t> frame;  // Ethernet, whole
  TimeNs time = 0;
  int direction = FFFA_INGRESS;
  std::uint32_t path = 1;  // 1, if no flow can be named
  bool at_sender = false;
};

// What BPF_PROG_TEST_RUN takes at most of a frame: a page and what the kernel keeps there, but in XDP pages may follow.
struct Limits {
  std::uint32_t ingress;
  std::uint32_t egress;
};
inline constexpr std::uint32_t kOnePage = 3600;
inline constexpr std::uint32_t kPages = 65536;

struct Changes {
  unsigned padded = 0;    // cut short by the capture behind all that is parsed: the kernel's frame is whole
  unsigned moved = 0;     // time went back, as no monotonic clock does: they get that of the packet before
  unsigned cut = 0;       // left out: cut short within what is parsed
  unsigned too_long = 0;  // left out: beyond the limits
  unsigned no_frame = 0;  // left out: shorter than an Ethernet header, or no frame can be made of it
  unsigned left_out() const { return cut + too_long + no_frame; }
  friend bool operator==(const Changes&, const Changes&) = default;
};

struct Capture {
  std::vector<Handed> packets;
  std::vector<pcap::CaptureInterface> interfaces;
  pcap::Paths paths;
  Changes changes;
  // The file that a source must read to see the same packets; empty if that is the capture's own.
  std::vector<std::uint8_t> file;
};

// Throws if the file cannot be opened or is damaged.
Capture load(const std::filesystem::path& file, const Limits& limits);

}  // namespace fffa::parity
