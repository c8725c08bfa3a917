// SPDX-License-Identifier: MIT
#include "windows.h"

#include <gtest/gtest.h>

namespace fffa::vpc_flow_log {
namespace {

constexpr TimeNs kSecond = 1'000'000'000;
constexpr TimeNs kStart = 1'767'225'600 * kSecond;
const Text kEth0{1}, kEth1{2};

Batch batch(TimeNs start, TimeNs seconds = 60) {
  Batch b;
  b.window = {start, start + seconds * kSecond};
  b.watermark = b.window.end;
  b.interfaces.resize(2);
  b.interfaces[0].interface = kEth0;
  b.interfaces[1].interface = kEth1;
  return b;
}
void add_record(Batch& b, Text interface) {
  FlowRecord& record = b.records.emplace_back();
  record.interface = interface;
  record.packets = 1;
}

TEST(Windows, SilentInterfacesGiveNoData) {
  Windows windows;
  auto b = batch(kStart);
  add_record(b, kEth0);
  const auto lines = windows.add(b);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].interface.interface, kEth1);
  EXPECT_EQ(lines[0].status, LogStatus::nodata);
  EXPECT_EQ(lines[0].start, kStart);
  EXPECT_EQ(lines[0].end, kStart + 60 * kSecond);
}

// As behind `when: netfilter_verdict == DROP`.
TEST(Windows, AnInterfaceWhoseRecordsWereFilteredIsNotSilent) {
  Windows windows;
  auto b = batch(kStart);
  b.interfaces[0].seen = {5, 500};
  b.interfaces[0].filtered = {1, 28};
  b.interfaces[1].seen = b.interfaces[1].filtered = {3, 84};  // ARP, say
  const auto lines = windows.add(b);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].interface.interface, kEth1);
  EXPECT_EQ(lines[0].status, LogStatus::nodata);
}

TEST(Windows, RecordsWithoutPacketsAreNoTraffic) {
  Windows windows;
  auto b = batch(kStart);
  add_record(b, kEth0);
  b.records[0].packets = 0;
  b.records[0].rtt_samples = 1;
  add_record(b, kEth1);
  b.records[1].packets = 0;
  b.records[1].refused_packets = 1;
  const auto lines = windows.add(b);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].interface.interface, kEth0);
  EXPECT_EQ(lines[0].status, LogStatus::nodata);
}

TEST(Windows, InterfacesThatWereDownGiveNothing) {
  Windows windows;
  auto b = batch(kStart);
  b.interfaces[0].up = b.interfaces[1].up = false;
  EXPECT_TRUE(windows.add(b).empty());
}

TEST(Windows, LossGivesSkipDataBesideRecordsAndInsteadOfNoData) {
  Windows windows;
  auto b = batch(kStart);
  add_record(b, kEth0);
  b.interfaces[0].lost = {1, 100};
  b.interfaces[1].lost = {2, 200};
  const auto lines = windows.add(b);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].status, LogStatus::skipdata);
  EXPECT_EQ(lines[1].status, LogStatus::skipdata);
}

TEST(Windows, AWindowMayComeInSeveralBatches) {
  Windows windows;
  auto first = batch(kStart);
  first.watermark = kStart + 30 * kSecond;
  first.interfaces[1].lost = {1, 1};
  add_record(first, kEth0);
  EXPECT_TRUE(windows.add(first).empty());
  auto second = batch(kStart);
  const auto lines = windows.add(second);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].interface.interface, kEth1);
  EXPECT_EQ(lines[0].status, LogStatus::skipdata);
  EXPECT_EQ(lines[0].interface.lost, (Volume{1, 1}));
}

TEST(Windows, AClosedWindowStaysClosed) {
  Windows windows;
  EXPECT_EQ(windows.add(batch(kStart)).size(), 2u);
  auto late = batch(kStart);
  add_record(late, kEth0);
  EXPECT_TRUE(windows.add(late).empty());
  late.interfaces[0].lost = {1, 1};
  const auto lines = windows.add(late);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].status, LogStatus::skipdata);
}

TEST(Windows, EndOfInputClosesAll) {
  Windows windows;
  auto b = batch(kStart);
  b.watermark = kStart + kSecond;
  EXPECT_TRUE(windows.add(b).empty());
  Batch end;
  end.watermark = kEndOfInput;
  EXPECT_EQ(windows.add(end).size(), 2u);
}

TEST(Windows, WithoutAggregatorTheMinutesOfTheWatermarkCount) {
  Windows windows;
  std::size_t lines = 0;
  for (TimeNs second = 1; second <= 120; ++second) {
    auto b = batch(0);
    b.window = {};
    b.watermark = kStart + second * kSecond;
    if (second <= 60) add_record(b, kEth0);
    lines += windows.add(b).size();
  }
  EXPECT_EQ(lines, 3u);  // eth1 in the first minute, both in the second
}

}  // namespace
}  // namespace fffa::vpc_flow_log
