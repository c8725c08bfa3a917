// SPDX-License-Identifier: MIT
// Batch: what moves along the edges of the graph.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "fffa/record.h"

namespace fffa {

// Everything was reported: the input has ended. Aggregators flush on it.
inline constexpr TimeNs kEndOfInput = std::numeric_limits<TimeNs>::max();

// Packets and IP-level bytes.
struct Volume {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  Volume& operator+=(const Volume& other) noexcept {
    packets += other.packets;
    bytes += other.bytes;
    return *this;
  }
  friend bool operator==(const Volume&, const Volume&) = default;
};

// What one monitored interface saw since the batch before: deltas, but for `up` and the identity. seen = records'
// volume + filtered + lost, over time.
struct InterfaceStatus {
  Text interface {};
  std::uint32_t ifindex = 0;
  bool up = true;
  Volume seen;             // every packet that reached a hook
  Volume filtered;         // seen, and left out on purpose (not IP, excluded); by reason in the source's metrics
  Volume lost;             // seen, and not reported; by reason in the source's metrics
  AwsIdentity aws;         // filled by enrichers, as for records
  Address primary_ipv4{};  // zero: none
  Address primary_ipv6{};
};

// [start, end) in Unix nanoseconds; both 0: the records belong to no window (they came straight from a source).
struct Window {
  TimeNs start = 0;
  TimeNs end = 0;
  friend bool operator==(const Window&, const Window&) = default;
};

// Shared read-only where an edge fans out; a stage that changes records gets a copy of its own (or the original, if it
// is the only one). Empty batches are legal: a live source sends one per read-out, so that time moves.
class Batch {
 public:
  std::vector<FlowRecord> records;
  Window window;
  // Everything captured up to here is reported: never decreases along an edge. Windows and timeouts advance by it, and
  // by nothing else.
  TimeNs watermark = 0;
  std::vector<InterfaceStatus> interfaces;

  auto begin() const noexcept { return records.begin(); }
  auto end() const noexcept { return records.end(); }
  auto begin() noexcept { return records.begin(); }
  auto end() noexcept { return records.end(); }
  std::size_t size() const noexcept { return records.size(); }
  bool empty() const noexcept { return records.empty(); }
  // Sum over the records of what they add to an account.
  Volume volume() const noexcept {
    Volume sum;
    for (const auto& record : records) sum += {record.accounted_packets(), record.accounted_bytes()};
    return sum;
  }
};

}  // namespace fffa
