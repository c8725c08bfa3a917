// SPDX-License-Identifier: MIT
// The flow table in user space: against a model, full, and with threads hammering it while another reads it out.
#include <fffa_bpf/host_table.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <unordered_map>
#include <vector>

namespace fffa::bpf_test {
namespace {

constexpr fffa_drain_request keep{0, ~0ull, ~0ull, 0, 0, FFFA_DRAIN_NO_DELETE, 0};
constexpr fffa_drain_request delete_idle{0, 0, ~0ull, 0, 0, 0, 0};

class Table {
 public:
  explicit Table(std::uint32_t entries)
      : flows_(new fffa_flow[entries]()), buckets_(new fffa_bucket[fffa_bucket_count(entries)]()) {
    table_.flows = flows_.get();
    table_.buckets = buckets_.get();
    table_.entries = entries;
    table_.bucket_mask = fffa_bucket_count(entries) - 1;
    std::mt19937 random(entries);
    for (auto& seed : table_.seeds) seed = static_cast<std::uint32_t>(random());
  }

  // Counts one packet of a flow; FFFA_OK, or why not.
  int count(const fffa_flow_key& key, std::uint64_t now = 1) {
    fffa_packet p{};
    p.key = key;
    p.time_ns = now;
    p.packets = 1;
    p.bytes = 10;
    auto index = static_cast<int>(fffa_table_find(&table_, &key)) - 1;
    for (int i = 0; i < 3; ++i) {
      if (index < 0) index = fffa_table_insert(&table_, &key, FFFA_INGRESS);
      if (index < 0) return -index;
      fffa_flow& flow = table_.flows[index];
      if (!fffa_lock(&flow.lock)) return FFFA_LOCK_BUSY;
      if (fffa_same_key(&flow.key, &key)) {
        fffa_track(&flow, &p, FFFA_INGRESS);
        fffa_unlock(&flow.lock);
        return FFFA_OK;
      }
      fffa_unlock(&flow.lock);
      index = -1;
    }
    return FFFA_TABLE_FULL;
  }

  template <class Each>
  fffa_drain_result drain(const fffa_drain_request& request, Each each, std::uint64_t now = 1000) {
    fffa_drain_result result{};
    const auto used = std::min(__atomic_load_n(&table_.state.next_index, __ATOMIC_RELAXED), table_.entries);
    for (std::uint32_t i = 0; i < used; ++i) {
      fffa_drain_record record;
      const auto drained = fffa_drain_flow(&table_, i, &table_.flows[i], nullptr, nullptr, &request, now, &record);
      if (drained & FFFA_DRAINED_RECORD) each(record);
      result.deleted += (drained & FFFA_DRAINED_DELETED) != 0;
      result.busy += (drained & FFFA_DRAINED_BUSY) != 0;
      result.in_use += (drained & FFFA_DRAINED_IN_USE) != 0;
    }
    return result;
  }

  std::size_t places_taken() const {
    std::size_t taken = 0;
    for (std::uint32_t i = 0; i <= table_.bucket_mask; ++i)
      for (const auto& place : table_.buckets[i].places) taken += place.word != 0;
    return taken;
  }

 private:
  std::unique_ptr<fffa_flow[]> flows_;
  std::unique_ptr<fffa_bucket[]> buckets_;
  fffa_table table_{};
};

fffa_flow_key key(std::uint32_t n) {
  fffa_flow_key k{};
  k.remote_addr.v4 = n;
  k.local_addr.v4 = 0x0a000001;
  k.family = 4;
  k.proto = 17;
  k.local_port = 53;
  return k;
}

TEST(Table, random_operations_agree_with_a_model) {
  Table table(500);
  std::unordered_map<std::uint32_t, std::uint64_t> model;  // packets not read out yet, of every flow in the table
  std::mt19937 random(7);
  for (int step = 0; step < 200000; ++step) {
    const auto n = static_cast<std::uint32_t>(random() % 400);
    if (const auto what = random() % 1000; what > 1) {
      ASSERT_EQ(table.count(key(n)), FFFA_OK);
      ++model[n];
    } else {
      const auto result = table.drain(what ? keep : delete_idle, [&](const fffa_drain_record& r) {
        EXPECT_EQ(r.slot[0].packets, model[r.key.remote_addr.v4]);
        EXPECT_EQ(r.slot[0].bytes, 10 * model[r.key.remote_addr.v4]);
        model[r.key.remote_addr.v4] = ~0ull;  // read out now
      });
      std::uint32_t idle = 0;
      for (auto it = model.begin(); it != model.end();) {
        const bool forgotten = !what && it->second == 0;
        idle += it->second == 0;
        ASSERT_TRUE(it->second == 0 || it->second == ~0ull) << "flow " << it->first << " was not read out";
        it->second = 0;
        it = forgotten ? model.erase(it) : std::next(it);
      }
      EXPECT_EQ(result.deleted, what ? 0u : idle);
      EXPECT_EQ(result.in_use, model.size());
    }
  }
}

TEST(Table, fills_to_the_last_entry_and_empties_again) {
  for (const std::uint32_t entries : {1u, 7u, 1000u, 1024u, 65536u}) {
    Table table(entries);
    for (int round = 0; round < 3; ++round) {
      std::uint32_t fit = 0;
      for (std::uint32_t i = 0; i < entries; ++i)
        fit += table.count(key(i + 1000000u * static_cast<std::uint32_t>(round))) == FFFA_OK;
      EXPECT_GE(fit, entries - entries / 1000) << "of " << entries << " in round " << round;
      if (fit == entries) {
        EXPECT_EQ(table.count(key(999999999)), FFFA_TABLE_FULL);
      }
      std::uint32_t records = 0;
      table.drain(keep, [&](const fffa_drain_record&) { ++records; });
      EXPECT_EQ(records, fit);
      EXPECT_EQ(table.drain(delete_idle, [](const fffa_drain_record&) { FAIL(); }).deleted, fit);
    }
  }
}

TEST(Table, idle_flows_go_when_they_have_been_silent_for_long_enough) {
  Table table(10);
  EXPECT_EQ(table.count(key(1), 100), FFFA_OK);
  const fffa_drain_request request{0, 1'000'000, 50, 0, 0, 0, 0};
  EXPECT_EQ(table
                .drain(
                    request, [](const fffa_drain_record& r) { EXPECT_FALSE(r.flags & FFFA_RECORD_DELETED); }, 200)
                .deleted,
            0u);
  EXPECT_EQ(table
                .drain(
                    request, [](const fffa_drain_record&) { FAIL(); }, 999'999)
                .deleted,
            0u)
      << "too soon";
  EXPECT_EQ(table
                .drain(
                    request, [](const fffa_drain_record&) { FAIL(); }, 1'000'100)
                .deleted,
            1u);
}

// Threads count packets of few flows while one reads out and deletes: every packet is read out once.
TEST(Table, nothing_is_lost_or_counted_twice_under_threads) {
  constexpr std::uint32_t flows = 20;
  constexpr int threads = 3, packets = 60000;
  Table table(16);  // too small on purpose: refusals and reuse
  std::atomic<std::uint64_t> counted[flows] = {};
  std::atomic<int> running{threads};
  std::vector<std::thread> workers;
  workers.reserve(threads);
  for (int t = 0; t < threads; ++t)
    workers.emplace_back([&, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      for (int i = 0; i < packets; ++i) {
        const auto n = static_cast<std::uint32_t>(random() % flows);
        if (table.count(key(n)) == FFFA_OK) ++counted[n];
      }
      --running;
    });
  std::uint64_t read[flows] = {}, deleted = 0;
  const auto add = [&](const fffa_drain_record& r) { read[r.key.remote_addr.v4] += r.slot[0].packets; };
  while (running > 0) {
    deleted += table.drain(delete_idle, add).deleted;
    std::this_thread::yield();
  }
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(table.drain(keep, add).busy, 0u);
  for (std::uint32_t n = 0; n < flows; ++n) EXPECT_EQ(read[n], counted[n]) << "flow " << n;
  EXPECT_EQ(table.drain(delete_idle, [](const fffa_drain_record&) { FAIL(); }).in_use, 0u);
  EXPECT_EQ(table.places_taken(), 0u) << "a bucket names a flow that was deleted";
  RecordProperty("deleted", static_cast<int>(deleted));
}

}  // namespace
}  // namespace fffa::bpf_test
