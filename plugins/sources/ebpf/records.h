// SPDX-License-Identifier: MIT
// From what the flow engine reports of a connection to flow records.
#pragma once

#include <cstdint>
#include <vector>

#include "fffa/record.h"
#include "fffa_bpf/types.h"
#include "wall_clock.h"

namespace fffa::ebpf {

// Where the records of one interface say they are from.
struct Origin {
  Text host{};
  Text interface {};
  std::uint32_t ifindex = 0;
};

// Appends one record for each direction of `entry` that has packets: none, one or two.
void append_records(const fffa_drain_record& entry, const Origin& origin, const WallClock& clock,
                    std::vector<FlowRecord>& out);

// Zeek's connection state, from the flags that each direction has shown since the connection began (enum fffa_seen, by
// enum fffa_direction).
ConnState connection_state(const std::uint16_t (&seen)[2]) noexcept;

}  // namespace fffa::ebpf
