// SPDX-License-Identifier: MIT
#include "edge.h"

#include <algorithm>

namespace fffa::core {

TimeNs merge_watermark(const std::vector<EdgePtr>& inputs, EdgeState& input, TimeNs watermark, TimeNs before,
                       Monotonic::time_point now, std::chrono::nanoseconds silent) {
  input.last = now;
  input.watermark = std::max(input.watermark, watermark);
  input.ended = input.watermark == kEndOfInput;
  bool all_ended = true;
  TimeNs least = kEndOfInput;
  for (const auto& edge : inputs) {
    if (edge->ended) continue;
    all_ended = false;
    if (edge->queued.load() == 0 && now - edge->last > silent) continue;
    least = std::min(least, edge->watermark);
  }
  if (all_ended && !input.detached) return kEndOfInput;
  return least == kEndOfInput ? before : std::max(before, least);
}

}  // namespace fffa::core
