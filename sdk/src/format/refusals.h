// SPDX-License-Identifier: MIT
// Refusals: splits what a record counted into the accepted and the refused part.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "fffa/record.h"

namespace fffa::detail {

// At ingress the refused packets are contained in the record's packets, but a packet may be counted in one window
// and refused in the next. Then more is refused than was counted: that deficit is kept here and taken off the
// flow's next windows, so that over time ACCEPT and REJECT lines add up to what was counted. State: one entry per
// flow with a deficit, at most kCapacity; the older half is given up when that is reached (counted in lost()). It
// does not survive a restart.
class Refusals {
 public:
  static constexpr std::size_t kCapacity = 65'536;
  struct Accepted {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
  };

  // What was accepted. Call once per record, in order.
  Accepted accepted(const FlowRecord& record) {
    const bool refused = record.has(Has::refused) && record.refused_packets != 0;
    if (record.direction == Direction::egress || (!refused && older_.empty() && newer_.empty())) {
      return {record.packets, record.bytes};
    }
    return settle(record, refused);
  }
  // Deficits given up for want of room: their packets appear in an ACCEPT line and in a REJECT line.
  std::uint64_t lost() const noexcept { return lost_; }

 private:
  struct Deficit {
    std::int64_t packets = 0;
    std::int64_t bytes = 0;
  };
  struct Hash {
    std::size_t operator()(const FlowKey& key) const noexcept { return hash(key); }
  };
  using Deficits = std::unordered_map<FlowKey, Deficit, Hash>;
  Deficits newer_, older_;
  std::uint64_t lost_ = 0;

  Accepted settle(const FlowRecord& record, bool refused);
  Deficit take(const FlowKey& key);
  void keep(const FlowKey& key, Deficit deficit);
};

}  // namespace fffa::detail
