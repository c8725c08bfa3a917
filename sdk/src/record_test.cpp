// SPDX-License-Identifier: MIT
#include "fffa/record.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <unordered_set>

#include "fffa/fields.h"

namespace {

using namespace fffa;

constexpr std::uint32_t kEveryBit = (1u << 13) - 1;

// Which optional values a random record has.
enum class Optional { some, all };

// Random records of one identity. Padding is zero, so that whole records compare as bytes.
class Records {
 public:
  explicit Records(unsigned seed) : random_(seed) {}

  FlowRecord next(TimeNs earliest, TimeNs latest, Optional optional = Optional::some) {
    FlowRecord r;
    std::memset(static_cast<void*>(&r), 0, sizeof r);
    r.flow.family = 4;
    r.flow.protocol = 6;
    r.flow.dst_port = 443;
    r.flow.src = {10, 0, 0, 1};
    r.host = static_cast<Text>(1);
    r.present = optional == Optional::all ? kEveryBit : number(kEveryBit);
    all_ = optional == Optional::all;
    r.first_seen = earliest + static_cast<TimeNs>(number(static_cast<std::uint32_t>(latest - earliest)));
    r.last_seen = r.first_seen + static_cast<TimeNs>(number(static_cast<std::uint32_t>(latest - r.first_seen)));
    counters(r);
    if (r.has(Has::tcp)) tcp(r);
    netfilter(r);
    place(r);
    return r;
  }

 private:
  // 0 to most.
  std::uint32_t number(std::uint32_t most = 1000) {
    return std::uniform_int_distribution<std::uint32_t>(0, most)(random_);
  }
  Text text() { return static_cast<Text>(all_ ? 1 + number(20) : number(5)); }

  void counters(FlowRecord& r) {
    for (auto* counter : {&r.packets, &r.bytes, &r.outer_bytes, &r.new_packets, &r.new_bytes, &r.sequence})
      *counter = number();
    r.emitted = number();
    r.run_id = text();
    r.flow_end_reason = static_cast<FlowEndReason>(number(5));
    r.incomplete = number(1) != 0;
    r.initiator = number(1) != 0;
    if (r.has(Has::drops)) r.drops = 1 + number(), r.drop_reason = text();
  }
  void tcp(FlowRecord& r) {
    for (auto* counter :
         {&r.fast_retransmits, &r.timeout_retransmits, &r.spurious_retransmissions, &r.out_of_order_pkts,
          &r.duplicate_acks, &r.zero_windows, &r.ecn_ce_packets, &r.tcp_ece_packets, &r.tcp_cwr_packets}) {
      *counter = number();
    }
    r.tcp_flags = static_cast<std::uint8_t>(number(255));
    r.vpc_tcp_flags = static_cast<std::uint8_t>(number(31));
    r.ecn_flags = static_cast<std::uint8_t>(number(3));
    r.conn_state = static_cast<ConnState>(all_ ? 1 + number(12) : number(13));
    if (r.has(Has::handshake)) r.handshake_latency_us = number();
    if (r.has(Has::window)) {
      r.min_window_size = number(50);
      r.max_window_size = r.min_window_size + number();
      r.last_window_size = r.min_window_size + number(10);
    }
    if (r.has(Has::window_scale)) r.window_scale = static_cast<std::uint8_t>(number(14));
    if ((r.rtt_samples = number(2)) != 0) {
      r.min_rtt_us = number();
      r.max_rtt_us = r.min_rtt_us + number();
      r.rtt_sum_us = r.rtt_samples * r.min_rtt_us;
    }
    if ((r.jitter_samples = number(2)) != 0) r.jitter_sum_us = number(), r.max_jitter_us = number();
  }
  void netfilter(FlowRecord& r) {
    if (r.has(Has::netfilter)) {
      r.netfilter_verdict = static_cast<Verdict>(1 + number(3));
      r.netfilter_hook = static_cast<NetfilterHook>(1 + number(4));
      r.netfilter_priority = static_cast<std::int32_t>(number()) - 500;
      for (auto* counter : {&r.netfilter_accepts, &r.netfilter_drops, &r.netfilter_rejects, &r.netfilter_queues})
        *counter = number();
    }
    if (r.has(Has::refused)) {
      r.refused_packets = number();
      r.refused_bytes = number();
      r.refused_vpc_tcp_flags = static_cast<std::uint8_t>(number(7));
      r.refused_first_seen = r.first_seen;
      r.refused_last_seen = r.last_seen;
    }
    if (r.has(Has::rule)) {
      r.netfilter_rule_num = 1 + number(9);
      // never null: a rule is taken whole, see ARuleIsTakenWhole
      for (auto* name : {&r.netfilter_table, &r.netfilter_chain, &r.netfilter_target, &r.netfilter_match_info})
        *name = static_cast<Text>(1 + number(20));
    }
    if (r.has(Has::nat)) r.nat = r.flow, r.nat.src_port = static_cast<std::uint16_t>(number());
  }
  void place(FlowRecord& r) {
    r.ifindex = 1 + number(3);
    if (r.has(Has::vlan)) r.vlan_id = static_cast<std::uint16_t>(number(4094));
    for (auto* name : {&r.aws.account, &r.aws.vpc, &r.aws.subnet, &r.aws.instance, &r.aws.az, &r.aws.az_id,
                       &r.aws.region, &r.aws.eni}) {
      *name = text();
    }
    r.encapsulation =
        Encapsulation::geneve;  // part of the identity: all of a flow's records have the outer tuple, or none
    r.outer = r.flow;
    r.outer.src_port = static_cast<std::uint16_t>(number());
    if (r.has(Has::gwlb_endpoint)) r.gwlb_endpoint_id = number();
    if (r.has(Has::gwlb_attachment)) r.gwlb_attachment_id = number();
    if (r.has(Has::gwlb_cookie)) r.gwlb_flow_cookie = number();
    const std::uint32_t labels = all_ ? 3 : number(3);
    for (std::uint32_t i = 0; i < labels; ++i) r.set_label(static_cast<Text>(all_ ? 7 + i : 7 + number(3)), text());
  }

  std::mt19937 random_;
  bool all_ = false;
};

FlowRecord merged(FlowRecord a, const FlowRecord& b) {
  merge(a, b);
  return a;
}

// Labels in order of their names: where both orders of merging are compared, their order may differ.
FlowRecord sorted(FlowRecord r) {
  const auto count = std::min<std::ptrdiff_t>(r.label_count, std::ssize(r.labels));  // as GCC's -Warray-bounds wants it
  std::sort(r.labels.begin(), r.labels.begin() + count, [](const Label& a, const Label& b) { return a.name < b.name; });
  return r;
}

::testing::AssertionResult same(const FlowRecord& a, const FlowRecord& b) {
  const auto* x = reinterpret_cast<const unsigned char*>(&a);
  const auto* y = reinterpret_cast<const unsigned char*>(&b);
  for (std::size_t i = 0; i < sizeof a; ++i) {
    if (x[i] != y[i]) return ::testing::AssertionFailure() << "differ at offset " << i;
  }
  return ::testing::AssertionSuccess();
}

TEST(Merge, IsAssociativeInTimeOrder) {
  Records records(1);
  for (int i = 0; i < 20'000; ++i) {
    const auto a = records.next(1000, 1100), b = records.next(1100, 1200), c = records.next(1200, 1300);
    ASSERT_TRUE(same(merged(merged(a, b), c), merged(a, merged(b, c)))) << i;
  }
}

// Out of order, a "last" value that some records lack may come from another one than in order: it needs a time of its
// own to be exact.
TEST(Merge, IsAssociativeInAnyOrderWhereNothingIsMissing) {
  Records records(2);
  for (int i = 0; i < 20'000; ++i) {
    const auto a = records.next(1000, 1010, Optional::all), b = records.next(1000, 1010, Optional::all),
               c = records.next(1000, 1010, Optional::all);
    ASSERT_TRUE(same(merged(merged(a, b), c), merged(a, merged(b, c)))) << i;
  }
}

TEST(Merge, IsCommutativeButForEqualTimes) {
  Records records(3);
  for (int i = 0; i < 20'000; ++i) {
    const auto a = records.next(1000, 1100), b = records.next(1101, 1200);
    ASSERT_TRUE(same(sorted(merged(a, b)), sorted(merged(b, a)))) << i;
  }
}

TEST(Merge, TheEmptyRecordChangesNothing) {
  Records records(4);
  FlowRecord empty;
  std::memset(static_cast<void*>(&empty), 0, sizeof empty);
  empty.direction = Direction::unknown;
  for (int i = 0; i < 1000; ++i) {
    const auto a = records.next(1000, 1100);
    EXPECT_TRUE(same(merged(empty, a), a));
    EXPECT_TRUE(same(merged(a, empty), a));
  }
}

TEST(Merge, RefusedPacketsAloneAreKept) {
  FlowRecord counted, refused;
  counted.flow.family = refused.flow.family = 4;
  counted.packets = 2, counted.first_seen = 100, counted.last_seen = 200;
  refused.set(Has::refused);
  refused.refused_packets = 3, refused.refused_first_seen = 50, refused.refused_last_seen = 300;
  for (const auto& both : {merged(counted, refused), merged(refused, counted)}) {
    EXPECT_EQ(both.packets, 2u);
    EXPECT_EQ(both.refused_packets, 3u);
    EXPECT_EQ(both.first_seen, 100);
    EXPECT_EQ(both.last_seen, 200);
    EXPECT_EQ(both.refused_first_seen, 50);
  }
}

TEST(Merge, ExtremesIgnoreWhatWasNotObserved) {
  FlowRecord without, with;
  without.flow.family = with.flow.family = 4;
  without.first_seen = without.last_seen = 300;
  with.first_seen = with.last_seen = 100;
  with.set(Has::window);
  with.min_window_size = 0, with.max_window_size = 500, with.last_window_size = 70;
  with.rtt_samples = 1, with.min_rtt_us = with.max_rtt_us = 900;
  for (const auto& both : {merged(with, without), merged(without, with)}) {
    EXPECT_EQ(both.min_window_size, 0u);
    EXPECT_EQ(both.max_window_size, 500u);
    EXPECT_EQ(both.last_window_size, 70u);
    EXPECT_EQ(both.min_rtt_us, 900u);
    EXPECT_TRUE(both.has(Has::window));
  }
}

TEST(Merge, ARuleIsTakenWhole) {
  FlowRecord early, late;
  early.flow.family = late.flow.family = 4;
  early.first_seen = early.last_seen = 100;
  late.first_seen = late.last_seen = 200;
  early.set(Has::rule);
  early.netfilter_rule_num = 4;
  early.netfilter_table = early.netfilter_chain = early.netfilter_match_info = static_cast<Text>(9);
  late.netfilter_table = late.netfilter_target = static_cast<Text>(5);  // a chain policy: no number, no match
  for (const auto& both : {merged(early, late), merged(late, early)}) {
    EXPECT_EQ(both.netfilter_table, static_cast<Text>(5));
    EXPECT_EQ(both.netfilter_match_info, Text::null);
    EXPECT_FALSE(both.has(Has::rule));
  }
}

// What the field table says of a field's merge is what merge() does, whatever is missing in either record.
TEST(Merge, EveryFieldFollowsTheTable) {
  const auto shown = [](const Value& v) {
    const std::string address = v.address ? std::string(v.address->begin(), v.address->end()) : "";
    return std::tuple(v.kind, v.number, v.name, v.handle, address);
  };
  Records records(5);
  std::set<std::string_view> checked;
  for (int i = 0; i < 2000; ++i) {
    const auto early = records.next(1000, 1100), late = records.next(1101, 1200), both = merged(early, late);
    for (const auto& field : fields()) {
      const auto a = field.get(early), b = field.get(late), m = field.get(both);
      const bool has_a = a.kind != Value::Kind::null, has_b = b.kind != Value::Kind::null;
      if (field.merge == MergeRule::derived || field.merge == MergeRule::constant) continue;
      checked.insert(field.name);
      const auto number = [&](std::uint64_t x, std::uint64_t y) {
        if (field.merge == MergeRule::add) return x + y;
        if (field.merge == MergeRule::bit_or) return x | y;
        return field.merge == MergeRule::minimum ? std::min(x, y) : std::max(x, y);
      };
      const bool goes_on = field.name == "flow_end_reason" && !has_b;  // none is not unknown: the flow goes on
      const bool last = field.merge == MergeRule::last,
                 first = field.merge == MergeRule::first || field.merge == MergeRule::key;
      if (goes_on)
        ASSERT_EQ(m.kind, Value::Kind::null);
      else if (!has_b || (has_a && first))
        ASSERT_EQ(shown(m), shown(a)) << field.name;
      else if (!has_a || last)
        ASSERT_EQ(shown(m), shown(b)) << field.name;
      else if (a.kind == Value::Kind::name)
        continue;  // flags as text: their bits are compared below
      else
        ASSERT_EQ(m.number, number(a.number, b.number)) << field.name;
    }
    ASSERT_EQ(both.tcp_flags, early.tcp_flags | late.tcp_flags);
  }
  EXPECT_GT(checked.size(), 60u);
}

TEST(Labels, ReplaceAppendAndCountTheExcess) {
  FlowRecord r;
  for (std::uint32_t i = 1; i <= kMaxLabels; ++i) r.set_label(static_cast<Text>(i), static_cast<Text>(100 + i));
  r.set_label(static_cast<Text>(3), static_cast<Text>(999));
  EXPECT_EQ(r.label_count, kMaxLabels);
  EXPECT_EQ(r.labels[2].value, static_cast<Text>(999));
  EXPECT_EQ(r.labels_lost, 0u);
  r.set_label(static_cast<Text>(50), static_cast<Text>(1));
  EXPECT_EQ(r.label_count, kMaxLabels);
  EXPECT_EQ(r.labels_lost, 1u);
}

FlowKey some_key(std::uint32_t number) {
  FlowKey key;
  key.flow.family = 4;
  key.flow.protocol = 6;
  key.flow.src = {10, 0, static_cast<std::uint8_t>(number >> 16), static_cast<std::uint8_t>(number >> 8)};
  key.flow.dst = {10, 1, 0, 1};
  key.flow.src_port = static_cast<std::uint16_t>(number);
  key.flow.dst_port = 443;
  return key;
}

TEST(Hash, EveryFieldOfTheKeyCounts) {
  const FlowKey base = some_key(1);
  std::set<std::uint64_t> hashes{hash(base)};
  std::size_t variants = 1;
  const auto vary = [&](auto change) {
    FlowKey key = base;
    change(key);
    EXPECT_FALSE(key == base);
    hashes.insert(hash(key));
    EXPECT_EQ(hashes.size(), ++variants);
  };
  for (std::size_t i = 0; i < 16; ++i) {
    vary([i](FlowKey& k) { k.flow.src[i] ^= 0x40; });
    vary([i](FlowKey& k) { k.flow.dst[i] ^= 0x40; });
  }
  vary([](FlowKey& k) { ++k.flow.src_port; });
  vary([](FlowKey& k) { ++k.flow.dst_port; });
  vary([](FlowKey& k) { ++k.flow.protocol; });
  vary([](FlowKey& k) { k.flow.family = 6; });
  vary([](FlowKey& k) { k.host = static_cast<Text>(5); });
  vary([](FlowKey& k) { k.interface = static_cast<Text>(5); });
  vary([](FlowKey& k) { k.vni = 5; });
  vary([](FlowKey& k) { k.encapsulation = Encapsulation::geneve; });
  vary([](FlowKey& k) { k.direction = Direction::egress; });
  vary([](FlowKey& k) { std::swap(k.flow.src, k.flow.dst); });
}

// Tables mask a hash: low and high bits alone must spread keys that differ little. Expected fill of n bins by n
// balls: 63.2 %.
TEST(Hash, LowAndHighBitsSpread) {
  constexpr std::uint32_t bins = 1u << 14;
  for (const int shift : {0, 50}) {
    std::unordered_set<std::uint64_t> filled;
    for (std::uint32_t i = 0; i < bins; ++i) filled.insert((hash(some_key(i)) >> shift) & (bins - 1));
    EXPECT_NEAR(static_cast<double>(filled.size()) / bins, 0.632, 0.02) << shift;
  }
}

// Flipping one bit of the key flips about half of the hash.
TEST(Hash, Avalanches) {
  double flipped = 0;
  constexpr int rounds = 2000;
  for (std::uint32_t i = 0; i < rounds; ++i) {
    FlowKey key = some_key(i);
    const std::uint64_t before = hash(key);
    key.flow.src[i % 16] ^= static_cast<std::uint8_t>(1u << (i % 8));
    flipped += std::popcount(before ^ hash(key));
  }
  EXPECT_NEAR(flipped / rounds, 32, 1);
}

TEST(Identity, HoldsTheKeyFields) {
  FlowRecord a, b;
  a.flow.family = b.flow.family = 6;
  b.packets = 5, b.ifindex = 7, b.run_id = static_cast<Text>(3);
  EXPECT_EQ(identity(a), identity(b));
  b.direction = Direction::egress;
  EXPECT_FALSE(identity(a) == identity(b));
}

}  // namespace
