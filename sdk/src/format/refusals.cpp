// SPDX-License-Identifier: MIT
#include "format/refusals.h"

#include <algorithm>
#include <utility>

namespace fffa::detail {

Refusals::Accepted Refusals::settle(const FlowRecord& record, bool refused) {
  const FlowKey key = identity(record);
  // A cumulative record speaks of all windows at once: nothing to carry.
  const Deficit carried = record.cumulative ? Deficit{} : take(key);
  auto packets = static_cast<std::int64_t>(record.packets) - carried.packets;
  auto bytes = static_cast<std::int64_t>(record.bytes) - carried.bytes;
  if (refused) {
    packets -= static_cast<std::int64_t>(record.refused_packets);
    bytes -= static_cast<std::int64_t>(record.refused_bytes);
  }
  const Accepted accepted = packets <= 0 ? Accepted{}
                                         : Accepted{static_cast<std::uint64_t>(packets),
                                                    static_cast<std::uint64_t>(std::max<std::int64_t>(bytes, 0))};
  const Deficit left{static_cast<std::int64_t>(accepted.packets) - packets,
                     static_cast<std::int64_t>(accepted.bytes) - bytes};
  if (!record.cumulative && (left.packets != 0 || left.bytes != 0)) keep(key, left);
  return accepted;
}

Refusals::Deficit Refusals::take(const FlowKey& key) {
  for (auto* deficits : {&newer_, &older_}) {
    if (const auto node = deficits->extract(key)) return node.mapped();
  }
  return {};
}

void Refusals::keep(const FlowKey& key, Deficit deficit) {
  if (newer_.size() >= kCapacity / 2) {
    lost_ += older_.size();
    older_ = std::exchange(newer_, {});
  }
  newer_.emplace(key, deficit);
}

}  // namespace fffa::detail
