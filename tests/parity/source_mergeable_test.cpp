// SPDX-License-Identifier: MIT
// Over real captures: however often source pcap reads out, and in whatever order its records are merged, every flow has
// the same totals. (plugins/common/engine_records tests the same of the engine, with made packets.)
//
// Totals are all counters, extremes and flags. Outside the promise are "last" values (state, handshake, window): they
// are as of the direction's last record, so that what becomes known after it is missing if a read-out comes between.
// And they are those of the latest record that has them only where records are merged in the order of time: a record
// without a window, say, has no place for the time of the one it keeps.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <unordered_map>

#include "source_run.h"

namespace fffa::parity {
namespace {

struct KeyHash {
  std::size_t operator()(const FlowKey& key) const noexcept { return hash(key); }
};
using Flows = std::unordered_map<FlowKey, FlowRecord, KeyHash>;

Flows merged(const std::vector<FlowRecord>& records) {
  Flows flows;
  for (const auto& record : records) {
    const auto [at, made] = flows.try_emplace(identity(record), record);
    if (!made) merge(at->second, record);
  }
  return flows;
}

FlowKey other_direction(FlowKey key) {
  std::swap(key.flow.src, key.flow.dst);
  std::swap(key.flow.src_port, key.flow.dst_port);
  if (key.direction != Direction::unknown)
    key.direction = key.direction == Direction::ingress ? Direction::egress : Direction::ingress;
  return key;
}

bool is_total(const Field& field) {
  switch (field.merge) {
    case MergeRule::key:
    case MergeRule::add:
    case MergeRule::bit_or:
    case MergeRule::minimum:
    case MergeRule::maximum: return true;
    default: return false;
  }
}

// Sums are in whole microseconds, of each record its own: how far one may be off, and the mean that is made of it.
std::uint64_t rounding(const Field& field, const FlowRecord& whole) {
  if (field.name == "rtt_sum_us") return whole.rtt_samples;
  if (field.name == "jitter_sum_us") return whole.jitter_samples;
  return field.name == "avg_jitter_us" || field.name == "avg_rtt_us" ? 1 : 0;
}

// What the parts have, with what the whole capture has, read out once or nearly so.
class Comparison {
 public:
  Comparison(const Flows& parts, const Flows& whole, TimeNs interval, bool in_order)
      : parts_(parts), whole_(whole), interval_(interval), in_order_(in_order) {}

  void run() const {
    ASSERT_EQ(parts_.size(), whole_.size());
    for (const auto& [key, record] : parts_) {
      const auto same = whole_.find(key);
      ASSERT_NE(same, whole_.end());
      compare(record, same->second, told_late(key, same->second));
      if (::testing::Test::HasFailure()) {
        ADD_FAILURE() << "parts: " << show(record) << "\nwhole: " << show(same->second);
        return;
      }
    }
  }

 private:
  // There may have been a read-out between this direction's last packet and the other one's.
  bool told_late(const FlowKey& key, const FlowRecord& record) const {
    const auto other = whole_.find(other_direction(key));
    return other != whole_.end() && record.last_seen / interval_ < other->second.last_seen / interval_;
  }

  void compare(const FlowRecord& parts, const FlowRecord& whole, bool late) const {
    for (const Field& field : fields()) {
      if (const auto off = rounding(field, whole); off != 0) {
        expect_close(field, field.get(parts), field.get(whole), off);
      } else if (is_total(field) || (!late && in_order_)) {
        EXPECT_EQ(show(field.get(parts)), show(field.get(whole))) << field.name;
      }
    }
  }

  static void expect_close(const Field& field, const Value& parts, const Value& whole, std::uint64_t off) {
    ASSERT_EQ(parts.kind, whole.kind) << field.name;
    EXPECT_LE(parts.number, whole.number + off) << field.name;
    EXPECT_GE(parts.number + off, whole.number) << field.name;
  }

  const Flows& parts_;
  const Flows& whole_;
  TimeNs interval_;
  bool in_order_;
};

class SourceMergeable : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(SourceMergeable, AtAnyIntervalAndInAnyOrder) {
  using namespace std::chrono_literals;
  struct Interval {
    const char* text;
    std::chrono::nanoseconds length;
  };
  std::mt19937 random(1);
  const Flows whole = merged(run_source(GetParam(), "drain_interval: 1h").records);
  EXPECT_FALSE(whole.empty() && GetParam().stem() != "malformed_ip_header_len");
  for (const auto& [text, length] : {Interval{"1h", 1h}, {"1s", 1s}, {"77ms", 77ms}, {"10ms", 10ms}}) {
    SourceRun run = run_source(GetParam(), std::string("drain_interval: ") + text);
    for (int order = 0; order < 3; ++order) {
      SCOPED_TRACE(std::string("drain_interval ") + text + ", order " + std::to_string(order));
      const Flows parts = merged(run.records);
      Comparison(parts, whole, length.count(), order == 0).run();
      if (HasFailure()) return;
      std::shuffle(run.records.begin(), run.records.end(), random);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Corpus, SourceMergeable, ::testing::ValuesIn(captures()),
                         [](const auto& i) { return test_name(i.param); });

}  // namespace
}  // namespace fffa::parity
