// SPDX-License-Identifier: MIT
#include "fffa/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "../../tests/bench/formats/sample.h"
#include "fffa/format.h"

namespace fffa {
namespace {

using testing::ElementsAreArray;
using testing::UnorderedElementsAre;

// The order of a JSON record, version "3": a promise to every reader.
constexpr std::string_view kOrder[] = {"version",
                                       "timestamp",
                                       "proto",
                                       "src_ip",
                                       "src_port",
                                       "dst_ip",
                                       "dst_port",
                                       "pkt_src_ip",
                                       "pkt_src_port",
                                       "pkt_dst_ip",
                                       "pkt_dst_port",
                                       "direction",
                                       "encapsulated",
                                       "packets",
                                       "bytes",
                                       "first_seen",
                                       "last_seen",
                                       "duration_ms",
                                       "tcp_flags",
                                       "vpc_tcp_flags",
                                       "initiator",
                                       "conn_state",
                                       "handshake_latency_us",
                                       "retransmissions",
                                       "fast_retransmits",
                                       "timeout_retransmits",
                                       "spurious_retransmissions",
                                       "avg_jitter_us",
                                       "max_jitter_us",
                                       "jitter_samples",
                                       "jitter_sum_us",
                                       "min_window_size",
                                       "max_window_size",
                                       "last_window_size",
                                       "window_scale",
                                       "out_of_order_pkts",
                                       "duplicate_acks",
                                       "zero_windows",
                                       "min_rtt_us",
                                       "max_rtt_us",
                                       "avg_rtt_us",
                                       "rtt_samples",
                                       "rtt_sum_us",
                                       "ecn_flags",
                                       "ecn_ce_packets",
                                       "tcp_ece_packets",
                                       "tcp_cwr_packets",
                                       "netfilter_verdict",
                                       "netfilter_hook",
                                       "netfilter_priority",
                                       "netfilter_table",
                                       "netfilter_chain",
                                       "netfilter_rule_num",
                                       "netfilter_target",
                                       "netfilter_match_info",
                                       "netfilter_accepts",
                                       "netfilter_drops",
                                       "netfilter_rejects",
                                       "netfilter_queues",
                                       "refused_packets",
                                       "refused_bytes",
                                       "refused_first_seen",
                                       "refused_last_seen",
                                       "refused_vpc_tcp_flags",
                                       "drop_reason",
                                       "drops",
                                       "nat_src_ip",
                                       "nat_src_port",
                                       "nat_dst_ip",
                                       "nat_dst_port",
                                       "aws_account",
                                       "aws_vpc",
                                       "aws_subnet",
                                       "aws_instance",
                                       "aws_az",
                                       "aws_az_id",
                                       "aws_region",
                                       "aws_eni",
                                       "geneve_vni",
                                       "gwlb_endpoint_id",
                                       "gwlb_attachment_id",
                                       "gwlb_flow_cookie",
                                       "outer_bytes",
                                       "community_id",
                                       "host",
                                       "run_id",
                                       "sequence",
                                       "interface",
                                       "ifindex",
                                       "vlan_id",
                                       "flow_end_reason",
                                       "cumulative",
                                       "incomplete",
                                       "labels"};

std::vector<std::string_view> names_where(auto&& wanted) {
  std::vector<std::string_view> names;
  for (const auto& field : fields()) {
    if (wanted(field)) names.push_back(field.name);
  }
  return names;
}

// By the names of fields that are null for `record`.
std::set<std::string_view> nulls_of(const FlowRecord& record) {
  std::set<std::string_view> names;
  for (const auto& field : fields()) {
    if (field.type != FieldType::computed && field.get(record).kind == Value::Kind::null) names.insert(field.name);
  }
  return names;
}

std::uint64_t number_of(const FlowRecord& record, std::string_view name) {
  return find_field(name)->get(record).number;
}

TEST(Fields, StandInTheOrderOfTheJsonRecord) {
  EXPECT_THAT(names_where([](const Field&) { return true; }), ElementsAreArray(kOrder));
}

TEST(Fields, EveryEntryIsComplete) {
  std::set<std::string_view> names, vpc_names;
  for (const auto& field : fields()) {
    EXPECT_TRUE(names.insert(field.name).second) << field.name;
    EXPECT_FALSE(field.doc.empty()) << field.name;
    EXPECT_FALSE(field.null_when.empty()) << field.name;
    EXPECT_NE(field.get, nullptr) << field.name;
    EXPECT_EQ(find_field(field.name), &field);
    EXPECT_EQ(field.key, field.merge == MergeRule::key) << field.name;
    if (field.vpc_name.empty()) continue;
    EXPECT_TRUE(is_vpc_field(field.vpc_name)) << field.vpc_name;
    EXPECT_TRUE(vpc_names.insert(field.vpc_name).second) << field.vpc_name;
  }
  EXPECT_EQ(find_field("no_such_field"), nullptr);
}

TEST(Fields, TheKeyIsWhatIdentityCompares) {
  EXPECT_THAT(names_where([](const Field& field) { return field.key; }),
              UnorderedElementsAre("proto", "pkt_src_ip", "pkt_src_port", "pkt_dst_ip", "pkt_dst_port", "direction",
                                   "encapsulated", "geneve_vni", "host", "interface"));
}

TEST(Fields, NeverNullWhereTheyHoldNever) {
  TextTable texts;
  auto record = bench::sample(texts, 1, false);
  record.present = 0;
  record.flow.protocol = 17;
  for (const auto& name : nulls_of(record)) EXPECT_NE(find_field(name)->null_when, "never") << name;
}

TEST(Fields, WithoutTcpExactlyTheTcpFieldsAreNull) {
  TextTable texts;
  auto record = bench::sample(texts, 1, false);
  auto without = record;
  without.present &= ~static_cast<std::uint32_t>(Has::tcp);
  auto expected = nulls_of(record);
  for (const auto& field : fields()) {
    if (field.null_when.starts_with("not TCP")) expected.insert(field.name);
  }
  // A source that knows the window, or its scale, knows that it is TCP.
  for (const auto* name : {"min_window_size", "max_window_size", "last_window_size", "window_scale"})
    expected.erase(name);
  EXPECT_EQ(nulls_of(without), expected);
}

TEST(Fields, AnEmptyTcpRecordHasZerosAndNoInventedSamples) {
  FlowRecord record;
  record.flow.family = 4;
  record.flow.protocol = 6;
  record.set(Has::tcp);
  EXPECT_EQ(find_field("rtt_samples")->get(record).kind, Value::Kind::number);
  EXPECT_EQ(find_field("retransmissions")->get(record).kind, Value::Kind::number);
  EXPECT_EQ(find_field("tcp_flags")->get(record).name, "NONE");
  for (const auto* name : {"min_rtt_us", "max_rtt_us", "avg_rtt_us", "avg_jitter_us", "max_jitter_us",
                           "min_window_size", "window_scale", "handshake_latency_us", "conn_state"}) {
    EXPECT_EQ(find_field(name)->get(record).kind, Value::Kind::null) << name;
  }
}

TEST(Fields, ARuleOfPolicyHasNoNumber) {
  TextTable texts;
  auto record = bench::sample(texts, 1, false);
  record.present &= ~static_cast<std::uint32_t>(Has::rule);
  EXPECT_EQ(nulls_of(record).count("netfilter_rule_num"), 1u);
  EXPECT_EQ(nulls_of(record).count("netfilter_chain"), 0u);
}

TEST(Fields, NamesOfFlagsKeepTheirOrder) {
  FlowRecord record;
  record.set(Has::tcp);
  const auto* field = find_field("tcp_flags");
  const auto shown = [&](std::uint8_t flags) {
    record.tcp_flags = flags;
    return field->get(record).name;
  };
  EXPECT_EQ(shown(0), "NONE");
  EXPECT_EQ(shown(2), "SYN");
  EXPECT_EQ(shown(0x1b), "SYN|ACK|FIN|PSH");
  EXPECT_EQ(shown(0xff), "SYN|ACK|FIN|RST|PSH|URG|ECE|CWR");
}

TEST(Fields, NamesOfProtocolsAndStates) {
  EXPECT_EQ(protocol_name(1), "ICMP");
  EXPECT_EQ(protocol_name(6), "TCP");
  EXPECT_EQ(protocol_name(17), "UDP");
  EXPECT_EQ(protocol_name(58), "ICMPv6");
  EXPECT_EQ(protocol_name(0), "PROTO_0");
  EXPECT_EQ(protocol_name(47), "PROTO_47");
  EXPECT_EQ(protocol_name(132), "PROTO_132");
  EXPECT_EQ(protocol_name(255), "PROTO_255");
  EXPECT_EQ(conn_state_name(ConnState::none), "");
  EXPECT_EQ(conn_state_name(ConnState::S0), "S0");
  EXPECT_EQ(conn_state_name(ConnState::RSTOS0), "RSTOS0");
  EXPECT_EQ(conn_state_name(ConnState::OTH), "OTH");
  EXPECT_EQ(end_reason_name(FlowEndReason::none), "");
  EXPECT_EQ(end_reason_name(FlowEndReason::idle_timeout), "idle timeout");
  EXPECT_EQ(end_reason_name(FlowEndReason::lack_of_resources), "lack of resources");
}

// merge() keeps what each field's rule says, for every field that holds a number or a time.
TEST(Fields, MergeFollowsTheRules) {
  TextTable texts;
  auto a = bench::sample(texts, 1, false);
  auto b = bench::sample(texts, 1, false);
  b.first_seen = a.last_seen + 1;
  b.last_seen = b.first_seen + 1'000'000;
  b.refused_first_seen = b.first_seen;
  b.refused_last_seen = b.last_seen;
  b.packets = 5;
  b.bytes = 777;
  b.tcp_flags = 4;
  b.vpc_tcp_flags = 4;
  b.min_window_size = 100;
  b.max_window_size = 200;
  b.last_window_size = 150;
  b.min_rtt_us = 1;
  b.max_rtt_us = 99'999;
  b.max_jitter_us = 1;
  b.handshake_latency_us = 4321;
  b.sequence = 7;
  b.incomplete = true;
  b.nat.src_port = 1;
  b.flow_end_reason = FlowEndReason::idle_timeout;
  auto merged = a;
  merge(merged, b);
  for (const auto& field : fields()) {
    const auto mine = field.get(a), theirs = field.get(b), both = field.get(merged);
    if (field.merge == MergeRule::derived || both.kind == Value::Kind::null) continue;
    const auto expected = [&]() -> std::uint64_t {
      switch (field.merge) {
        case MergeRule::add: return mine.number + theirs.number;
        case MergeRule::bit_or: return mine.number | theirs.number;
        case MergeRule::minimum: return std::min(mine.number, theirs.number);
        case MergeRule::maximum: return std::max(mine.number, theirs.number);
        default: return theirs.number;
      }
    }();
    EXPECT_EQ(both.number, expected) << field.name;
  }
  EXPECT_EQ(number_of(merged, "avg_rtt_us"), (a.rtt_sum_us + b.rtt_sum_us) / (a.rtt_samples + b.rtt_samples));
  EXPECT_EQ(find_field("tcp_flags")->get(merged).name, "SYN|ACK|FIN|RST|PSH");
}

}  // namespace
}  // namespace fffa
