// SPDX-License-Identifier: MIT
// The flow programs in the kernel, in a network namespace of this process's own, with injected time.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "capture.h"
#include "fffa/batch.h"
#include "flow_program.h"

struct flow_bpf;

namespace fffa::parity {

enum class Hook : std::uint8_t { xdp, tc };  // where ingress is counted; egress is always TC's

struct Totals {
  Volume seen, filtered, elsewhere;  // elsewhere: diverted or lost
  std::array<std::uint64_t, FFFA_REASONS> reasons{};
};

class Kernel {
 public:
  // Throws without root.
  static Kernel& get();

  // Runs one frame; path numbers are interface indices. TC: a super-packet of `segments` with `segment` bytes each.
  void run(Hook ingress, const Handed& packet, std::uint32_t segments = 0, std::uint32_t segment = 0);
  // Reads out, and forgets nothing.
  std::vector<fffa_drain_record> read_out();
  void forget_all();
  // Since the programs were loaded.
  Totals totals();

 private:
  using Program = bpf_test::FlowProgram<flow_bpf>;
  Kernel();
  void need_interface(std::uint32_t ifindex);
  Program* program_;
  std::uint32_t interfaces_ = 1;  // 1 .. this: the loopback interface is the first
};

}  // namespace fffa::parity
