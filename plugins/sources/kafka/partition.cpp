// SPDX-License-Identifier: MIT
#include "partition.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <system_error>

namespace fffa::kafka_source {
namespace {

constexpr std::string_view kReached = "fffa read to ";

}  // namespace

Partition::Id Partition::add(std::int64_t offset, Id open) {
  if (start_ == kNone && offset < committed_) told_ = kNone;  // of a topic that was there before this one
  if (start_ == kNone || offset < start_) start_ = offset;
  if (safe_ == kNone) safe_ = offset;
  position_ = offset + 1;
  const Id newest = first_ + spans_.size() - 1;
  if (!spans_.empty() && open == newest && !spans_.back().acknowledged) {
    spans_.back().next = position_;
    return newest;
  }
  spans_.push_back({position_});
  return first_ + spans_.size() - 1;
}

void Partition::acknowledge(Id span) {
  if (span < first_ || span - first_ >= spans_.size()) return;
  spans_[span - first_].acknowledged = true;
  while (!spans_.empty() && spans_.front().acknowledged) {
    safe_ = spans_.front().next;
    spans_.pop_front();
    ++first_;
  }
}

std::int64_t Partition::uncommitted() const noexcept {
  if (position_ == kNone) return 0;
  return position_ - (committed_ > position_ ? start_ : std::max(committed_, start_));
}

std::string metadata_of(std::int64_t reached) {
  return std::string(kReached) + std::to_string(reached);
}

std::int64_t reached_in(std::string_view metadata) noexcept {
  if (!metadata.starts_with(kReached)) return Partition::kNone;
  metadata.remove_prefix(kReached.size());
  std::int64_t reached = Partition::kNone;
  const auto [end, error] = std::from_chars(metadata.data(), metadata.data() + metadata.size(), reached);
  return error == std::errc{} && end == metadata.data() + metadata.size() && reached >= 0 && reached <= kFurthest
             ? reached
             : Partition::kNone;
}

void Partition::heard(TimeNs newest, Monotonic now) noexcept {
  newest_ = std::max(newest_, newest);
  at_end_ = false;
  if (newest != 0) quiet_since_ = now;
}

void Partition::at_end(Monotonic now) noexcept {
  if (!was_at_end_ && newest_ == 0) quiet_since_ = now;
  at_end_ = was_at_end_ = true;
}

bool Partition::idle(Monotonic now) const noexcept {
  return at_end_ && now - quiet_since_ >= kIdle;
}

TimeNs watermark(const Partitions& partitions, TimeNs wall, std::chrono::nanoseconds now) noexcept {
  if (partitions.empty()) return 0;
  constexpr auto kNobody = std::numeric_limits<TimeNs>::max();
  TimeNs least = kNobody;
  for (const auto& partition : partitions) {
    if (!partition->idle(now)) least = std::min(least, partition->newest());
  }
  return least == kNobody ? wall - kIdle.count() : std::min(least, wall + kAhead);
}

}  // namespace fffa::kafka_source
