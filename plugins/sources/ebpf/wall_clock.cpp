// SPDX-License-Identifier: MIT
#include "wall_clock.h"

#include <time.h>

namespace fffa::ebpf {
namespace {

std::int64_t read(clockid_t clock) noexcept {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

ClockPair read_clocks() noexcept {
  // of a few tries the tightest: being preempted in between would look like a step
  ClockPair best;
  std::int64_t best_width = INT64_MAX;
  for (int i = 0; i < 5; ++i) {
    const std::int64_t before = read(CLOCK_MONOTONIC);
    const std::int64_t wall = read(CLOCK_REALTIME);
    const std::int64_t after = read(CLOCK_MONOTONIC);
    if (after - before >= best_width) continue;
    best_width = after - before;
    best = {before + best_width / 2, wall};
  }
  return best;
}

}  // namespace fffa::ebpf
