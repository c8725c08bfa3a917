// SPDX-License-Identifier: MIT
#include "geneve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "fffa/fields.h"
#include "fffa/testing/harness.h"

namespace fffa::geneve {
namespace {

using testing::Harness;
using ::testing::HasSubstr;

constexpr std::uint64_t kEndpoint = 0x2b8ee1d4db0c51c4, kAttachment = 0x0123456789abcdef;

// As the source makes it: 10.0.0.1:1000 -> 10.0.0.2:443 in a tunnel from 192.0.2.1 to 192.0.2.2.
FlowRecord tunnelled(std::uint32_t vni) {
  FlowRecord record;
  record.flow = {
      .src = {10, 0, 0, 1}, .dst = {10, 0, 0, 2}, .src_port = 1000, .dst_port = 443, .protocol = 6, .family = 4};
  record.outer = {
      .src = {192, 0, 2, 1}, .dst = {192, 0, 2, 2}, .src_port = 60000, .dst_port = 6081, .protocol = 17, .family = 4};
  record.encapsulation = Encapsulation::geneve;
  record.direction = Direction::ingress;
  record.vni = vni;
  record.packets = 10;
  record.bytes = 1000;
  record.outer_bytes = 1680;
  record.first_seen = 1'000'000 + vni;
  record.last_seen = 2'000'000 + vni;
  record.set(Has::gwlb_endpoint);
  record.set(Has::gwlb_attachment);
  record.set(Has::gwlb_cookie);
  record.gwlb_endpoint_id = kEndpoint;
  record.gwlb_attachment_id = kAttachment;
  record.gwlb_flow_cookie = 7;
  return record;
}

FlowRecord plain() {
  FlowRecord record = tunnelled(0);
  record.encapsulation = Encapsulation::none;
  record.outer = {};
  record.outer_bytes = 0;
  record.present = 0;
  record.gwlb_endpoint_id = record.gwlb_attachment_id = record.gwlb_flow_cookie = 0;
  return record;
}

Value field(const FlowRecord& record, std::string_view name) {
  return find_field(name)->get(record);
}
int first_byte(const FlowRecord& record, std::string_view name) {
  return (*field(record, name).address)[0];
}
bool is_null(const FlowRecord& record, std::string_view name) {
  return field(record, name).kind == Value::Kind::null;
}

struct Bench {
  std::unique_ptr<Harness> harness;
  explicit Bench(std::string_view yaml) : harness(Harness::of<Geneve, Config>(yaml)) {}

  std::vector<FlowRecord> run(std::vector<FlowRecord> records) {
    Batch batch;
    batch.records = std::move(records);
    EXPECT_TRUE(harness->enrich(batch).ok());
    return std::move(batch.records);
  }
  std::map<std::string, std::string> labels(const FlowRecord& record) {
    std::map<std::string, std::string> labels;
    const TextTable& texts = harness->context().texts();
    for (std::size_t i = 0; i < record.label_count; ++i)
      labels.emplace(texts.view(record.labels[i].name), texts.view(record.labels[i].value));
    return labels;
  }
};
using Labels = std::map<std::string, std::string>;

TEST(Geneve, WithoutOptionsItChangesNothing) {
  const auto records = Bench("").run({tunnelled(5)});
  EXPECT_EQ(records[0].outer, tunnelled(5).outer);
  EXPECT_EQ(records[0].label_count, 0);
  EXPECT_EQ(first_byte(records[0], "src_ip"), 192);
  EXPECT_EQ(first_byte(records[0], "pkt_src_ip"), 10);
  EXPECT_EQ(field(records[0], "dst_port").number, 6081u);
}

TEST(Geneve, TheInnerViewShowsTheInnerTupleAndKeepsTheTunnel) {
  const auto records = Bench("view: inner\n").run({tunnelled(5), plain()});
  for (const auto& record : records) {
    EXPECT_EQ(first_byte(record, "src_ip"), 10);
    EXPECT_EQ(first_byte(record, "dst_ip"), 10);
    EXPECT_EQ(field(record, "src_port").number, 1000u);
    EXPECT_EQ(field(record, "dst_port").number, 443u);
  }
  EXPECT_EQ(field(records[0], "encapsulated").number, 1u);
  EXPECT_EQ(field(records[0], "geneve_vni").number, 5u);
  EXPECT_EQ(field(records[0], "outer_bytes").number, 1680u);
  EXPECT_EQ(field(records[0], "gwlb_endpoint_id").number, kEndpoint);
  EXPECT_EQ(identity(records[0]), identity(tunnelled(5)));
}

TEST(Geneve, NamesBecomeLabels) {
  Bench bench(
      "names:\n"
      "  vni: {0: gwlb, 5: blue}\n"
      "  gwlb_endpoint: {vpce-02b8ee1d4db0c51c4: prod-edge}\n"
      "  gwlb_attachment: {0123456789ABCDEF: shared}\n"
      "labels: {gwlb_attachment: attachment}\n");
  FlowRecord without_ids = tunnelled(0);
  without_ids.present = 0;
  FlowRecord other_ids = tunnelled(6);
  other_ids.gwlb_endpoint_id = other_ids.gwlb_attachment_id = 1;
  const auto records = bench.run({tunnelled(5), without_ids, other_ids, plain()});
  EXPECT_EQ(bench.labels(records[0]),
            (Labels{{"geneve_vni_name", "blue"}, {"gwlb_endpoint_name", "prod-edge"}, {"attachment", "shared"}}));
  EXPECT_EQ(bench.labels(records[1]), (Labels{{"geneve_vni_name", "gwlb"}}));
  EXPECT_EQ(bench.labels(records[2]), Labels{}) << "ids without a name";
  EXPECT_EQ(bench.labels(records[3]), Labels{}) << "VNI 0 of a plain flow is none";
}

// What flow_cache does with records: those of one identity() merge().
std::vector<FlowRecord> merged(const std::vector<FlowRecord>& records) {
  std::vector<FlowRecord> flows;
  for (const auto& record : records) {
    const auto same = std::find_if(flows.begin(), flows.end(),
                                   [&](const FlowRecord& flow) { return identity(flow) == identity(record); });
    if (same == flows.end()) {
      flows.push_back(record);
    } else {
      merge(*same, record);
    }
  }
  return flows;
}

TEST(Geneve, RecordsThatForgetTheirTunnelMerge) {
  const std::vector<FlowRecord> seen = {tunnelled(5), tunnelled(6), plain()};
  EXPECT_EQ(merged(Bench("tunnel: keep\nview: inner\n").run(seen)).size(), 3u);
  Bench bench("tunnel: forget\nnames: {vni: {5: blue, 6: green}}\n");
  const auto flows = merged(bench.run(seen));
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0].packets, 30u);
  EXPECT_EQ(flows[0].bytes, 3000u);
  EXPECT_EQ(first_byte(flows[0], "src_ip"), 10);
  EXPECT_EQ(field(flows[0], "encapsulated").number, 0u);
  for (const char* name : {"geneve_vni", "outer_bytes", "gwlb_endpoint_id", "gwlb_attachment_id", "gwlb_flow_cookie"})
    EXPECT_TRUE(is_null(flows[0], name)) << name;
  EXPECT_EQ(bench.labels(flows[0]), (Labels{{"geneve_vni_name", "green"}})) << "of the latest record";
}

TEST(Geneve, TheCopiesOfAnApplianceStayApart) {
  FlowRecord returned = tunnelled(0);
  returned.direction = Direction::egress;
  std::swap(returned.outer.src, returned.outer.dst);
  EXPECT_EQ(merged(Bench("tunnel: forget\n").run({tunnelled(0), returned})).size(), 2u);
  FlowRecord in = tunnelled(0), out = returned;
  in.direction = out.direction = Direction::unknown;
  EXPECT_EQ(merged(Bench("tunnel: forget\n").run({in, out})).size(), 1u) << "nothing tells them apart";
}

TEST(Geneve, ForgettingLeavesAPlainRecord) {
  const auto records = Bench("tunnel: forget\n").run({tunnelled(5)});
  FlowRecord expected = plain();
  expected.first_seen = records[0].first_seen;
  expected.last_seen = records[0].last_seen;
  for (const auto& f : fields()) {
    const Value mine = f.get(records[0]), theirs = f.get(expected);
    EXPECT_EQ(mine.kind, theirs.kind) << f.name;
    EXPECT_EQ(mine.number, theirs.number) << f.name;
  }
  EXPECT_EQ(identity(records[0]), identity(expected));
}

TEST(Geneve, RefusesWhatIsNoIdWithItsPlace) {
  struct Case {
    const char* yaml;
    const char* where;
    const char* what;
  };
  const Case cases[] = {
      {"names:\n  vni:\n    16777216: x\n", ":3:", "names.vni.16777216"},
      {"names:\n  vni: {blue: x}\n", ":2:", "a number from 0 to 16777215"},
      {"names: {vni: {-1: x}}\n", ":1:", "names.vni.-1"},
      {"names: {vni: {5: x, '05': y}}\n", ":1:", "the same id"},
      {"names: {vni: {5: ''}}\n", ":1:", "names.vni.5"},
      {"names: {gwlb_endpoint: {2b8ee1d4db0c51c4: x}}\n", ":1:", "`vpce-0` and 16 hex digits"},
      {"names: {gwlb_endpoint: {vpce-02b8ee1d4db0c51c: x}}\n", ":1:", "`vpce-0` and 16 hex digits"},
      {"names: {gwlb_endpoint: {vpce-0-b8ee1d4db0c51c4: x}}\n", ":1:", "`vpce-0` and 16 hex digits"},
      {"names: {gwlb_attachment: {0x23456789abcdef: x}}\n", ":1:", "16 hex digits"},
      {"names: {vni: {5: x}, gwlb_endpoint: {vpce-02b8ee1d4db0c51c4: y}}\nlabels: {gwlb_endpoint: geneve_vni_name}\n",
       ":2:", "is the label of vni already"},
      {"labels: {vni: ''}\n", ":1:", "labels.vni"},
      {"view: outside\n", ":1:", "view"},
  };
  static constexpr StageType kType = stage_type<Geneve, Config>("geneve", "");
  for (const auto& c : cases) {
    const auto made = Harness::make(kType, c.yaml);
    ASSERT_FALSE(made.ok()) << c.yaml;
    EXPECT_THAT(made.error().message, HasSubstr(c.where)) << c.yaml;
    EXPECT_THAT(made.error().message, HasSubstr(c.what)) << c.yaml;
  }
}

}  // namespace
}  // namespace fffa::geneve
