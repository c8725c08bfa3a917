// SPDX-License-Identifier: MIT
// The wall clock is set while packets flow. Sets the clock of the whole machine: for virtual machines
// (tests/vm/integration.sh) only.
#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>

#include "live_source.h"
#include "traffic.h"

namespace fffa::integration {
namespace {

constexpr TimeNs kSecond = 1'000'000'000;
constexpr TimeNs kHour = 3600 * kSecond;

TimeNs wall() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}
void set_wall(TimeNs to) {
  const timespec time{to / kSecond, to % kSecond};
  ASSERT_EQ(::clock_settime(CLOCK_REALTIME, &time), 0);
}

TEST(ClockTest, RecordsKeepTheirDurationsAndTheWatermarkNeverDecreases) {
  const VethPair veth;
  LiveSource source(veth.here, "interfaces: [veth0]\ndrain_interval: 500ms");
  ASSERT_EQ(source.error(), "");
  const TimeNs start = wall();
  udp_exchange(veth.here, veth.there, kThere4, 1, 200);
  set_wall(wall() + kHour);
  EXPECT_TRUE(source.logged("the wall clock was set by "));
  udp_exchange(veth.here, veth.there, kThere4, 1, 200);
  source.wait_for_batches(2);
  set_wall(wall() - kHour);
  source.wait_for_batches(2);
  udp_exchange(veth.here, veth.there, kThere4, 1, 200);
  source.stop();
  const TimeNs end = wall();

  TimeNs watermark = 0;
  std::size_t later = 0, now = 0;
  for (const auto& batch : source.batches()) {
    EXPECT_GE(batch.watermark, watermark);
    watermark = batch.watermark;
    for (const auto& record : batch) {
      EXPECT_GE(record.last_seen, record.first_seen);
      EXPECT_LT(record.last_seen - record.first_seen, 60 * kSecond);
      const bool in_later = record.first_seen > start + kHour - kSecond && record.last_seen < end + kHour + kSecond;
      const bool in_now = record.first_seen > start - kSecond && record.last_seen < end + kSecond;
      EXPECT_TRUE(in_later || in_now) << record.first_seen - start;
      later += in_later;
      now += in_now;
    }
  }
  EXPECT_GT(later, 0u);
  EXPECT_GT(now, 0u);
  const Account account = source.account();
  Volume sum = account.records;
  sum += account.filtered;
  EXPECT_EQ(account.seen, sum);
}

}  // namespace
}  // namespace fffa::integration
