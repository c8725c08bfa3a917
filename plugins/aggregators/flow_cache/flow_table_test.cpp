// SPDX-License-Identifier: MIT
#include "flow_table.h"

#include <random>
#include <unordered_map>

#include "flow_cache_testing.h"

namespace fffa::flow_cache {
namespace {

using testing::delta;

// A copy, valid until the next call.
const FlowRecord* find(FlowTable& table, const FlowRecord& record) {
  static FlowRecord found;
  const FlowKey key = identity(record);
  const Place place = table.find(key, hash(key));
  if (!place) return nullptr;
  FlowTable::load(place, found);
  return &found;
}
void append(FlowTable& table, const FlowRecord& record) {
  table.append(record, hash(identity(record)));
}

TEST(FlowTable, FindsWhatWasAppendedAndNothingElse) {
  ChunkPool pool(1000);
  FlowTable table(pool);
  EXPECT_EQ(find(table, delta(1, 0, 1)), nullptr);
  for (std::uint32_t i = 0; i < 5000; ++i) append(table, delta(i, 0, 1, i));
  for (std::uint32_t i = 0; i < 5000; ++i) {
    ASSERT_NE(find(table, delta(i, 0, 1)), nullptr);
    EXPECT_EQ(find(table, delta(i, 0, 1))->packets, i);
  }
  EXPECT_EQ(find(table, delta(5000, 0, 1)), nullptr);
}

TEST(FlowTable, EveryPartOfTheIdentityTellsFlowsApart) {
  ChunkPool pool(1000);
  FlowTable table(pool);
  const FlowRecord base = delta(1, 0, 1);
  append(table, base);
  std::vector<FlowRecord> others(8, base);
  others[0].direction = Direction::egress;
  others[1].interface = Text{2};
  others[2].host = Text{3};
  others[3].vni = 7;
  others[4].encapsulation = Encapsulation::geneve;
  others[5].flow.dst_port = 444;
  others[6].flow.src[0] = 11;
  others[7].flow.dst[15] = 1;
  for (const auto& other : others) EXPECT_EQ(find(table, other), nullptr);
  FlowRecord same = base;
  same.ifindex = 9;
  same.vlan_id = 4;
  EXPECT_NE(find(table, same), nullptr);
}

// Against a map: appends, drops from the front and look-ups at random, long enough that stale cells fill the index many
// times.
TEST(FlowTable, BehavesAsAMapWithAQueue) {
  ChunkPool pool(1 << 20);
  FlowTable table(pool);
  std::unordered_map<std::uint32_t, bool> model;
  std::deque<std::vector<std::uint32_t>> chunks;
  std::minstd_rand random(7);
  for (int step = 0; step < 200'000; ++step) {
    const auto flow = static_cast<std::uint32_t>(random() % 3000);
    const bool known = model.contains(flow);
    ASSERT_EQ(find(table, delta(flow, 0, 1)) != nullptr, known) << step;
    if (!known) {
      append(table, delta(flow, 0, 1));
      model[flow] = true;
      if (chunks.empty() || chunks.back().size() == kChunkRecords) chunks.emplace_back();
      chunks.back().push_back(flow);
    }
    if (random() % 100 == 0 && !chunks.empty()) {
      ASSERT_EQ(table.front().size(), chunks.front().size());
      table.drop_front();
      for (const auto gone : chunks.front()) model.erase(gone);
      chunks.pop_front();
    }
    ASSERT_EQ(table.size(), model.size());
  }
  EXPECT_LT(table.index_bytes(), 3000 * 8 * 6);  // stale cells do not make it grow
}

TEST(FlowTable, TailsAreKeptWhereThereAreAny) {
  ChunkPool pool(100);
  FlowTable table(pool);
  for (std::uint32_t i = 0; i < kChunkRecords; ++i) append(table, delta(i, 0, 1));
  const std::size_t without = pool.bytes();
  FlowRecord labelled = delta(3, 0, 1);
  labelled.set_label(Text{7}, Text{8});
  const FlowKey key = identity(labelled);
  table.store(table.find(key, hash(key)), labelled);
  EXPECT_EQ(pool.bytes(), without + sizeof(Chunk::Tails));
  EXPECT_EQ(find(table, delta(3, 0, 1))->label_count, 1);
  EXPECT_EQ(find(table, delta(4, 0, 1))->label_count, 0);
  EXPECT_EQ(table.front()[3].labels[0].value, Text{8});
  table.drop_front();
  EXPECT_EQ(pool.in_use(), 0u);
  FlowTable next(pool);
  append(next, delta(3, 0, 1));
  EXPECT_EQ(find(next, delta(3, 0, 1))->label_count, 0) << "a reused chunk";
}

// Everything that a record can say comes back: whatever field is added to its tail must be looked at, too.
TEST(FlowTable, EveryByteOfTheTailCounts) {
  for (std::size_t at = kHeadBytes; at < sizeof(FlowRecord); ++at) {
    FlowRecord record = delta(1, 0, 1);
    record.label_count = at >= offsetof(FlowRecord, labels) ? 8 : 0;
    reinterpret_cast<unsigned char*>(&record)[at] |= 1;
    if (record.nat != Tuple{}) record.nat.family = 4;
    ChunkPool pool(100);
    FlowTable table(pool);
    append(table, record);
    const FlowRecord& found = *find(table, record);
    EXPECT_EQ(found.labels[7].value, record.labels[7].value) << at;
    EXPECT_EQ(found.nat, record.nat) << at;
    EXPECT_EQ(found.drops, record.drops) << at;
    EXPECT_EQ(found.aws, record.aws) << at;
    EXPECT_EQ(found.refused_packets, record.refused_packets) << at;
    EXPECT_EQ(found.netfilter_queues, record.netfilter_queues) << at;
    EXPECT_EQ(found.gwlb_flow_cookie, record.gwlb_flow_cookie) << at;
    EXPECT_EQ(found.flow_end_reason, record.flow_end_reason) << at;
  }
}

TEST(FlowTable, GivesItsChunksBack) {
  ChunkPool pool(100);
  {
    FlowTable table(pool);
    for (std::uint32_t i = 0; i < 1000; ++i) append(table, delta(i, 0, 1));
    EXPECT_EQ(pool.in_use(), 16u);
    EXPECT_EQ(pool.available(), (100 * kWholeChunk - 16 * sizeof(Chunk)) / kWholeChunk);
    table.drop_front();
    EXPECT_EQ(pool.in_use(), 15u);
    table.clear();
    EXPECT_EQ(pool.in_use(), 0u);
    EXPECT_EQ(find(table, delta(999, 0, 1)), nullptr);
    append(table, delta(1, 0, 1));
    EXPECT_NE(find(table, delta(1, 0, 1)), nullptr);
  }
  EXPECT_EQ(pool.in_use(), 0u);
  pool.trim();
  EXPECT_EQ(pool.bytes(), 0u);
}

}  // namespace
}  // namespace fffa::flow_cache
