// SPDX-License-Identifier: MIT
// From what the flow engine (bpf/) reports of a connection to flow records: the same for every source that runs it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "fffa/record.h"
#include "fffa_bpf/types.h"

namespace fffa::engine {

// Where the records of one interface say they are from.
struct Origin {
  Text host{};
  Text interface {};
  std::uint32_t ifindex = 0;
  // Of every record, where "remote" and "local" only tell the two ends apart; none: that of the record's side.
  std::optional<Direction> direction{};
};

// Appends one record for each direction of `entry` that has packets or round trips: none, one or two. Round trips
// without packets have the time of the direction's last packet, whose record has gone before. `offset`: Unix time less
// the engine's time, in nanoseconds.
void append_records(const fffa_drain_record& entry, const Origin& origin, TimeNs offset, std::vector<FlowRecord>& out);

// Zeek's connection state, from the flags that each direction has shown since the connection began (enum fffa_seen, by
// enum fffa_direction).
ConnState connection_state(const std::uint16_t (&seen)[2]) noexcept;

// enum fffa_reason, as metrics name it; empty for FFFA_OK and what is none.
std::string_view reason_name(std::size_t reason) noexcept;

}  // namespace fffa::engine
