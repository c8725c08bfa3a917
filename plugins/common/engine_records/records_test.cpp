// SPDX-License-Identifier: MIT
#include "fffa_engine/records.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>

namespace fffa::engine {
namespace {

constexpr std::uint16_t kBoth = FFFA_SEEN_SYN | FFFA_SEEN_INITIATOR;

struct StateCase {
  const char* name;
  std::uint16_t opener, answerer;
  ConnState state;
};
const StateCase kStates[] = {
    {"attempt", kBoth, 0, ConnState::S0},
    {"established", kBoth, FFFA_SEEN_SYN_ACK, ConnState::S1},
    {"closed by both", kBoth | FFFA_SEEN_FIN, FFFA_SEEN_SYN_ACK | FFFA_SEEN_FIN, ConnState::SF},
    {"refused", kBoth, FFFA_SEEN_RST, ConnState::REJ},
    {"closed by the opener only", kBoth | FFFA_SEEN_FIN, FFFA_SEEN_SYN_ACK, ConnState::S2},
    {"closed by the answerer only", kBoth, FFFA_SEEN_SYN_ACK | FFFA_SEEN_FIN, ConnState::S3},
    {"aborted by the opener", kBoth | FFFA_SEEN_RST, FFFA_SEEN_SYN_ACK, ConnState::RSTO},
    {"aborted by the answerer", kBoth, FFFA_SEEN_SYN_ACK | FFFA_SEEN_RST, ConnState::RSTR},
    {"SYN, then RST from the opener", kBoth | FFFA_SEEN_RST, 0, ConnState::RSTOS0},
    {"SYN ACK, then RST, no SYN seen", FFFA_SEEN_INITIATOR, FFFA_SEEN_SYN_ACK | FFFA_SEEN_RST, ConnState::RSTRH},
    {"SYN, then FIN, no answer", kBoth | FFFA_SEEN_FIN, 0, ConnState::SH},
    {"SYN ACK, then FIN, no SYN seen", FFFA_SEEN_INITIATOR, FFFA_SEEN_SYN_ACK | FFFA_SEEN_FIN, ConnState::SHR},
    {"from its middle on", FFFA_SEEN_INITIATOR | FFFA_SEEN_DATA, FFFA_SEEN_FIN, ConnState::OTH},
};

TEST(ConnectionState, AsZeekCallsIt) {
  for (const auto& c : kStates) {
    const std::uint16_t opened_here[2] = {c.answerer, c.opener};
    const std::uint16_t opened_there[2] = {c.opener, c.answerer};
    EXPECT_EQ(connection_state(opened_here), c.state) << c.name << ", opened here";
    EXPECT_EQ(connection_state(opened_there), c.state) << c.name << ", opened there";
  }
}

class AppendRecords : public ::testing::Test {
 protected:
  AppendRecords() {
    entry_.key.family = 4;
    entry_.key.proto = IPPROTO_TCP;
    entry_.key.ifindex = 3;
    const std::uint8_t remote[] = {192, 0, 2, 1};
    const std::uint8_t local[] = {10, 0, 0, 1};
    std::memcpy(entry_.key.remote_addr.bytes, remote, 4);
    std::memcpy(entry_.key.local_addr.bytes, local, 4);
    entry_.key.remote_port = 443;
    entry_.key.local_port = 50000;
    entry_.window_scale[0] = entry_.window_scale[1] = FFFA_NO_SCALE;
  }
  void count(int side, std::uint64_t packets, std::uint64_t first, std::uint64_t last) {
    entry_.slot[side].packets = packets;
    entry_.slot[side].bytes = packets * 100;
    entry_.slot[side].first_ns = first;
    entry_.last_ns[side] = last;
  }
  std::vector<FlowRecord> records() {
    std::vector<FlowRecord> out;
    append_records(entry_, {Text{1}, Text{2}, 3, direction_}, 1000, out);
    return out;
  }
  fffa_drain_record entry_{};
  std::optional<Direction> direction_;
};

TEST_F(AppendRecords, NothingForASilentDirection) {
  EXPECT_TRUE(records().empty());
  count(FFFA_EGRESS, 1, 5, 5);
  ASSERT_EQ(records().size(), 1u);
  EXPECT_EQ(records()[0].direction, Direction::egress);
}

TEST_F(AppendRecords, RoundTripsWithoutPacketsHaveTheTimeOfTheLastOne) {
  count(FFFA_INGRESS, 1, 50, 60);
  count(FFFA_EGRESS, 0, 0, 40);
  entry_.slot[FFFA_EGRESS].rtt_samples = 2;
  entry_.slot[FFFA_EGRESS].rtt_sum_ns = 7'000;
  const auto all = records();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].direction, Direction::egress);
  EXPECT_EQ(all[1].packets, 0u);
  EXPECT_EQ(all[1].rtt_samples, 2u);
  EXPECT_EQ(all[1].rtt_sum_us, 7u);
  EXPECT_EQ(all[1].first_seen, 1040);
  EXPECT_EQ(all[1].last_seen, 1040);
}

TEST_F(AppendRecords, RemoteIsTheSourceAtIngressAndTheDestinationAtEgress) {
  count(FFFA_INGRESS, 2, 5, 9);
  count(FFFA_EGRESS, 3, 6, 8);
  const auto both = records();
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0].direction, Direction::ingress);
  EXPECT_EQ(both[0].flow.src[0], 192);
  EXPECT_EQ(both[0].flow.src_port, 443);
  EXPECT_EQ(both[0].flow.dst_port, 50000);
  EXPECT_EQ(both[1].flow.src[0], 10);
  EXPECT_EQ(both[1].flow.src_port, 50000);
  EXPECT_EQ(both[0].packets, 2u);
  EXPECT_EQ(both[1].bytes, 300u);
  EXPECT_EQ(both[0].first_seen, 1005);
  EXPECT_EQ(both[0].last_seen, 1009);
  EXPECT_EQ(both[0].host, Text{1});
  EXPECT_EQ(both[0].interface, Text{2});
  EXPECT_EQ(both[0].ifindex, 3u);
}

TEST_F(AppendRecords, WithoutDirectionTheTupleIsRightAllTheSame) {
  count(FFFA_INGRESS, 2, 5, 9);
  count(FFFA_EGRESS, 3, 6, 8);
  const auto known = records();
  direction_ = Direction::unknown;
  const auto unknown = records();
  ASSERT_EQ(unknown.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(unknown[i].direction, Direction::unknown);
    EXPECT_EQ(unknown[i].flow, known[i].flow);
  }
}

TEST(ReasonName, EveryReasonHasOne) {
  EXPECT_EQ(reason_name(FFFA_OK), "");
  for (std::size_t reason = 1; reason < FFFA_REASONS; ++reason) EXPECT_NE(reason_name(reason), "") << reason;
  EXPECT_EQ(reason_name(FFFA_REASONS), "");
}

TEST_F(AppendRecords, TcpFieldsAndWhichAreThere) {
  count(FFFA_INGRESS, 2, 5, 9);
  auto& slot = entry_.slot[FFFA_INGRESS];
  slot.flags = 0x12 | FFFA_SLOT_SYN_ACK;
  EXPECT_TRUE(records()[0].has(Has::tcp));
  EXPECT_FALSE(records()[0].has(Has::handshake));
  EXPECT_FALSE(records()[0].has(Has::window));
  EXPECT_FALSE(records()[0].has(Has::window_scale));
  EXPECT_EQ(records()[0].tcp_flags, 0x12);
  EXPECT_EQ(records()[0].vpc_tcp_flags, 0x12);
  slot.flags = 0x12;  // SYN and ACK, but never in one packet
  EXPECT_EQ(records()[0].vpc_tcp_flags, 0x02);

  entry_.handshake_us = 77;
  entry_.window_scale[FFFA_INGRESS] = 7;
  slot.flags |= FFFA_SLOT_WINDOW;
  slot.window_min = 1;
  slot.window_max = 3;
  slot.window_last = 2;
  slot.rtt_min = 16000 >> FFFA_RTT_SHIFT;
  slot.rtt_sum_ns = 16000;
  slot.rtt_samples = 1;
  const FlowRecord record = records()[0];
  EXPECT_EQ(record.handshake_latency_us, 77u);
  EXPECT_EQ(record.window_scale, 7);
  EXPECT_EQ(record.min_window_size, 1u);
  EXPECT_EQ(record.max_window_size, 3u);
  EXPECT_EQ(record.last_window_size, 2u);
  EXPECT_EQ(record.min_rtt_us, 16u);
  EXPECT_EQ(record.rtt_sum_us, 16u);

  entry_.key.proto = IPPROTO_UDP;
  EXPECT_FALSE(records()[0].has(Has::tcp));
}

TEST_F(AppendRecords, TunnelFields) {
  count(FFFA_INGRESS, 1, 5, 5);
  entry_.key.encap = FFFA_ENCAP_GENEVE;
  entry_.key.vni = 42;
  auto& side = entry_.tunnel.side[FFFA_INGRESS];
  side.bytes = 150;
  side.outer.family = 4;
  side.outer.dst_port = 6081;
  side.outer.gwlb = FFFA_GWLB_COOKIE;
  side.outer.gwlb_cookie = 9;
  const FlowRecord record = records()[0];
  EXPECT_EQ(record.encapsulation, Encapsulation::geneve);
  EXPECT_EQ(record.vni, 42u);
  EXPECT_EQ(record.outer_bytes, 150u);
  EXPECT_EQ(record.outer.dst_port, 6081);
  EXPECT_EQ(record.outer.protocol, IPPROTO_UDP);
  EXPECT_TRUE(record.has(Has::gwlb_cookie));
  EXPECT_FALSE(record.has(Has::gwlb_endpoint));
}

class Verdicts : public AppendRecords {
 protected:
  Verdicts() { entry_.flags = FFFA_RECORD_VERDICTS; }
  fffa_verdict_side& side(int direction) { return entry_.verdicts.side[direction]; }
  void refuse(int direction) {
    auto& v = side(direction);
    v.drops = 3;
    v.rejects = 2;
    v.refused_bytes = 300;
    v.refused_first_ns = 20;
    v.refused_last_ns = 30;
    v.refused_flags = 0x12 | FFFA_SLOT_SYN_ACK;
    v.last = FFFA_DROP | FFFA_FORWARD << 8;
  }
};

TEST_F(Verdicts, AcceptsOfADirectionAreInItsRecordAlone) {
  count(FFFA_INGRESS, 4, 5, 9);
  count(FFFA_EGRESS, 1, 6, 8);
  side(FFFA_INGRESS).accepts = 4;
  side(FFFA_INGRESS).queues = 1;
  side(FFFA_INGRESS).last = FFFA_ACCEPT | FFFA_LOCAL_IN << 8;
  const auto both = records();
  ASSERT_EQ(both.size(), 2u);
  EXPECT_TRUE(both[0].has(Has::netfilter));
  EXPECT_EQ(both[0].netfilter_verdict, Verdict::accept);
  EXPECT_EQ(both[0].netfilter_hook, NetfilterHook::local_in);
  EXPECT_EQ(both[0].netfilter_accepts, 4u);
  EXPECT_EQ(both[0].netfilter_queues, 1u);
  EXPECT_EQ(both[0].netfilter_drops + both[0].netfilter_rejects, 0u);
  EXPECT_FALSE(both[0].has(Has::refused));
  EXPECT_FALSE(both[0].has(Has::drops));
  EXPECT_FALSE(both[0].has(Has::nat));
  EXPECT_FALSE(both[1].has(Has::netfilter));
}

TEST_F(Verdicts, OldBytesAreNoVerdicts) {
  refuse(FFFA_EGRESS);
  entry_.verdicts.translation[FFFA_INGRESS].state = FFFA_TRANSLATED;
  count(FFFA_INGRESS, 4, 5, 9);
  entry_.flags = 0;
  ASSERT_EQ(records().size(), 1u);
  EXPECT_EQ(records()[0].present, static_cast<std::uint32_t>(Has::tcp));
}

TEST_F(Verdicts, WhatWasRefusedStandsBesideTheFlowsPackets) {
  refuse(FFFA_INGRESS);
  count(FFFA_INGRESS, 9, 5, 40);
  const auto record = records().at(0);
  EXPECT_EQ(record.packets, 9u);
  EXPECT_EQ(record.first_seen, 1005);
  EXPECT_EQ(record.last_seen, 1040);
  EXPECT_EQ(record.netfilter_verdict, Verdict::drop);
  EXPECT_EQ(record.netfilter_hook, NetfilterHook::forward);
  EXPECT_EQ(record.netfilter_drops, 3u);
  EXPECT_EQ(record.netfilter_rejects, 2u);
  ASSERT_TRUE(record.has(Has::refused));
  EXPECT_EQ(record.refused_packets, 5u);
  EXPECT_EQ(record.refused_bytes, 300u);
  EXPECT_EQ(record.refused_first_seen, 1020);
  EXPECT_EQ(record.refused_last_seen, 1030);
  EXPECT_EQ(record.refused_vpc_tcp_flags, 0x12);
}

TEST_F(Verdicts, OfPacketsThatNeverLeftMakeARecordOfTheirTime) {
  refuse(FFFA_EGRESS);
  entry_.last_ns[FFFA_EGRESS] = 77;
  const auto all = records();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].direction, Direction::egress);
  EXPECT_EQ(all[0].packets, 0u);
  EXPECT_EQ(all[0].first_seen, 1020);
  EXPECT_EQ(all[0].last_seen, 1030);
}

TEST_F(Verdicts, BytesThatTheLastRecordLackedAreNotLost) {
  side(FFFA_EGRESS).refused_bytes = 60;
  side(FFFA_EGRESS).refused_first_ns = side(FFFA_EGRESS).refused_last_ns = 30;
  const auto all = records();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_FALSE(all[0].has(Has::netfilter));
  ASSERT_TRUE(all[0].has(Has::refused));
  EXPECT_EQ(all[0].refused_packets, 0u);
  EXPECT_EQ(all[0].refused_bytes, 60u);
}

TEST_F(Verdicts, DropsForOtherReasonsAreNoRefusals) {
  side(FFFA_INGRESS).freed = 2;
  side(FFFA_INGRESS).last = FFFA_ACCEPT | FFFA_LOCAL_IN << 8;  // of an earlier read-out
  entry_.last_ns[FFFA_INGRESS] = 77;
  const auto record = records().at(0);
  EXPECT_TRUE(record.has(Has::drops));
  EXPECT_EQ(record.drops, 2u);
  EXPECT_FALSE(record.has(Has::netfilter));
  EXPECT_FALSE(record.has(Has::refused));
  EXPECT_EQ(record.netfilter_verdict, Verdict::none);
  EXPECT_EQ(record.last_seen, 1077);
}

TEST_F(Verdicts, TheOtherTupleOfATranslatedFlow) {
  count(FFFA_EGRESS, 1, 5, 5);
  side(FFFA_EGRESS).accepts = 1;
  auto& other = entry_.verdicts.translation[FFFA_EGRESS];
  const std::uint8_t inside[] = {10, 9, 0, 1};
  std::memcpy(other.src.bytes, inside, 4);
  other.src_port = 1234;
  other.dst_port = 443;
  other.state = FFFA_TRANSLATION_HELD;  // being written
  EXPECT_FALSE(records()[0].has(Has::nat));
  other.state = FFFA_TRANSLATED;
  const auto record = records()[0];
  ASSERT_TRUE(record.has(Has::nat));
  EXPECT_EQ(record.nat.src[0], 10);
  EXPECT_EQ(record.nat.src[1], 9);
  EXPECT_EQ(record.nat.src_port, 1234);
  EXPECT_EQ(record.nat.dst_port, 443);
  EXPECT_EQ(record.nat.protocol, IPPROTO_TCP);
  EXPECT_EQ(record.nat.family, 4);
}

}  // namespace
}  // namespace fffa::engine
