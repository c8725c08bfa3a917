// SPDX-License-Identifier: MIT
#include "windows.h"

#include <algorithm>

namespace fffa::vpc_flow_log {
namespace {

constexpr TimeNs kMinute = TimeNs{60} * 1'000'000'000;

bool lost_any(const InterfaceStatus& status) {
  return status.lost.packets != 0 || status.lost.bytes != 0;
}

// Packets of which records told, whether or not they came here.
bool reported_any(const InterfaceStatus& status) {
  return status.seen.packets > status.filtered.packets + status.lost.packets;
}

}  // namespace

std::vector<StatusLine> Windows::add(const Batch& batch) {
  std::vector<StatusLine> lines;
  const Window window = window_of(batch);
  if (window.end > closed_) {
    auto& open = open_[window.start];
    open.end = window.end;
    note(open, batch);
  } else if (window.end != 0) {
    for (const auto& status : batch.interfaces) {
      if (lost_any(status)) lines.push_back({status, LogStatus::skipdata, window.start, window.end});
    }
  }
  watermark_ = std::max(watermark_, batch.watermark);
  while (!open_.empty() && open_.begin()->second.end <= watermark_) {
    const auto& [start, open] = *open_.begin();
    close(start, open, lines);
    closed_ = std::max(closed_, open.end);
    open_.erase(open_.begin());
  }
  return lines;
}

Window Windows::window_of(const Batch& batch) const {
  if (batch.window.end != 0) return batch.window;
  const TimeNs known = batch.watermark == kEndOfInput ? watermark_ : batch.watermark;
  if (known <= 0) return {};
  const TimeNs start = (known - 1) / kMinute * kMinute;
  return {start, start + kMinute};
}

void Windows::note_active(Open& open, Text interface) {
  if (!open.active.empty() && open.active.back() == interface) return;
  if (std::ranges::find(open.active, interface) == open.active.end()) open.active.push_back(interface);
}

void Windows::note(Open& open, const Batch& batch) {
  for (const auto& status : batch.interfaces) {
    if (reported_any(status)) note_active(open, status.interface);
    const auto same = [&status](const Seen& seen) { return seen.status.interface == status.interface; };
    const auto known = std::ranges::find_if(open.interfaces, same);
    if (known == open.interfaces.end()) {
      open.interfaces.push_back({status});
      continue;
    }
    const Volume lost = known->status.lost;
    known->status = status;
    known->status.lost += lost;
  }
  for (const auto& record : batch) {
    if (record.packets == 0 && record.refused_packets == 0) continue;  // tells of packets of an earlier record
    note_active(open, record.interface);
  }
}

void Windows::close(TimeNs start, const Open& open, std::vector<StatusLine>& lines) {
  for (const auto& seen : open.interfaces) {
    const bool active = std::ranges::find(open.active, seen.status.interface) != open.active.end();
    if (lost_any(seen.status)) {
      lines.push_back({seen.status, LogStatus::skipdata, start, open.end});
    } else if (seen.status.up && !active) {
      lines.push_back({seen.status, LogStatus::nodata, start, open.end});
    }
  }
}

}  // namespace fffa::vpc_flow_log
