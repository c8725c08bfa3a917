// SPDX-License-Identifier: MIT
#include "overflow.h"

#include <gtest/gtest.h>

#include <vector>

namespace fffa::ebpf {
namespace {

fffa_event packet(std::uint16_t port, fffa_direction direction, std::uint64_t time, std::uint16_t flags = 0x10) {
  fffa_event event{};
  event.type = FFFA_EVENT_PACKET;
  event.direction = static_cast<std::uint8_t>(direction);
  event.reason = FFFA_TABLE_FULL;
  event.key.family = 4;
  event.key.proto = 6;
  event.key.local_port = port;
  event.time_ns = time;
  event.packets = 1;
  event.bytes = 100;
  event.flags = flags;
  return event;
}

std::vector<fffa_drain_record> drain(Overflow& overflow, std::vector<bool>* partial = nullptr) {
  std::vector<fffa_drain_record> all;
  overflow.drain([&](const fffa_drain_record& record, bool is_partial) {
    all.push_back(record);
    if (partial != nullptr) partial->push_back(is_partial);
  });
  return all;
}

TEST(OverflowTest, PacketsOfOneConnectionBecomeOneRecord) {
  Overflow overflow(10);
  overflow.add(packet(1, FFFA_EGRESS, 20, 0x02));
  overflow.add(packet(1, FFFA_INGRESS, 30, 0x12 | FFFA_SLOT_SYN_ACK));
  overflow.add(packet(1, FFFA_EGRESS, 10));
  const auto all = drain(overflow);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].slot[FFFA_EGRESS].packets, 2u);
  EXPECT_EQ(all[0].slot[FFFA_EGRESS].bytes, 200u);
  EXPECT_EQ(all[0].slot[FFFA_EGRESS].first_ns, 10u);
  EXPECT_EQ(all[0].last_ns[FFFA_EGRESS], 20u);
  EXPECT_EQ(all[0].slot[FFFA_INGRESS].packets, 1u);
  EXPECT_NE(all[0].seen[FFFA_EGRESS] & FFFA_SEEN_INITIATOR, 0);
  EXPECT_EQ(all[0].seen[FFFA_INGRESS] & FFFA_SEEN_INITIATOR, 0);
}

TEST(OverflowTest, NothingIsReportedTwiceAndStateSurvivesOneReport) {
  Overflow overflow(10);
  overflow.add(packet(1, FFFA_EGRESS, 10, 0x02));
  EXPECT_EQ(drain(overflow).size(), 1u);
  EXPECT_TRUE(overflow.empty());
  overflow.add(packet(1, FFFA_EGRESS, 20));
  const auto second = drain(overflow);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].slot[FFFA_EGRESS].packets, 1u);
  EXPECT_EQ(second[0].slot[FFFA_EGRESS].first_ns, 20u);
  EXPECT_NE(second[0].seen[FFFA_EGRESS] & FFFA_SEEN_SYN, 0);
  EXPECT_TRUE(drain(overflow).empty());
  EXPECT_EQ(overflow.flows(), 0u) << "silent flows are forgotten";
}

TEST(OverflowTest, IsBounded) {
  Overflow overflow(2);
  overflow.add(packet(1, FFFA_EGRESS, 10));
  EXPECT_FALSE(overflow.full());
  overflow.add(packet(2, FFFA_EGRESS, 10));
  EXPECT_TRUE(overflow.full());
  drain(overflow);
  drain(overflow);
  EXPECT_FALSE(overflow.full());
}

TEST(OverflowTest, FoldsIntoTheRecordOfTheTable) {
  Overflow overflow(10);
  auto busy = packet(1, FFFA_EGRESS, 50);
  busy.reason = FFFA_LOCK_BUSY;
  overflow.add(busy);
  fffa_drain_record record{};
  record.key = busy.key;
  record.slot[FFFA_EGRESS].packets = 7;
  record.slot[FFFA_EGRESS].bytes = 700;
  record.slot[FFFA_EGRESS].first_ns = 60;
  record.last_ns[FFFA_EGRESS] = 70;
  overflow.fold_into(record);
  EXPECT_EQ(record.slot[FFFA_EGRESS].packets, 8u);
  EXPECT_EQ(record.slot[FFFA_EGRESS].bytes, 800u);
  EXPECT_EQ(record.slot[FFFA_EGRESS].first_ns, 50u);
  EXPECT_EQ(record.last_ns[FFFA_EGRESS], 70u);
  EXPECT_TRUE(overflow.empty());
  EXPECT_TRUE(drain(overflow).empty());
}

TEST(OverflowTest, PartialIfEveryPacketOnlyMetABusyEntry) {
  Overflow overflow(10);
  auto busy = packet(1, FFFA_EGRESS, 50);
  busy.reason = FFFA_LOCK_BUSY;
  overflow.add(busy);
  overflow.add(packet(2, FFFA_EGRESS, 50));
  std::vector<bool> partial;
  const auto all = drain(overflow, &partial);
  ASSERT_EQ(all.size(), 2u);
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(partial[i], all[i].key.local_port == 1);
}

}  // namespace
}  // namespace fffa::ebpf
