// SPDX-License-Identifier: MIT
// Round trips whose packets were told of before: records with 0 packets. Windows are 5 s, lateness 5 s.
#include "flow_cache_testing.h"

namespace fffa::flow_cache {
namespace {

using testing::at;
using testing::delta;
using testing::Fixture;

FlowRecord round_trip(std::uint32_t flow, double time) {
  FlowRecord record = delta(flow, time, time, 0);
  record.rtt_samples = 1;
  record.rtt_sum_us = record.min_rtt_us = record.max_rtt_us = 300;
  return record;
}

TEST(FlowCache, ALateRoundTripBecomesPartOfItsFlowsRecord) {
  Fixture f;
  f.add({delta(1, 4.5, 5.5, 3)}, 6);  // window 0, although its last packet is in window 5
  f.add({round_trip(1, 5.5)}, 7);
  f.add({}, 20);
  ASSERT_EQ(f.out.records().size(), 1u);
  const auto [window, record] = f.out.records()[0];
  EXPECT_EQ(window, 0);
  EXPECT_EQ(record.packets, 3u);
  EXPECT_EQ(record.rtt_samples, 1u);
  EXPECT_EQ(record.first_seen, at(4.5));
  EXPECT_EQ(record.last_seen, at(5.5));
  EXPECT_EQ(f.cache.late_records(), 0u);
}

TEST(FlowCache, ALateRoundTripOfAClosedWindowGoesIntoAnOpenOne) {
  Fixture f;
  f.add({delta(1, 1, 2), delta(1, 7, 8)}, 10);
  f.out.clear();
  f.add({round_trip(1, 2)}, 11);
  EXPECT_TRUE(f.out.records().empty());
  f.add({}, 15);
  ASSERT_EQ(f.out.records().size(), 1u);
  const auto [window, record] = f.out.records()[0];
  EXPECT_EQ(window, 5);
  EXPECT_EQ(record.rtt_samples, 1u);
  EXPECT_EQ(record.first_seen, at(7));
  EXPECT_EQ(f.cache.late_records(), 0u);
}

TEST(FlowCache, ARoundTripWaitsForItsFlowUntilTheWindowCloses) {
  Fixture f;
  f.add({round_trip(1, 1), round_trip(2, 1)}, 6);
  f.add({delta(1, 7, 7)}, 8);
  f.add({}, 10);
  ASSERT_EQ(f.out.records().size(), 1u);  // of flow 2 nothing else is known
  EXPECT_EQ(f.out.records()[0].second.flow.src_port, 1024 + 2);
  EXPECT_EQ(f.out.records()[0].second.packets, 0u);
  EXPECT_EQ(f.out.records()[0].second.rtt_samples, 1u);
  f.out.clear();
  EXPECT_FALSE(f.tickets.done(0)) << "window 5 has a part of it";
  f.add({}, 15);
  ASSERT_EQ(f.out.records().size(), 1u);
  EXPECT_EQ(f.out.records()[0].second.packets, 1u);
  EXPECT_EQ(f.out.records()[0].second.rtt_samples, 1u);
  EXPECT_EQ(f.out.records()[0].second.first_seen, at(7));
  f.out.clear();
  EXPECT_TRUE(f.tickets.all_done());
}

TEST(FlowCache, ARoundTripOfAFlowThatIsForgottenIsNotLost) {
  Fixture f;
  f.add({delta(1, 1, 2)}, 10);
  f.out.clear();
  f.add({round_trip(1, 2)}, 11);
  ASSERT_EQ(f.out.records().size(), 1u);
  EXPECT_EQ(f.out.records()[0].first, 0);
  EXPECT_EQ(f.out.records()[0].second.rtt_samples, 1u);
  EXPECT_EQ(f.cache.late_records(), 1u);
}

TEST(FlowCache, TotalsTakeLateRoundTrips) {
  Options options;
  options.cumulative = true;
  Fixture f(options);
  f.add({delta(1, 1, 2)}, 10);
  f.add({round_trip(1, 2)}, 11);
  f.out.clear();
  f.add({}, 15);
  ASSERT_EQ(f.out.records().size(), 1u);
  EXPECT_EQ(f.out.records()[0].second.packets, 1u);
  EXPECT_EQ(f.out.records()[0].second.new_packets, 0u);
  EXPECT_EQ(f.out.records()[0].second.rtt_samples, 1u);
}

}  // namespace
}  // namespace fffa::flow_cache
