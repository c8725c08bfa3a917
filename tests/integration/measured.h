// SPDX-License-Identifier: MIT
// What a source measured of the test's TCP connections, added up.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include "live_source.h"

namespace fffa::integration {

// One direction of all connections to the port that tcp_bulk() uses.
struct Measured {
  std::uint64_t retransmissions = 0, out_of_order = 0, rtt_samples = 0, packets = 0, bytes = 0;
  std::uint32_t min_rtt_us = 0;
};
inline Measured data_direction(const LiveSource& source, Direction direction) {
  Measured sum;
  for (const auto& batch : source.batches()) {
    for (const auto& record : batch) {
      if (record.direction != direction || record.flow.dst_port != 7777 || record.flow.protocol != 6) continue;
      sum.retransmissions += record.fast_retransmits + record.timeout_retransmits;
      sum.out_of_order += record.out_of_order_pkts;
      sum.packets += record.packets;
      sum.bytes += record.bytes;
      if (record.rtt_samples == 0) continue;
      sum.min_rtt_us = sum.rtt_samples == 0 ? record.min_rtt_us : std::min(sum.min_rtt_us, record.min_rtt_us);
      sum.rtt_samples += record.rtt_samples;
    }
  }
  return sum;
}

// Nothing lost, and what was seen is in records or filtered.
inline void expect_balance(const LiveSource& source) {
  const Account account = source.account();
  EXPECT_EQ(account.lost.packets, 0u);
  EXPECT_EQ(account.seen.packets, account.records.packets + account.filtered.packets + account.lost.packets);
  EXPECT_EQ(account.seen.bytes, account.records.bytes + account.filtered.bytes + account.lost.bytes);
}

}  // namespace fffa::integration
