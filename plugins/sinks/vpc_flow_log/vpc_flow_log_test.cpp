// SPDX-License-Identifier: MIT
#include "vpc_flow_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <regex>

#include "../../common/test_files.h"
#include "fffa/testing/harness.h"

namespace fffa::vpc_flow_log {
namespace {

using common::testing::files_below;
using common::testing::read_gzip;
using fffa::testing::Harness;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

constexpr TimeNs kSecond = 1'000'000'000;
constexpr TimeNs kStart = TimeNs{1'767'225'600} * kSecond;  // 2026-01-01 00:00:00
constexpr const char* kHeader =
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action "
    "log-status\n";

struct Logs {
  common::testing::TemporaryFolder temporary;
  std::unique_ptr<Harness> harness;

  explicit Logs(const std::string& options = {}) { start(options); }
  void start(const std::string& options) {
    harness = Harness::of<VpcFlowLog, Config>("directory: " + (temporary.path() / "logs").string() + "\n" + options);
  }
  Text text(std::string_view text) { return harness->context().texts().intern(text); }
  std::vector<std::string> names() const { return files_below(temporary.path() / "logs"); }
  std::string read(std::size_t i) const { return read_gzip(temporary.path() / "logs" / names().at(i)); }

  FlowRecord record(TimeNs end, std::uint16_t port = 443) {
    FlowRecord r;
    r.flow = {{198, 51, 100, 24}, {10, 20, 1, 15}, 51514, port, 6, 4};
    r.direction = Direction::ingress;
    r.packets = 12;
    r.bytes = 4310;
    r.first_seen = end - 5 * kSecond;
    r.last_seen = end;
    r.interface = text("ens5");
    r.aws.account = text("111122223333");
    r.aws.region = text("us-east-1");
    r.aws.eni = text("eni-0a1b2c3d4e5f60001");
    return r;
  }
  Batch batch(TimeNs start, std::vector<FlowRecord> records, TimeNs seconds = 60) {
    Batch b;
    b.window = {start, start + seconds * kSecond};
    b.watermark = b.window.end;
    b.records = std::move(records);
    return b;
  }
  InterfaceStatus interface() {
    InterfaceStatus status;
    status.interface = text("ens5");
    status.aws = record(kStart).aws;
    return status;
  }
};

TEST(VpcFlowLog, AFileIsSealedWhenItsFiveMinutesAreOver) {
  Logs run("flow_log_id: fl-1234abcd\n");
  for (TimeNs minute = 0; minute < 5; ++minute) {
    const TimeNs start = kStart + minute * 60 * kSecond;
    ASSERT_TRUE(run.harness->write(run.batch(start, {run.record(start + 59 * kSecond)})).ok());
    ASSERT_EQ(run.names().size(), 1u);
    EXPECT_EQ(run.names()[0].find("/.") == std::string::npos, minute == 4) << run.names()[0];
  }
  EXPECT_THAT(run.names()[0],
              MatchesRegex("AWSLogs/111122223333/vpcflowlogs/us-east-1/2026/01/01/"
                           "111122223333_vpcflowlogs_us-east-1_fl-1234abcd_20260101T0000Z_[0-9a-f]+\\.log\\.gz"));
  EXPECT_EQ(run.read(0), std::string(kHeader) +
                             "2 111122223333 eni-0a1b2c3d4e5f60001 198.51.100.24 10.20.1.15 51514 443 6 12 4310 "
                             "1767225654 1767225659 ACCEPT OK\n"
                             "2 111122223333 eni-0a1b2c3d4e5f60001 198.51.100.24 10.20.1.15 51514 443 6 12 4310 "
                             "1767225714 1767225719 ACCEPT OK\n"
                             "2 111122223333 eni-0a1b2c3d4e5f60001 198.51.100.24 10.20.1.15 51514 443 6 12 4310 "
                             "1767225774 1767225779 ACCEPT OK\n"
                             "2 111122223333 eni-0a1b2c3d4e5f60001 198.51.100.24 10.20.1.15 51514 443 6 12 4310 "
                             "1767225834 1767225839 ACCEPT OK\n"
                             "2 111122223333 eni-0a1b2c3d4e5f60001 198.51.100.24 10.20.1.15 51514 443 6 12 4310 "
                             "1767225894 1767225899 ACCEPT OK\n");
}

TEST(VpcFlowLog, TheStampGoesByTheRecordsEnd) {
  Logs run;
  // a window of 10 minutes: two files, the REJECT line by its own end
  auto refused = run.record(kStart + 400 * kSecond);
  refused.set(Has::refused);
  refused.refused_packets = 2;
  refused.refused_bytes = 100;
  refused.refused_first_seen = refused.refused_last_seen = kStart + 299 * kSecond;
  ASSERT_TRUE(run.harness->write(run.batch(kStart, {refused, run.record(kStart + 300 * kSecond, 80)}, 600)).ok());
  const auto names = run.names();
  ASSERT_EQ(names.size(), 2u);
  EXPECT_THAT(names[0], HasSubstr("_20260101T0000Z_"));
  EXPECT_THAT(names[1], HasSubstr("_20260101T0005Z_"));
  EXPECT_THAT(run.read(0), ::testing::EndsWith(" 2 100 1767225899 1767225899 REJECT OK\n"));
  EXPECT_THAT(run.read(1), HasSubstr(" 10 4210 1767225995 1767226000 ACCEPT OK\n"));
  EXPECT_THAT(run.read(1), HasSubstr(" 80 6 12 4310 "));
}

TEST(VpcFlowLog, ARecordWithoutPacketsGivesNoLine) {
  Logs run;
  auto round_trip = run.record(kStart + 20 * kSecond);
  round_trip.packets = round_trip.bytes = 0;
  round_trip.rtt_samples = 1;
  ASSERT_TRUE(run.harness->write(run.batch(kStart, {round_trip})).ok());
  EXPECT_THAT(run.names(), IsEmpty());
  ASSERT_TRUE(run.harness->write(run.batch(kStart, {run.record(kStart + 20 * kSecond), round_trip})).ok());
  ASSERT_TRUE(run.harness->close().ok());
  EXPECT_EQ(std::ranges::count(run.read(0), '\n'), 2) << run.read(0);
}

TEST(VpcFlowLog, LateRecordsGetAFileOfTheirOwn) {
  Logs run;
  ASSERT_TRUE(run.harness->write(run.batch(kStart + 240 * kSecond, {run.record(kStart + 250 * kSecond)})).ok());
  auto late = run.batch(kStart, {run.record(kStart + 10 * kSecond)});
  late.watermark = kStart + 300 * kSecond;
  ASSERT_TRUE(run.harness->write(late).ok());
  const auto names = run.names();
  ASSERT_EQ(names.size(), 2u);
  for (const auto& name : names) EXPECT_THAT(name, HasSubstr("_20260101T0000Z_"));
}

TEST(VpcFlowLog, AccountsAndRegionsAreKeptApart) {
  Logs run;
  auto other_account = run.record(kStart), other_region = run.record(kStart), unknown = run.record(kStart);
  other_account.aws.account = run.text("444455556666");
  other_region.aws.region = run.text("eu-west-1");
  unknown.aws = {};
  ASSERT_TRUE(run.harness->write(run.batch(kStart, {run.record(kStart), other_account, other_region, unknown})).ok());
  ASSERT_TRUE(run.harness->close().ok());
  std::vector<std::string> folders;
  for (const auto& name : run.names()) folders.push_back(name.substr(0, name.find("/2026")));
  EXPECT_THAT(folders,
              ElementsAre("AWSLogs/111122223333/vpcflowlogs/eu-west-1", "AWSLogs/111122223333/vpcflowlogs/us-east-1",
                          "AWSLogs/444455556666/vpcflowlogs/us-east-1", "AWSLogs/unknown/vpcflowlogs/unknown"));
}

TEST(VpcFlowLog, OptionsOverride) {
  Logs run(
      "hive: true\nhourly: true\naccount_id: '999988887777'\nregion: eu-central-1\nflow_log_id: fl-0\nlog_format: "
      "'${account-id} ${region} ${packets}'\n");
  ASSERT_TRUE(run.harness->write(run.batch(kStart, {run.record(kStart)})).ok());
  ASSERT_TRUE(run.harness->close().ok());
  ASSERT_EQ(run.names().size(), 1u);
  EXPECT_THAT(run.names()[0],
              ::testing::StartsWith(
                  "AWSLogs/aws-account-id=999988887777/aws-service=vpcflowlogs/aws-region=eu-central-1/year=2026/"
                  "month=01/day=01/hour=00/999988887777_vpcflowlogs_eu-central-1_fl-0_20260101T0000Z_"));
  EXPECT_EQ(run.read(0), "account-id region packets\n999988887777 eu-central-1 12\n");
}

TEST(VpcFlowLog, HostileIdentityStaysInsideTheDirectory) {
  Logs run;
  auto record = run.record(kStart);
  record.aws.account = run.text("../../../../etc");
  record.aws.region = run.text(std::string_view("..\0/x", 5));
  ASSERT_TRUE(run.harness->write(run.batch(kStart, {record})).ok());
  ASSERT_TRUE(run.harness->close().ok());
  EXPECT_EQ(files_below(run.temporary.path()).size(), 1u);
  EXPECT_THAT(run.names()[0], ::testing::StartsWith("AWSLogs/%2E.%2F..%2F..%2F..%2Fetc/vpcflowlogs/%2E.%00%2Fx/"));
}

TEST(VpcFlowLog, AFullFileIsSealedEarly) {
  Logs run("max_size: 2kB\n");
  std::vector<FlowRecord> records;
  for (std::size_t i = 0; i < 20'000; ++i) {
    records.push_back(run.record(kStart, static_cast<std::uint16_t>(i)));
    records.back().bytes = i * 2654435761u;
  }
  ASSERT_TRUE(run.harness->write(run.batch(kStart, records)).ok());
  ASSERT_TRUE(run.harness->close().ok());
  const auto names = run.names();
  EXPECT_GT(names.size(), 2u);
  std::size_t lines = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto text = run.read(i);
    EXPECT_TRUE(text.starts_with(kHeader));
    lines += static_cast<std::size_t>(std::ranges::count(text, '\n')) - 1;
  }
  EXPECT_EQ(lines, records.size());
}

TEST(VpcFlowLog, NoDataAndSkipData) {
  Logs run;
  auto silent = run.batch(kStart, {});
  silent.interfaces = {run.interface()};
  ASSERT_TRUE(run.harness->write(silent).ok());
  auto lossy = run.batch(kStart + 60 * kSecond, {run.record(kStart + 61 * kSecond)});
  lossy.interfaces = {run.interface()};
  lossy.interfaces[0].lost = {5, 500};
  ASSERT_TRUE(run.harness->write(lossy).ok());
  ASSERT_TRUE(run.harness->close().ok());
  ASSERT_EQ(run.names().size(), 1u);
  EXPECT_EQ(run.read(0), std::string(kHeader) +
                             "2 111122223333 eni-0a1b2c3d4e5f60001 - - - - - - - 1767225600 1767225659 - NODATA\n"
                             "2 111122223333 eni-0a1b2c3d4e5f60001 198.51.100.24 10.20.1.15 51514 443 6 12 4310 "
                             "1767225656 1767225661 ACCEPT OK\n"
                             "2 111122223333 eni-0a1b2c3d4e5f60001 - - - - - - - 1767225660 1767225719 - SKIPDATA\n");
  EXPECT_EQ(run.harness->context().captured_metrics().value("fffa_vpc_status_lines_total"), 2);
}

TEST(VpcFlowLog, EndOfInputSealsEverything) {
  Logs run;
  auto last = run.batch(kStart, {run.record(kStart)});
  last.watermark = kEndOfInput;
  ASSERT_TRUE(run.harness->write(last).ok());
  ASSERT_EQ(run.names().size(), 1u);
  EXPECT_THAT(run.names()[0], ::testing::Not(HasSubstr("/.")));
}

TEST(VpcFlowLog, WhatAKilledRunLeftIsSealedAtTheNextStart) {
  Logs run;
  ASSERT_TRUE(run.harness->write(run.batch(kStart, {run.record(kStart)})).ok());
  run.harness->destroy();  // no close()
  ASSERT_THAT(run.names(), ElementsAre(HasSubstr("/.")));
  const auto part = run.temporary.path() / "logs" / run.names()[0];
  std::ofstream(part, std::ios::app | std::ios::binary) << "torn";
  run.start("");
  ASSERT_EQ(run.names().size(), 1u);
  EXPECT_THAT(run.names()[0], ::testing::Not(HasSubstr("/.")));
  EXPECT_THAT(run.read(0), ::testing::EndsWith(" ACCEPT OK\n"));
  EXPECT_TRUE(run.harness->context().captured_log().contains("left by a run that was killed"));
}

TEST(VpcFlowLog, LateRecordsOfAFileThatCouldNotBeSealedAreInAnother) {
  Logs run;
  ASSERT_TRUE(run.harness->write(run.batch(kStart, {run.record(kStart + 59 * kSecond)})).ok());
  // nothing fits behind what is written: the gzip stream is ended in memory, and its end cannot be written
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit full{std::filesystem::file_size(run.temporary.path() / "logs" / run.names().at(0)), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
  const auto written = run.harness->write(run.batch(kStart + 240 * kSecond, {}));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_TRUE(written.ok());
  ASSERT_THAT(run.names(), ElementsAre(HasSubstr(".part")));

  auto late = run.batch(kStart, {run.record(kStart + 58 * kSecond, 80)});
  late.watermark = kStart + 300 * kSecond;
  ASSERT_TRUE(run.harness->write(late).ok());
  ASSERT_THAT(run.names(), ElementsAre(::testing::EndsWith(".log.gz"), ::testing::EndsWith(".log.gz")));
  EXPECT_EQ(std::ranges::count(run.read(0) + run.read(1), '\n'), 4);  // two headers, two lines
  EXPECT_THAT(run.read(0) + run.read(1), HasSubstr(" 80 6 12 4310 "));
}

TEST(VpcFlowLog, OptionsAreChecked) {
  const auto errors = [](const std::string& options) -> std::string {
    try {
      Logs run(options);
    } catch (const std::exception& failure) {
      return failure.what();
    }
    return {};
  };
  EXPECT_THAT(errors("log_format: '${version} ${src_addr}'\n"), HasSubstr("did you mean `${srcaddr}`?"));
  EXPECT_THAT(errors("account_id: '../x'\n"), HasSubstr("account_id"));
  EXPECT_THAT(errors("flow_log_id: '" + std::string(65, 'a') + "'\n"), HasSubstr("flow_log_id"));
  EXPECT_THAT(errors("flow_log_id: ''\n"), HasSubstr("flow_log_id"));
  EXPECT_THAT(errors("eni_address: secondary\n"), HasSubstr("eni_address"));
  EXPECT_EQ(errors("eni_address: primary\n"), "");
}

}  // namespace
}  // namespace fffa::vpc_flow_log
