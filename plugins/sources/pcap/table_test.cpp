// SPDX-License-Identifier: MIT
#include "table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "fffa_bpf/parse_l4.h"

namespace fffa::pcap {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

class Totals final : public RecordTaker {
 public:
  void take(const fffa_drain_record& record) override {
    records.push_back(record);
    for (const auto& slot : record.slot) packets += slot.packets;
    for (int side = 0; side < 2; ++side) {
      if (record.slot[side].packets == 0) continue;
      EXPECT_LE(record.slot[side].first_ns, record.last_ns[side]);
      flows[record.key.remote_addr.v4] += record.slot[side].packets;
    }
  }
  std::vector<fffa_drain_record> records;
  std::map<std::uint32_t, std::uint64_t> flows;
  std::uint64_t packets = 0;
};

fffa_packet packet_of(std::uint32_t flow, std::uint64_t time, int direction = FFFA_INGRESS) {
  fffa_packet p{};
  p.key.remote_addr.v4 = flow;
  p.key.family = 4;
  p.key.proto = FFFA_PROTO_UDP;
  p.time_ns = time;
  p.packets = 1;
  p.bytes = 100;
  p.direction = static_cast<__u8>(direction);
  return p;
}

struct Counting {
  explicit Counting(std::uint32_t entries) : table({entries, true, 300 * kSecond}) { EXPECT_TRUE(table.start().ok()); }
  void count(fffa_packet packet) { table.count({&packet, 1}, totals); }
  Table table;
  Totals totals;
};

TEST(Table, GrowsWithoutLosingAnything) {
  Counting s(1 << 20);
  constexpr std::uint32_t flows = 150'000;
  std::mt19937 random(1);
  std::map<std::uint32_t, std::uint64_t> want;
  for (std::uint32_t i = 0; i < 3 * flows; ++i) {
    const auto flow = static_cast<std::uint32_t>(random() % flows);
    s.count(packet_of(flow, kSecond + i));
    ++want[flow];
  }
  EXPECT_EQ(s.table.in_use(), want.size());
  s.table.read_out(2 * kSecond, s.totals);
  EXPECT_EQ(s.totals.flows, want);
  EXPECT_EQ(s.totals.records.size(), want.size());
  EXPECT_EQ(s.table.evicted(), 0u);
}

TEST(Table, BeyondItsLimitTheOldestGoEarlyAndNothingIsLost) {
  Counting s(1000);
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    s.count(packet_of(i, kSecond + i));
    s.count(packet_of(1'000'000, kSecond + i));  // always there
    ASSERT_LE(s.table.in_use(), 1000u);
  }
  s.table.read_out(2 * kSecond, s.totals);
  EXPECT_EQ(s.totals.packets, 40'000u);
  EXPECT_EQ(s.totals.flows.size(), 20'001u);
  EXPECT_GT(s.table.evicted(), 10'000u);
  const auto of_the_live_one = std::count_if(s.totals.records.begin(), s.totals.records.end(),
                                             [](const auto& r) { return r.key.remote_addr.v4 == 1'000'000; });
  EXPECT_EQ(of_the_live_one, 1) << "the most recently active one is never evicted";
}

TEST(Table, ForgetsWhatIsIdleWhereThereIsMuchOfIt) {
  Counting s(1 << 20);
  std::uint64_t now = kSecond;
  for (std::uint32_t i = 0; i < 1'000'000; ++i) {
    now += kSecond / 100;  // 30 000 in 300 s
    s.count(packet_of(i, now));
    if (i % 500 == 0) s.table.read_out(now, s.totals);
  }
  EXPECT_LT(s.table.in_use(), 110'000u);
  s.table.read_out(now, s.totals);
  EXPECT_EQ(s.totals.packets, 1'000'000u);
  EXPECT_EQ(s.table.evicted(), 0u);
}

TEST(Table, TimesOfARecordAreThoseOfItsPacketsInWhateverOrder) {
  Counting s(100);
  for (const std::uint64_t ms : {5000, 4990, 5010, 4995}) s.count(packet_of(1, ms * 1'000'000));
  s.table.read_out(6 * kSecond, s.totals);
  ASSERT_EQ(s.totals.records.size(), 1u);
  EXPECT_EQ(s.totals.records[0].slot[0].first_ns, 4990'000'000u);
  EXPECT_EQ(s.totals.records[0].last_ns[0], 5010'000'000u);
  s.count(packet_of(1, 5005'000'000));  // late, after a read-out
  s.table.read_out(6 * kSecond, s.totals);
  ASSERT_EQ(s.totals.records.size(), 2u);
  EXPECT_EQ(s.totals.records[1].slot[0].first_ns, 5005'000'000u);
  EXPECT_EQ(s.totals.records[1].last_ns[0], 5005'000'000u);
}

TEST(Table, ALatePacketBehindAReadOutDoesNotOutliveItsRecord) {
  Counting s(100);
  s.count(packet_of(1, 5010'000'000));
  s.table.read_out(6 * kSecond, s.totals);
  for (const std::uint64_t ms : {5000, 5005, 5003}) s.count(packet_of(1, ms * 1'000'000));
  s.table.read_out(6 * kSecond, s.totals);
  s.count(packet_of(1, 5008'000'000));
  s.count(packet_of(1, 5020'000'000));  // what the flow remembers is this one now
  s.table.read_out(6 * kSecond, s.totals);
  ASSERT_EQ(s.totals.records.size(), 3u);
  EXPECT_EQ(s.totals.records[1].slot[0].first_ns, 5000'000'000u);
  EXPECT_EQ(s.totals.records[1].last_ns[0], 5005'000'000u);
  EXPECT_EQ(s.totals.records[2].slot[0].first_ns, 5008'000'000u);
  EXPECT_EQ(s.totals.records[2].last_ns[0], 5020'000'000u);
}

TEST(Table, APacketStampedAsTheLatestOfTheRecordBeforeCounts) {
  Counting s(100);
  s.count(packet_of(1, 100'000));
  s.table.read_out(kSecond, s.totals);
  s.count(packet_of(1, 99'000));
  s.count(packet_of(1, 100'000));
  s.table.read_out(kSecond, s.totals);
  s.count(packet_of(1, 200'000, FFFA_EGRESS));
  s.count(packet_of(1, 99'000));
  s.count(packet_of(1, 100'000));  // behind the other direction only
  s.table.read_out(kSecond, s.totals);
  ASSERT_EQ(s.totals.records.size(), 3u);
  for (const std::size_t i : {1, 2}) {
    EXPECT_EQ(s.totals.records[i].slot[0].first_ns, 99'000u);
    EXPECT_EQ(s.totals.records[i].last_ns[0], 100'000u);
  }
}

// To the tracker a read-out makes no difference: the gaps between packets are the same.
TEST(Table, AReadOutAmongPacketsOutOfOrderChangesNoTotal) {
  const auto jitter = [](bool read_out) {
    Counting s(100);
    for (const std::uint64_t ms : {5000, 5010, 5015, 5012, 5030, 5031}) {
      fffa_packet p = packet_of(1, ms * 1'000'000);
      p.key.proto = FFFA_PROTO_TCP;
      p.tcp = 1;
      p.flags = FFFA_ACK;
      p.scale = FFFA_NO_OFFER;
      s.count(p);
      if (read_out) s.table.read_out(6 * kSecond, s.totals);
    }
    s.table.read_out(6 * kSecond, s.totals);
    std::pair<std::uint64_t, std::uint64_t> sum;
    for (const auto& record : s.totals.records) {
      sum.first += record.slot[0].jitter_samples;
      sum.second += record.slot[0].jitter_sum_ns;
    }
    return sum;
  };
  EXPECT_EQ(jitter(true), jitter(false));
  EXPECT_EQ(jitter(false).first, 4u);
}

// Of one direction it is nobody's business how late the other's packets come.
TEST(Table, JitterIsOfTheDirectionsOwnStamps) {
  const auto jitter = [](bool late) {
    Counting s(100);
    const auto count = [&](std::uint64_t us, int direction) {
      fffa_packet p = packet_of(1, us * 1000, direction);
      p.key.proto = FFFA_PROTO_TCP;
      p.tcp = 1;
      p.flags = FFFA_ACK;
      p.scale = FFFA_NO_OFFER;
      s.count(p);
    };
    constexpr std::pair<std::uint64_t, std::uint64_t> times[] = {
        {10'000, 14'000}, {20'000, 21'000}, {33'000, 40'000}, {45'000, 47'000}, {70'000, 75'000}};
    for (const auto& [us, answer] : times) {
      if (late) count(answer, FFFA_EGRESS);
      count(us, FFFA_INGRESS);
      if (!late) count(answer, FFFA_EGRESS);
    }
    s.table.read_out(6 * kSecond, s.totals);
    return s.totals.records.at(0);
  };
  const auto in_order = jitter(false), late = jitter(true);
  EXPECT_EQ(in_order.slot[0].jitter_sum_ns, 17'000'000u);  // 3, 1 and 13 ms
  for (const int side : {0, 1}) {
    EXPECT_EQ(late.slot[side].jitter_samples, in_order.slot[side].jitter_samples);
    EXPECT_EQ(late.slot[side].jitter_sum_ns, in_order.slot[side].jitter_sum_ns);
    EXPECT_EQ(late.slot[side].jitter_max_ns, in_order.slot[side].jitter_max_ns);
    EXPECT_EQ(late.last_ns[side], in_order.last_ns[side]);
  }
}

TEST(Table, AClockThatWasSetMakesARecordOfItsOwn) {
  Counting s(100);
  s.count(packet_of(1, 5000 * kSecond));
  s.count(packet_of(1, 5001 * kSecond, FFFA_EGRESS));
  s.count(packet_of(1, 1000 * kSecond));
  s.count(packet_of(1, 1001 * kSecond));
  s.table.read_out(5002 * kSecond, s.totals);
  ASSERT_EQ(s.totals.records.size(), 2u);
  EXPECT_EQ(s.totals.records[0].last_ns[1], 5001 * kSecond);
  EXPECT_EQ(s.totals.records[1].slot[0].first_ns, 1000 * kSecond);
  EXPECT_EQ(s.totals.records[1].last_ns[0], 1001 * kSecond);
  EXPECT_EQ(s.totals.packets, 4u);
}

// Times at random, TCP at random: no duration is negative, no packet is lost.
TEST(Table, TimeInAnyOrder) {
  Counting s(64);
  std::mt19937_64 random(7);
  for (int i = 0; i < 200'000; ++i) {
    fffa_packet p = packet_of(static_cast<std::uint32_t>(random() % 100), 1 + (random() >> (2 + random() % 40)),
                              static_cast<int>(random() % 2));
    p.key.proto = FFFA_PROTO_TCP;
    p.tcp = 1;
    p.flags = static_cast<__u8>(random() % 64);
    p.seq = static_cast<__u32>(random() % 3000);
    p.ack = static_cast<__u32>(random() % 3000);
    p.payload = static_cast<__u32>(random() % 100);
    p.scale = FFFA_NO_OFFER;
    s.count(p);
    if (random() % 1000 == 0) s.table.read_out(p.time_ns, s.totals);
  }
  s.table.read_out(1, s.totals);
  EXPECT_EQ(s.totals.packets, 200'000u);
  for (const auto& record : s.totals.records) {
    for (const auto& slot : record.slot) {
      EXPECT_LT(slot.rtt_sum_ns, std::uint64_t{1} << 62);
      EXPECT_LT(slot.jitter_sum_ns, std::uint64_t{1} << 62);
    }
  }
}

}  // namespace
}  // namespace fffa::pcap
