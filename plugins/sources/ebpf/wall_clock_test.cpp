// SPDX-License-Identifier: MIT
#include "wall_clock.h"

#include <gtest/gtest.h>

namespace fffa::ebpf {
namespace {

TEST(Clock, OneMappingUntilAStepIsAdopted) {
  WallClock clock({100, 1000});
  EXPECT_EQ(clock.to_wall(150), 1050);
  EXPECT_EQ(clock.step({200, 1100 + WallClock::kStepNs}), 0) << "noise";
  const ClockPair after{200, 1100 + 3'600'000'000'000};
  EXPECT_EQ(clock.step(after), 3'600'000'000'000);
  EXPECT_EQ(clock.to_wall(150), 1050) << "not before it is adopted";
  clock.adopt(after);
  EXPECT_EQ(clock.to_wall(210), after.wall + 10);
  EXPECT_EQ(clock.step(after), 0);
}

TEST(Clock, EdgesAreMultiplesOfTheInterval) {
  EXPECT_EQ(next_edge(0, 5), 5);
  EXPECT_EQ(next_edge(4, 5), 5);
  EXPECT_EQ(next_edge(5, 5), 10);
}

}  // namespace
}  // namespace fffa::ebpf
