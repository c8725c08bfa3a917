// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "../../../tests/bench/formats/sample.h"
#include "fffa/fields.h"
#include "fffa/format.h"

namespace fffa {
namespace {

using Json = nlohmann::ordered_json;

std::string line_of(const TextTable& texts, const FlowRecord& record) {
  std::string out;
  make_json_format(texts)->append(record, out);
  return out;
}
Json parsed(const TextTable& texts, const FlowRecord& record) {
  return Json::parse(line_of(texts, record));
}

TEST(Json, GoldenUdpRecord) {
  TextTable texts;
  FlowRecord r;
  r.flow = {{192, 0, 2, 1}, {198, 51, 100, 7}, 5353, 53, 17, 4};
  r.host = texts.intern("edge-1");
  r.run_id = texts.intern("8c5a2f6e-4b8e-4a57-9d6c-0f7a1b2c3d4e");
  r.sequence = 42;
  r.interface = texts.intern("eth0");
  r.ifindex = 2;
  r.direction = Direction::egress;
  r.packets = 1;
  r.bytes = 76;
  r.first_seen = r.last_seen = 1'767'225'605'123'456'789;
  r.emitted = 1'767'225'610'000'000'000;
  r.initiator = true;
  EXPECT_EQ(
      line_of(texts, r),
      R"({"version":"3","timestamp":"2026-01-01T00:00:10.000000Z","proto":"UDP","src_ip":"192.0.2.1","src_port":5353,)"
      R"("dst_ip":"198.51.100.7","dst_port":53,"pkt_src_ip":"192.0.2.1","pkt_src_port":5353,"pkt_dst_ip":"198.51.100.7","pkt_dst_port":53,)"
      R"("direction":1,"encapsulated":false,"packets":1,"bytes":76,"first_seen":"2026-01-01T00:00:05.123456Z",)"
      R"("last_seen":"2026-01-01T00:00:05.123456Z","duration_ms":0,"tcp_flags":null,"vpc_tcp_flags":null,"initiator":true,"conn_state":null,)"
      R"("handshake_latency_us":null,"retransmissions":null,"fast_retransmits":null,"timeout_retransmits":null,)"
      R"("spurious_retransmissions":null,"avg_jitter_us":null,"max_jitter_us":null,"jitter_samples":null,"jitter_sum_us":null,"min_window_size":null,"max_window_size":null,)"
      R"("last_window_size":null,"window_scale":null,"out_of_order_pkts":null,"duplicate_acks":null,"zero_windows":null,)"
      R"("min_rtt_us":null,"max_rtt_us":null,"avg_rtt_us":null,"rtt_samples":null,"rtt_sum_us":null,"ecn_flags":null,"ecn_ce_packets":null,)"
      R"("tcp_ece_packets":null,"tcp_cwr_packets":null,"netfilter_verdict":null,"netfilter_hook":null,"netfilter_priority":null,)"
      R"("netfilter_table":null,"netfilter_chain":null,"netfilter_rule_num":null,"netfilter_target":null,"netfilter_match_info":null,)"
      R"("netfilter_accepts":null,"netfilter_drops":null,"netfilter_rejects":null,"netfilter_queues":null,"refused_packets":null,)"
      R"("refused_bytes":null,"refused_first_seen":null,"refused_last_seen":null,"refused_vpc_tcp_flags":null,"drop_reason":null,)"
      R"("drops":null,"nat_src_ip":null,"nat_src_port":null,"nat_dst_ip":null,"nat_dst_port":null,"aws_account":null,"aws_vpc":null,)"
      R"("aws_subnet":null,"aws_instance":null,"aws_az":null,"aws_az_id":null,"aws_region":null,"aws_eni":null,"geneve_vni":null,)"
      R"("gwlb_endpoint_id":null,"gwlb_attachment_id":null,"gwlb_flow_cookie":null,"outer_bytes":null,)"
      R"("community_id":"1:5615i5H/0OxJeBIRD7EHdytj7/M=","host":"edge-1","run_id":"8c5a2f6e-4b8e-4a57-9d6c-0f7a1b2c3d4e","sequence":42,)"
      R"("interface":"eth0","ifindex":2,"vlan_id":null,"flow_end_reason":null,"cumulative":false,"incomplete":false})"
      "\n");
}

TEST(Json, HasEveryFieldInOrder) {
  TextTable texts;
  auto record = bench::sample(texts, 3, true);
  record.set_label(texts.intern("team"), texts.intern("core"));
  const auto json = parsed(texts, record);
  auto field = fields().begin();
  for (const auto& [name, value] : json.items()) {
    ASSERT_NE(field, fields().end());
    EXPECT_EQ(name, field->name);
    ++field;
  }
  EXPECT_EQ(field, fields().end());
}

TEST(Json, ValuesOfAFullRecord) {
  TextTable texts;
  const auto json = parsed(texts, bench::sample(texts, 3, true));
  EXPECT_EQ(json["src_ip"], "2600:1f18:1234:5600:abcd:1234:5678:3");
  EXPECT_EQ(json["pkt_src_ip"], json["src_ip"]);
  EXPECT_EQ(json["nat_src_ip"], json["src_ip"]);
  EXPECT_EQ(json["dst_ip"], "2001:db8:1::");
  EXPECT_EQ(json["tcp_flags"], "SYN|ACK|FIN|PSH");
  EXPECT_EQ(json["retransmissions"], 4);
  EXPECT_EQ(json["avg_rtt_us"], 987'654 / 567);
  EXPECT_EQ(json["netfilter_hook"], "NF_INET_LOCAL_OUT");
  EXPECT_EQ(json["conn_state"], "SF");
  EXPECT_EQ(json["duration_ms"], 59'876);
  EXPECT_EQ(json["aws_az_id"], "euc1-az2");
  EXPECT_FALSE(json.contains("labels"));
}

TEST(Json, EncapsulatedRecordKeepsBothTuples) {
  TextTable texts;
  auto record = bench::sample(texts, 1, true);
  record.encapsulation = Encapsulation::geneve;
  record.outer = {{10, 0, 0, 1}, {10, 0, 0, 2}, 60'000, 6081, 17, 4};
  record.vni = 0xabcdef;
  record.outer_bytes = 5;
  record.gwlb_endpoint_id = 0x2b8ee1d4db0c51c4;
  record.gwlb_attachment_id = 1;
  record.gwlb_flow_cookie = 0xbeef;
  for (const auto has : {Has::gwlb_endpoint, Has::gwlb_attachment, Has::gwlb_cookie}) record.set(has);
  const auto json = parsed(texts, record);
  EXPECT_EQ(json["src_ip"], "10.0.0.1");
  EXPECT_EQ(json["dst_port"], 6081);
  EXPECT_EQ(json["pkt_dst_ip"], "2001:db8:1::");
  EXPECT_EQ(json["pkt_dst_port"], 443);
  EXPECT_EQ(json["encapsulated"], true);
  EXPECT_EQ(json["geneve_vni"], 0xabcdef);
  EXPECT_EQ(json["gwlb_endpoint_id"], "vpce-02b8ee1d4db0c51c4");
  EXPECT_EQ(json["gwlb_attachment_id"], "0000000000000001");
  EXPECT_EQ(json["gwlb_flow_cookie"], "0000beef");
  EXPECT_EQ(json["proto"], "TCP");
}

TEST(Json, SignedPriority) {
  TextTable texts;
  auto record = bench::sample(texts, 1, false);
  record.netfilter_priority = -150;
  EXPECT_EQ(parsed(texts, record)["netfilter_priority"], -150);
}

// What a text becomes, as the match text of a record.
Json through(std::string_view text) {
  TextTable texts;
  FlowRecord record;
  record.netfilter_match_info = texts.intern(text);
  return parsed(texts, record)["netfilter_match_info"];
}

TEST(Json, TextIsEscaped) {
  EXPECT_EQ(through("say \"hi\" \\ there"), "say \"hi\" \\ there");
  EXPECT_EQ(through(std::string("a\n\t\r\x01\x1f\0z", 8)), std::string("a\n\t\r\x01\x1f\0z", 8));
  EXPECT_EQ(through("h\xC3\xA9llo \xE2\x82\xAC \xF0\x9F\x98\x80 end"),
            "h\xC3\xA9llo \xE2\x82\xAC \xF0\x9F\x98\x80 end");
}

TEST(Json, InvalidUtf8IsReplaced) {
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(through("a\xFFz"), "a" + bad + "z");
  EXPECT_EQ(through("\xC3"), bad);                                // cut short
  EXPECT_EQ(through("\xC0\xAF"), bad + bad);                      // overlong
  EXPECT_EQ(through("\xE0\x80\xAF"), bad + bad + bad);            // overlong
  EXPECT_EQ(through("\xED\xA0\x80"), bad + bad + bad);            // surrogate
  EXPECT_EQ(through("\xF4\x90\x80\x80"), bad + bad + bad + bad);  // beyond U+10FFFF
}

TEST(Json, AnyBytesGiveOneValidLine) {
  TextTable texts;
  std::mt19937 random(1);
  auto format = make_json_format(texts);
  std::string out;
  for (int i = 0; i < 2000; ++i) {
    std::string text(random() % 40, '\0');
    for (auto& c : text) c = static_cast<char>(random() % 4 == 0 ? random() : 'a' + random() % 26);
    FlowRecord record;
    record.netfilter_match_info = texts.intern(text);
    record.set_label(texts.intern("k" + text), texts.intern(text + "v"));
    out.clear();
    format->append(record, out);
    ASSERT_EQ(out.find('\n'), out.size() - 1);
    ASSERT_TRUE(Json::accept(out)) << out;
  }
}

TEST(Json, LongTextsGrowTheBuffer) {
  TextTable texts;
  FlowRecord record;
  const std::string huge(100'000, '\x01');
  record.netfilter_table = record.netfilter_match_info = record.host = texts.intern(huge);
  record.set_label(texts.intern("l"), texts.intern(huge));
  const auto json = parsed(texts, record);
  EXPECT_EQ(json["host"], huge);
  EXPECT_EQ(json["labels"]["l"], huge);
}

TEST(Json, LabelsComeLast) {
  TextTable texts;
  FlowRecord record;
  record.set_label(texts.intern("team"), texts.intern("net\"work"));
  record.set_label(texts.intern("env"), texts.intern("prod"));
  EXPECT_THAT(line_of(texts, record),
              testing::EndsWith(R"("incomplete":false,"labels":{"team":"net\"work","env":"prod"}})"
                                "\n"));
}

TEST(Json, OneFormatManyRecords) {
  TextTable texts;
  auto format = make_json_format(texts);
  std::string all, each;
  for (const auto& record : bench::samples(texts, 50)) {
    format->append(record, all);
    each += line_of(texts, record);
  }
  EXPECT_EQ(all, each);
}

}  // namespace
}  // namespace fffa
