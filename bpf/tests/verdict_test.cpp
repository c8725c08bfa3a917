// SPDX-License-Identifier: MIT
// Verdicts beside a flow, in user space: counting, and what a read-out makes of them while they are counted.
#include <fffa_bpf/host_table.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace fffa::bpf_test {
namespace {

fffa_refusal refusal(std::uint64_t now, std::uint32_t hook = FFFA_FORWARD, bool answered = false) {
  fffa_refusal r{};
  r.now_ns = now;
  r.packets = 2;
  r.bytes = 100;
  r.hook = hook;
  r.flags = 0x02;
  r.answered = answered;
  return r;
}

fffa_verdict_side take(fffa_verdict_side& v, std::uint64_t now = 1000) {
  fffa_verdict_side taken{};
  fffa_take_verdict_side(&v, &taken, now);
  return taken;
}

TEST(Verdict, is_that_of_the_last_packet) {
  fffa_verdict_side v{};
  const auto drop = refusal(5);
  fffa_count_refusal(&v, &drop);
  EXPECT_EQ(v.last, FFFA_DROP | FFFA_FORWARD << 8);
  fffa_count_accept(&v, 3, FFFA_LOCAL_IN);
  EXPECT_EQ(v.last, FFFA_ACCEPT | FFFA_LOCAL_IN << 8);
  EXPECT_EQ(v.accepts, 3u);
  EXPECT_EQ(v.drops, 2u);
}

TEST(Verdict, one_answer_makes_rejects_of_what_follows_at_that_hook_alone) {
  fffa_verdict_side v{};
  const std::array all = {refusal(1), refusal(2, FFFA_FORWARD, true), refusal(3), refusal(4, FFFA_LOCAL_IN)};
  for (const auto& one : all) fffa_count_refusal(&v, &one);
  EXPECT_EQ(v.drops, 4u);
  EXPECT_EQ(v.rejects, 4u);
  take(v);
  const auto later = refusal(5);
  fffa_count_refusal(&v, &later);
  EXPECT_EQ(v.rejects, 2u) << "remembered across read-outs";
}

TEST(Verdict, a_read_out_moves_the_counts_and_keeps_what_is_remembered) {
  fffa_verdict_side v{};
  const std::array all = {refusal(10), refusal(30)};
  for (const auto& one : all) fffa_count_refusal(&v, &one);
  fffa_count_accept(&v, 1, FFFA_FORWARD);
  fffa_count_freed(&v, 4, 77);
  v.queues = 5;
  v.came_in = 6;
  const auto taken = take(v);
  EXPECT_EQ(taken.accepts, 1u);
  EXPECT_EQ(taken.drops, 4u);
  EXPECT_EQ(taken.queues, 5u);
  EXPECT_EQ(taken.freed, 4u);
  EXPECT_EQ(taken.freed_reason, 77u);
  EXPECT_EQ(taken.refused_bytes, 200u);
  EXPECT_EQ(taken.refused_first_ns, 10u);
  EXPECT_EQ(taken.refused_last_ns, 30u);
  EXPECT_EQ(taken.refused_flags, 0x02);
  EXPECT_EQ(taken.came_in, 6u);
  EXPECT_FALSE(fffa_has_counts(&v));
  const auto nothing = take(v);
  EXPECT_EQ(nothing.drops + nothing.accepts + nothing.queues + nothing.freed, 0u);
  EXPECT_EQ(nothing.refused_first_ns, 0u);
  EXPECT_EQ(nothing.refused_flags, 0);
  EXPECT_EQ(nothing.came_in, 6u);
  EXPECT_EQ(nothing.last, FFFA_ACCEPT | FFFA_FORWARD << 8);
}

// As where a read-out came between a refusal's times and its counts, or between two that came by different processors.
TEST(Verdict, refused_packets_always_have_times_and_in_order) {
  fffa_verdict_side v{};
  v.drops = 1;
  auto taken = take(v, 500);
  EXPECT_EQ(taken.refused_first_ns, 500u);
  EXPECT_EQ(taken.refused_last_ns, 500u);
  v.rejects = 1;
  v.refused_last_ns = 400;
  taken = take(v, 500);
  EXPECT_EQ(taken.refused_first_ns, 400u);
  v.refused_bytes = 60;
  v.refused_first_ns = 401;
  v.refused_last_ns = 400;
  EXPECT_TRUE(fffa_has_counts(&v));
  taken = take(v, 500);
  EXPECT_EQ(taken.refused_first_ns, 400u);
  EXPECT_EQ(taken.refused_last_ns, 400u);
}

// One flow in a table, with its verdicts.
class DrainVerdicts : public ::testing::Test {
 protected:
  DrainVerdicts() {
    table_.flows = flows_.data();
    table_.buckets = buckets_.data();
    table_.entries = kEntries;
    table_.bucket_mask = static_cast<std::uint32_t>(buckets_.size()) - 1;
    key_.remote_addr.v4 = 1;
    key_.family = 4;
    key_.proto = 17;
    EXPECT_EQ(fffa_table_insert(&table_, &key_, FFFA_EGRESS), 0);
  }
  // Of packets and verdicts both.
  int drain(std::uint64_t now) {
    const fffa_drain_request request{0, idle_, ~0ull, 0, 0, 0, 0};
    return fffa_drain_flow(&table_, 0, &flows_[0], nullptr, &verdicts_, &request, now, &record_);
  }
  void count(int direction, std::uint64_t now) {
    fffa_packet p{};
    p.key = key_;
    p.time_ns = now;
    p.packets = 1;
    p.bytes = 10;
    ASSERT_TRUE(fffa_lock(&flows_[0].lock));
    fffa_track(&flows_[0], &p, direction);
    fffa_unlock(&flows_[0].lock);
  }

  static constexpr std::uint32_t kEntries = 8;
  std::vector<fffa_flow> flows_{kEntries};
  std::vector<fffa_bucket> buckets_{fffa_bucket_count(kEntries)};
  fffa_table table_{};
  fffa_flow_key key_{};
  fffa_verdicts verdicts_{};
  fffa_drain_record record_{};
  std::uint64_t idle_ = ~0ull;
};

TEST_F(DrainVerdicts, make_a_record_of_a_flow_without_packets_which_then_may_go) {
  idle_ = 0;
  const auto drop = refusal(900, FFFA_LOCAL_OUT);
  fffa_count_refusal(&verdicts_.side[FFFA_EGRESS], &drop);
  EXPECT_EQ(drain(1000), FFFA_DRAINED_RECORD | FFFA_DRAINED_IN_USE);
  EXPECT_EQ(record_.flags, FFFA_RECORD_VERDICTS);
  EXPECT_EQ(record_.verdicts.side[FFFA_EGRESS].drops, 2u);
  EXPECT_EQ(record_.last_ns[FFFA_EGRESS], 1000u);
  EXPECT_EQ(drain(1001), FFFA_DRAINED_IN_USE) << "another verdict may be on its way";
  EXPECT_EQ(drain(1002), FFFA_DRAINED_DELETED);
}

TEST_F(DrainVerdicts, of_packets_that_are_not_counted_yet_are_of_now) {
  count(FFFA_INGRESS, 100);
  count(FFFA_EGRESS, 101);
  drain(200);
  fffa_count_accept(&verdicts_.side[FFFA_EGRESS], 1, FFFA_LOCAL_OUT);
  count(FFFA_INGRESS, 4990);
  fffa_count_accept(&verdicts_.side[FFFA_INGRESS], 1, FFFA_LOCAL_IN);
  EXPECT_EQ(drain(5000), FFFA_DRAINED_RECORD | FFFA_DRAINED_IN_USE);
  EXPECT_EQ(record_.last_ns[FFFA_EGRESS], 5000u) << "not of the packet that the last record told of";
  EXPECT_EQ(record_.last_ns[FFFA_INGRESS], 4990u);
}

TEST_F(DrainVerdicts, none_is_no_record) {
  EXPECT_EQ(drain(1000), FFFA_DRAINED_IN_USE);
  count(FFFA_INGRESS, 100);
  drain(1000);
  EXPECT_EQ(record_.flags & FFFA_RECORD_VERDICTS, 0);
}

TEST_F(DrainVerdicts, lose_nothing_to_a_reader_that_comes_between) {
  constexpr std::uint32_t kRefusals = 500000;
  constexpr std::uint64_t kFirst = 1000;
  auto& v = verdicts_.side[FFFA_INGRESS];
  std::atomic<int> running = 2;
  const auto refuse = [&] {
    for (std::uint32_t i = 0; i < kRefusals; ++i) {
      const auto one = refusal(kFirst + i);
      fffa_count_refusal(&v, &one);
    }
    --running;
  };
  std::thread one(refuse), other(refuse);
  std::uint64_t packets = 0, bytes = 0;
  for (bool last = false;; last = running == 0) {
    if (drain(kFirst + kRefusals) & FFFA_DRAINED_RECORD) {
      const auto& taken = record_.verdicts.side[FFFA_INGRESS];
      packets += taken.drops;
      bytes += taken.refused_bytes;
      EXPECT_GE(taken.refused_first_ns, kFirst);
      EXPECT_GE(taken.refused_last_ns, taken.refused_first_ns);
    }
    if (last) break;
  }
  one.join();
  other.join();
  EXPECT_EQ(packets, 2u * 2 * kRefusals);
  EXPECT_EQ(bytes, 2u * 100 * kRefusals);
}

// A flow may be read out between being made for a verdict and getting it.
TEST(Verdict, finds_the_entry_that_was_made_for_it) {
  fffa_flow flow{};
  fffa_verdicts verdicts{};
  flow.key.family = 4;
  EXPECT_TRUE(fffa_awaits_verdict(&flow, &verdicts));
  EXPECT_FALSE(fffa_awaits_verdict(&flow, &verdicts)) << "it had its time";
  fffa_count_accept(&verdicts.side[FFFA_EGRESS], 1, FFFA_LOCAL_OUT);
  fffa_verdicts taken{};
  fffa_take_verdicts(&verdicts, &taken, 1000);
  EXPECT_TRUE(fffa_awaits_verdict(&flow, &verdicts)) << "and has it again after each verdict";
  flow.half[FFFA_INGRESS].last_ns = 1;
  EXPECT_FALSE(fffa_awaits_verdict(&flow, &verdicts)) << "one with packets is told by its silence";
  EXPECT_FALSE(fffa_awaits_verdict(&flow, nullptr));
}

TEST(Verdict, has_no_translation_that_is_half_written) {
  fffa_verdicts verdicts{};
  fffa_verdicts taken{};
  verdicts.translation[FFFA_EGRESS].state = FFFA_TRANSLATION_HELD;
  verdicts.translation[FFFA_INGRESS].state = FFFA_TRANSLATED;
  fffa_take_verdicts(&verdicts, &taken, 1000);
  EXPECT_EQ(taken.translation[FFFA_EGRESS].state, static_cast<std::uint32_t>(FFFA_NOT_TRANSLATED));
  EXPECT_EQ(taken.translation[FFFA_INGRESS].state, static_cast<std::uint32_t>(FFFA_TRANSLATED));
}

}  // namespace
}  // namespace fffa::bpf_test
