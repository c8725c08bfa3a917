// SPDX-License-Identifier: MIT
#include "keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

namespace fffa::vpc_flow_log {
namespace {

using ::testing::ElementsAre;
using ::testing::MatchesRegex;

// 2026-08-20 16:20:00 UTC
constexpr TimeNs k1620 = TimeNs{1'787'242'800} * 1'000'000'000;
const FileKey kKey{"111122223333", "us-east-1", "fl-1234abcd", k1620};

TEST(Keys, AFileHoldsTheRecordsThatEndInItsFiveMinutes) {
  EXPECT_EQ(slot_of(k1620 - 1), k1620 - kFileInterval);
  EXPECT_EQ(slot_of(k1620), k1620);
  EXPECT_EQ(slot_of(k1620 + kFileInterval - 1), k1620);
  EXPECT_EQ(slot_of(k1620 + kFileInterval), k1620 + kFileInterval);
}

TEST(Keys, FoldersAsAwsNamesThem) {
  EXPECT_THAT(folder_of(kKey, false, false),
              ElementsAre("AWSLogs", "111122223333", "vpcflowlogs", "us-east-1", "2026", "08", "20"));
  EXPECT_THAT(folder_of(kKey, false, true),
              ElementsAre("AWSLogs", "111122223333", "vpcflowlogs", "us-east-1", "2026", "08", "20", "16"));
  EXPECT_THAT(folder_of(kKey, true, true),
              ElementsAre("AWSLogs", "aws-account-id=111122223333", "aws-service=vpcflowlogs", "aws-region=us-east-1",
                          "year=2026", "month=08", "day=20", "hour=16"));
}

TEST(Keys, FileNameAsAwsMakesThem) {
  const auto name = file_name(kKey, 0xfe123456);
  EXPECT_EQ(name, "111122223333_vpcflowlogs_us-east-1_fl-1234abcd_20260820T1620Z_fe123456.log.gz");
  EXPECT_TRUE(is_file_name(name));
  EXPECT_FALSE(is_file_name("notes.log.gz"));
  const auto other = other_file_name(name, 1);
  EXPECT_NE(other, name);
  EXPECT_TRUE(other.starts_with("111122223333_vpcflowlogs_us-east-1_fl-1234abcd_20260820T1620Z_"));
  EXPECT_EQ(other.size(), name.size());
}

TEST(Keys, DefaultFlowLogId) {
  const auto id = default_flow_log_id("machine", "logs", "${version}");
  EXPECT_THAT(id, MatchesRegex("fl-[0-9a-f]+"));
  EXPECT_EQ(id.size(), 3u + 17u);
  EXPECT_EQ(id, default_flow_log_id("machine", "logs", "${version}"));
  EXPECT_NE(id, default_flow_log_id("machine2", "logs", "${version}"));
  EXPECT_NE(id, default_flow_log_id("machine", "logs2", "${version}"));
  EXPECT_NE(id, default_flow_log_id("machine", "logs", "${srcaddr}"));
}

}  // namespace
}  // namespace fffa::vpc_flow_log
