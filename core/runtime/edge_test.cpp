// SPDX-License-Identifier: MIT
#include "edge.h"

#include <gtest/gtest.h>

namespace fffa::core {
namespace {

using namespace std::chrono_literals;

struct FanIn : testing::Test {
  Monotonic::time_point now = Monotonic::now();
  std::vector<EdgePtr> inputs;
  TimeNs merged = 0;
  FanIn() {
    for (const char* id : {"a", "b"}) {
      inputs.push_back(std::make_shared<EdgeState>(OnFull::block, 10, id));
      inputs.back()->last = now;
    }
  }
  TimeNs bring(std::size_t input, TimeNs watermark) {
    return merged = merge_watermark(inputs, *inputs[input], watermark, merged, now, 10s);
  }
};

TEST_F(FanIn, TheLeastCounts) {
  EXPECT_EQ(bring(0, 100), 0);  // b has said nothing yet
  EXPECT_EQ(bring(1, 50), 50);
  EXPECT_EQ(bring(1, 120), 100);
  EXPECT_EQ(bring(0, 110), 110);
}

TEST_F(FanIn, AnInputDoesNotGoBack) {
  bring(0, 100);
  bring(1, 100);
  EXPECT_EQ(bring(0, 70), 100);
  EXPECT_EQ(bring(1, 200), 100);
}

TEST_F(FanIn, ASilentInputIsIgnoredUntilItSpeaks) {
  bring(0, 100);
  bring(1, 50);
  now += 11s;
  EXPECT_EQ(bring(0, 200), 200);
  EXPECT_EQ(bring(1, 60), 200);   // it is late, time does not go back
  EXPECT_EQ(bring(0, 300), 200);  // but it counts again
}

TEST_F(FanIn, AnInputWithSomethingQueuedIsNotSilent) {
  bring(0, 100);
  bring(1, 50);
  inputs[1]->queued = 5;
  now += 60s;
  EXPECT_EQ(bring(0, 200), 50);
}

TEST_F(FanIn, TheEndIsWhenAllHaveEnded) {
  bring(0, 100);
  bring(1, 50);
  EXPECT_EQ(bring(0, kEndOfInput), 50);
  now += 60s;
  EXPECT_EQ(bring(1, 70), 70);
  EXPECT_EQ(bring(1, kEndOfInput), kEndOfInput);
}

TEST_F(FanIn, EndedAndSilentIsNotTheEnd) {
  bring(0, 100);
  bring(1, 50);
  now += 60s;
  EXPECT_EQ(bring(0, kEndOfInput), 50);
}

}  // namespace
}  // namespace fffa::core
