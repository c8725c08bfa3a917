// SPDX-License-Identifier: MIT
// CLOCK_MONOTONIC, by which the kernel stamps packets, as wall-clock time.
#pragma once

#include <cstdint>

#include "fffa/record.h"

namespace fffa::ebpf {

// Both clocks read as if at one moment.
struct ClockPair {
  std::int64_t monotonic = 0;
  TimeNs wall = 0;
};
ClockPair read_clocks() noexcept;

// One mapping holds for a whole read-out, so that durations stay right when the wall clock is set: the read-out that
// cuts there still uses the old one, whatever comes after it the new one.
class WallClock {
 public:
  // Smaller differences are noise of reading two clocks, and not followed.
  static constexpr std::int64_t kStepNs = 1'000'000;

  explicit WallClock(ClockPair now) noexcept : offset_(now.wall - now.monotonic) {}

  TimeNs to_wall(std::uint64_t monotonic) const noexcept { return static_cast<std::int64_t>(monotonic) + offset_; }
  TimeNs offset() const noexcept { return offset_; }
  // How far the wall clock was set since the mapping was made; 0: it was not.
  std::int64_t step(ClockPair now) const noexcept {
    const std::int64_t difference = now.wall - now.monotonic - offset_;
    return difference > kStepNs || difference < -kStepNs ? difference : 0;
  }
  void adopt(ClockPair now) noexcept { offset_ = now.wall - now.monotonic; }

 private:
  std::int64_t offset_;
};

// The first multiple of `interval` (Unix time) after `now`.
constexpr TimeNs next_edge(TimeNs now, std::int64_t interval) noexcept {
  return (now / interval + 1) * interval;
}

}  // namespace fffa::ebpf
