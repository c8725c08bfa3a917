// SPDX-License-Identifier: MIT
// bench_flow_cache [FLOWS]: merges 16 deltas of each of 100 000 flows, in random order and batches of 4096, into one
// window, and emits it. The same merge with std::unordered_map, and with tsl::robin_map where it is installed
// (robin-map-dev), shows what the table of our own is worth.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <random>
#include <unordered_map>

#if __has_include(<tsl/robin_map.h>)
#include <tsl/robin_map.h>
#endif

#include "flow_cache.h"

namespace {

using namespace fffa;

constexpr std::size_t kDeltas = 16;
constexpr std::size_t kBatch = 4096;
constexpr int kRounds = 5;
constexpr TimeNs kSecond = 1'000'000'000;

// CPU time: other programs on the machine do not count.
double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

struct Nowhere final : Emitter {
  std::size_t records = 0;
  void emit(Batch batch, std::vector<Ticket>) override { records += batch.size(); }
  bool room() const override { return true; }
};
struct Hash {
  std::size_t operator()(const FlowKey& key) const noexcept { return hash(key); }
};

FlowRecord delta(std::uint32_t flow, std::minstd_rand& random) {
  FlowRecord record;
  record.flow.family = 4;
  record.flow.protocol = 6;
  record.flow.src = {10, static_cast<std::uint8_t>(flow >> 16), static_cast<std::uint8_t>(flow >> 8),
                     static_cast<std::uint8_t>(flow)};
  record.flow.dst = {192, 0, 2, 1};
  record.flow.src_port = static_cast<std::uint16_t>(flow);
  record.flow.dst_port = 443;
  record.interface = Text{1};
  record.host = Text{2};
  record.direction = Direction::ingress;
  record.set(Has::tcp);
  record.conn_state = ConnState::S1;
  record.packets = 3;
  record.bytes = 1500;
  record.first_seen = kSecond + static_cast<TimeNs>(random());
  record.last_seen = record.first_seen + 1000;
  return record;
}

std::vector<Batch> traffic(std::size_t flows) {
  std::minstd_rand random(1);
  std::vector<std::uint32_t> order;
  for (std::size_t i = 0; i < flows * kDeltas; ++i) order.push_back(static_cast<std::uint32_t>(i % flows));
  std::shuffle(order.begin(), order.end(), random);
  std::vector<Batch> batches;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i % kBatch == 0) batches.emplace_back().records.reserve(kBatch);
    batches.back().records.push_back(delta(order[i], random));
  }
  return batches;
}

void report(const char* name, double seconds, std::size_t records) {
  std::printf("%-34s %7.2f M records/s %7.1f ns/record\n", name, static_cast<double>(records) / seconds / 1e6,
              seconds / static_cast<double>(records) * 1e9);
}

// The best of some rounds, each with a state of its own.
void measure(const char* name, std::size_t records, const std::function<double()>& round) {
  double best = 1e9;
  for (int i = 0; i < kRounds; ++i) best = std::min(best, round());
  report(name, best, records);
}

// The table with what it is looked up in kept from window to window, as flow_cache keeps it.
template <typename Map>
double with_map(const std::vector<Batch>& batches) {
  Map map;
  std::vector<FlowRecord> records;
  const double start = cpu_seconds();
  for (const auto& batch : batches) {
    for (const auto& record : batch) {
      const auto [place, fresh] = map.try_emplace(identity(record), static_cast<std::uint32_t>(records.size()));
      if (fresh) {
        records.push_back(record);
      } else {
        merge(records[place->second], record);
      }
    }
  }
  return cpu_seconds() - start;
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t flows = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 100'000;
  const auto batches = traffic(flows);
  const std::size_t records = flows * kDeltas;
  std::printf("%zu flows, %zu records of %zu bytes\n", flows, records, sizeof(FlowRecord));

  for (const bool cumulative : {false, true}) {
    flow_cache::Options options;
    options.cumulative = cumulative;
    options.max_memory = std::size_t{8} << 30;
    double emitting = 1e9;
    std::size_t memory = 0;
    std::size_t out = 0;
    measure(cumulative ? "flow_cache, merge (cumulative)" : "flow_cache, merge", records, [&] {
      flow_cache::FlowCache cache(options);
      Nowhere nowhere;
      double start = cpu_seconds();
      for (const auto& batch : batches) cache.add(batch, {}, nowhere);
      const double merging = cpu_seconds() - start;
      memory = cache.memory();
      Batch end;
      end.watermark = 10 * kSecond;
      start = cpu_seconds();
      cache.add(end, {}, nowhere);
      emitting = std::min(emitting, cpu_seconds() - start);
      out = nowhere.records;
      return merging;
    });
    report(cumulative ? "flow_cache, emit (cumulative)" : "flow_cache, emit", emitting, out);
    std::printf("%-34s %7.0f bytes per flow\n", "", static_cast<double>(memory) / static_cast<double>(flows));
  }
  measure("std::unordered_map + vector", records,
          [&] { return with_map<std::unordered_map<FlowKey, std::uint32_t, Hash>>(batches); });
#if __has_include(<tsl/robin_map.h>)
  measure("tsl::robin_map + vector", records,
          [&] { return with_map<tsl::robin_map<FlowKey, std::uint32_t, Hash>>(batches); });
#endif
  return 0;
}
