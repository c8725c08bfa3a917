// SPDX-License-Identifier: MIT
// What must hold for any input: the sums of each flow and window do not depend on how the packets were cut into records
// and batches, nor on their order, nor on how often there was no room; every ticket completes once; time never goes
// back; memory stays bounded.
#include <algorithm>
#include <random>

#include "flow_cache_testing.h"

namespace fffa::flow_cache {
namespace {

using testing::at;
using testing::delta;
using testing::Fixture;

using Random = std::minstd_rand;
std::uint32_t below(Random& random, std::uint32_t limit) {
  return static_cast<std::uint32_t>(random() % limit);
}

struct Packet {
  std::uint32_t flow;
  double time;
};

std::vector<Packet> traffic(Random& random, int count, double seconds) {
  std::vector<Packet> packets;
  for (int i = 0; i < count; ++i) packets.push_back({below(random, 300), below(random, 1'000'000) * seconds / 1e6});
  return packets;
}

FlowRecord one(const Packet& packet) {
  FlowRecord record = delta(packet.flow, packet.time, packet.time);
  record.tcp_flags = static_cast<std::uint8_t>(1u << (packet.flow % 8));
  return record;
}

// Merges some packets of the same flow and window into one delta, shuffles what belongs to one step of the watermark,
// cuts it into batches.
void feed(Fixture& f, std::vector<Packet> packets, Random& random, double seconds) {
  std::sort(packets.begin(), packets.end(), [](const auto& a, const auto& b) { return a.time < b.time; });
  std::size_t next = 0;
  for (double step = 0.5; next < packets.size() || step < seconds; step += 0.5 + below(random, 4)) {
    std::vector<FlowRecord> now;
    for (; next < packets.size() && packets[next].time < step; ++next) {
      const FlowRecord record = one(packets[next]);
      const auto same = std::find_if(now.begin(), now.end(), [&](const FlowRecord& other) {
        return other.flow == record.flow &&
               other.first_seen / (5 * testing::kSecond) == record.first_seen / (5 * testing::kSecond);
      });
      if (same != now.end() && below(random, 2) == 0) {
        merge(*same, record);
      } else {
        now.push_back(record);
      }
    }
    std::shuffle(now.begin(), now.end(), random);
    while (!now.empty()) {
      const std::size_t n = std::min<std::size_t>(now.size(), 1 + below(random, 200));
      f.out.rooms = below(random, 3) == 0 ? 1 : -1;
      // the watermark may only move with the last batch of the step
      f.add({now.end() - static_cast<std::ptrdiff_t>(n), now.end()}, now.size() == n ? step : 0);
      now.resize(now.size() - n);
      while (f.out.rooms == 0) {
        f.out.rooms = below(random, 2) == 0 ? 1 : -1;
        f.cache.resume(f.out);
      }
    }
  }
  f.out.rooms = -1;
  f.end();
}

using Sums = std::map<std::tuple<std::uint32_t, long>, std::tuple<std::uint64_t, std::uint64_t, int, TimeNs, TimeNs>>;

Sums sums_of(const Fixture& f) {
  Sums sums;
  for (const auto& [window, r] : f.out.records()) {
    const std::uint32_t flow = std::uint32_t{r.flow.src[3]} << 8 | (r.flow.src_port - 1024u);
    auto& [packets, bytes, flags, first, last] = sums[{flow, window}];
    first = packets == 0 ? r.first_seen : std::min(first, r.first_seen);
    last = std::max(last, r.last_seen);
    packets += r.accounted_packets();
    bytes += r.accounted_bytes();
    flags |= r.tcp_flags;
  }
  return sums;
}

TEST(FlowCacheProperties, SumsDoNotDependOnCutsOrOrder) {
  Random random(1);
  const auto packets = traffic(random, 5'000, 40);
  Sums expected;
  for (const auto& packet : packets) {
    const FlowRecord r = one(packet);
    auto& [count, bytes, flags, first, last] = expected[{packet.flow, static_cast<long>(packet.time / 5) * 5}];
    first = count == 0 ? r.first_seen : std::min(first, r.first_seen);
    last = std::max(last, r.last_seen);
    count += 1;
    bytes += 100;
    flags |= r.tcp_flags;
  }
  for (int round = 0; round < 8; ++round) {
    Fixture f;
    feed(f, packets, random, 60);
    EXPECT_EQ(sums_of(f), expected) << round;
    EXPECT_EQ(f.out.records().size(), expected.size());  // each flow once per window
    EXPECT_EQ(f.out.watermark(), kEndOfInput);
    EXPECT_EQ(f.cache.records(), 0u);
    EXPECT_EQ(f.cache.late_records(), 0u);
    f.out.clear();
    EXPECT_TRUE(f.tickets.all_done());
  }
}

TEST(FlowCacheProperties, TotalsGrowToTheSameEnd) {
  Random random(2);
  const auto packets = traffic(random, 5'000, 40);
  for (int round = 0; round < 6; ++round) {
    Options options;
    options.cumulative = true;
    options.idle_timeout = (round % 2 == 0 ? 7 : 60) * testing::kSecond;
    Fixture f(options);
    feed(f, packets, random, 60);
    std::map<std::uint32_t, std::uint64_t> accounted;
    std::map<std::uint32_t, std::uint64_t> current;  // of the flow's present life
    for (const auto& [window, r] : f.out.records()) {
      const std::uint32_t flow = std::uint32_t{r.flow.src[3]} << 8 | (r.flow.src_port - 1024u);
      accounted[flow] += r.new_packets;
      EXPECT_EQ(r.packets, current[flow] + r.new_packets);
      current[flow] = r.flow_end_reason == FlowEndReason::none ? r.packets : 0;
    }
    std::map<std::uint32_t, std::uint64_t> expected;
    for (const auto& packet : packets) ++expected[packet.flow];
    EXPECT_EQ(accounted, expected);
    for (const auto& [flow, open] : current) EXPECT_EQ(open, 0u);  // every flow was ended
    f.out.clear();
    EXPECT_TRUE(f.tickets.all_done());
  }
}

// Late, early, out of order, without room, too little memory: still nothing is lost, and no ticket hangs.
TEST(FlowCacheProperties, NothingIsLostWhateverComes) {
  for (unsigned seed = 0; seed < 12; ++seed) {
    Random random(seed + 1);
    Options options;
    options.cumulative = seed % 3 == 0;
    options.active_timeout = seed % 2 == 0 ? 8 * testing::kSecond : 0;
    options.lateness = below(random, 3) * testing::kSecond;
    options.max_memory = 1;  // the least
    Fixture f(options);
    std::uint64_t sent = 0, round_trips = 0;
    double watermark = 0;
    for (int step = 0; step < 200; ++step) {
      std::vector<FlowRecord> records;
      for (std::uint32_t i = below(random, 300); i > 0; --i) {
        const double first = std::max(0.0, watermark + below(random, 30) - 15.0);
        records.push_back(delta(below(random, 20'000), first, first + 1));
        if (below(random, 8) == 0) records.back().conn_state = ConnState::SF;
        if (below(random, 8) == 0) {
          records.back().packets = records.back().bytes = 0;
          records.back().rtt_samples = 1;
        }
        sent += records.back().packets;
        round_trips += records.back().rtt_samples;
      }
      watermark += below(random, 3);
      if (below(random, 3) == 0) f.out.rooms = static_cast<int>(below(random, 3));
      InterfaceStatus status;
      status.interface = Text{1};
      status.seen.packets = 1;
      f.add(records, watermark, {status});
      f.out.rooms = -1;
      if (below(random, 2) == 0) f.cache.resume(f.out);
      ASSERT_LT(f.cache.memory(), 8u << 20);
    }
    f.end();
    std::uint64_t packets = 0, answered = 0;
    for (const auto& [window, record] : f.out.records()) {
      packets += record.accounted_packets();
      if (!options.cumulative || record.flow_end_reason != FlowEndReason::none) answered += record.rtt_samples;
    }
    EXPECT_EQ(packets, sent);
    EXPECT_EQ(answered, round_trips);
    std::uint64_t seen = 0;
    for (const auto& [window, status] : f.out.statuses()) seen += status.seen.packets;
    EXPECT_EQ(seen, 200u);
    EXPECT_EQ(f.cache.records(), 0u);
    f.out.clear();
    EXPECT_TRUE(f.tickets.all_done());
  }
}

}  // namespace
}  // namespace fffa::flow_cache
