// SPDX-License-Identifier: MIT
#include "static.h"

#include <gtest/gtest.h>

#include <map>

#include "fffa/testing/harness.h"

namespace fffa::static_fields {
namespace {

using testing::Harness;

struct Bench {
  std::unique_ptr<Harness> harness;
  explicit Bench(std::string_view yaml) : harness(Harness::of<Static, Config>(yaml)) {}

  TextTable& texts() { return harness->context().texts(); }
  std::string_view view(Text text) { return texts().view(text); }
  FlowRecord record(std::string_view interface) {
    FlowRecord record;
    record.interface = texts().intern(interface);
    return record;
  }
  Batch run(std::vector<FlowRecord> records) {
    Batch batch;
    for (const auto& record : records) {
      InterfaceStatus status;
      status.interface = record.interface;
      batch.interfaces.push_back(status);
    }
    batch.records = std::move(records);
    EXPECT_TRUE(harness->enrich(batch).ok());
    return batch;
  }
  std::map<std::string, std::string> labels(const FlowRecord& record) {
    std::map<std::string, std::string> labels;
    for (std::size_t i = 0; i < record.label_count; ++i)
      labels.emplace(view(record.labels[i].name), view(record.labels[i].value));
    return labels;
  }
};
using Labels = std::map<std::string, std::string>;

TEST(Static, SetsFieldsOfRecordsAndInterfaces) {
  Bench bench(
      "aws_account: \"001234567890\"\naws_region: eu-west-1\nprimary_ipv4: 10.0.0.5\nprimary_ipv6: 2001:db8::5\n");
  const Batch batch = bench.run({bench.record("eth0")});
  EXPECT_EQ(bench.view(batch.records[0].aws.account), "001234567890");
  EXPECT_EQ(bench.view(batch.records[0].aws.region), "eu-west-1");
  EXPECT_EQ(batch.records[0].aws.vpc, Text::null);
  EXPECT_EQ(bench.view(batch.interfaces[0].aws.account), "001234567890");
  EXPECT_EQ(batch.interfaces[0].primary_ipv4, (Address{10, 0, 0, 5}));
  EXPECT_EQ(batch.interfaces[0].primary_ipv6[15], 5);
}

TEST(Static, ReplacesWhatIsGivenAndLeavesTheRest) {
  Bench bench("aws_account: \"1\"\n");
  FlowRecord record = bench.record("eth0");
  record.aws.account = bench.texts().intern("2");
  record.aws.eni = bench.texts().intern("eni-1");
  const Batch batch = bench.run({record});
  EXPECT_EQ(bench.view(batch.records[0].aws.account), "1");
  EXPECT_EQ(bench.view(batch.records[0].aws.eni), "eni-1");
}

TEST(Static, TheMostSpecificEntryWinsOptionByOption) {
  Bench bench(
      "aws_eni: eni-all\nlabels: {place: all, site: one}\n"
      "interfaces:\n"
      "  eth1: {aws_eni: eni-eth1}\n"
      "  \"*\": {aws_subnet: subnet-any, labels: {place: any}}\n"
      "  \"eth*\": {aws_eni: eni-eth, labels: {place: eth}}\n");
  const Batch batch = bench.run({bench.record("eth1"), bench.record("eth2"), bench.record("lo"), bench.record("eth1")});
  EXPECT_EQ(bench.view(batch.records[0].aws.eni), "eni-eth1");
  EXPECT_EQ(bench.view(batch.records[0].aws.subnet), "subnet-any");
  EXPECT_EQ(bench.labels(batch.records[0]), (Labels{{"place", "eth"}, {"site", "one"}}));
  EXPECT_EQ(bench.view(batch.records[1].aws.eni), "eni-eth");
  EXPECT_EQ(bench.view(batch.records[2].aws.eni), "eni-all");
  EXPECT_EQ(bench.labels(batch.records[2]), (Labels{{"place", "any"}, {"site", "one"}}));
  EXPECT_EQ(bench.view(batch.records[3].aws.eni), "eni-eth1");
}

TEST(Static, WithoutOptionsItChangesNothing) {
  Bench bench("");
  FlowRecord record = bench.record("eth0");
  record.packets = 7;
  const Batch batch = bench.run({record});
  EXPECT_EQ(batch.records[0].aws, AwsIdentity{});
  EXPECT_EQ(batch.records[0].label_count, 0);
  EXPECT_EQ(batch.records[0].packets, 7u);
}

TEST(Static, RefusesWhatCannotBe) {
  const char* const bad[] = {"primary_ipv4: 10.0.0\n", "primary_ipv6: 10.0.0.1\n",
                             "interfaces: {eth0: {primary_ipv4: nonsense}}\n",
                             "labels: {a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1, i: 1}\n", "aws_acount: 1\n"};
  static constexpr StageType kType = stage_type<Static, Config>("static", "");
  for (const char* yaml : bad) EXPECT_FALSE(Harness::make(kType, yaml).ok()) << yaml;
}

}  // namespace
}  // namespace fffa::static_fields
