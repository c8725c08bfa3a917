// SPDX-License-Identifier: MIT
// FlowCache's output: which windows close, what their records say, and how they go out.
#include <algorithm>

#include "flow_cache.h"

namespace fffa::flow_cache {
namespace {

constexpr std::size_t kSpareTables = 4;
// Empty windows that become due at once, and more of them than this, are passed over: a long gap in a capture, or a
// damaged time.
constexpr std::int64_t kLongestGap = 100'000;

TimeNs first_activity(const FlowRecord& record) noexcept {
  if (record.first_seen == 0) return record.refused_first_seen;
  return record.refused_first_seen == 0 ? record.first_seen : std::min(record.first_seen, record.refused_first_seen);
}
TimeNs last_activity(const FlowRecord& record) noexcept {
  return std::max(record.last_seen, record.refused_last_seen);
}

// True if both sides closed the connection, or one aborted it. A reset counts by itself only where the state of the
// connection is not known: with a state it may belong to an earlier connection of the same ports.
bool tcp_ended(const FlowRecord& record) noexcept {
  constexpr std::uint8_t kReset = 4;
  switch (record.conn_state) {
    case ConnState::SF:
    case ConnState::REJ:
    case ConnState::RSTO:
    case ConnState::RSTR:
    case ConnState::RSTOS0:
    case ConnState::RSTRH: return true;
    case ConnState::none:
    case ConnState::OTH: return record.has(Has::tcp) && (record.tcp_flags & kReset) != 0;
    default: return false;
  }
}

// Reasons that an earlier flow_cache gave for a record, while the flow went on.
bool goes_on(FlowEndReason reason) noexcept {
  return reason == FlowEndReason::active_timeout || reason == FlowEndReason::lack_of_resources;
}

std::vector<Text> lossy(const std::vector<InterfaceStatus>& statuses) {
  std::vector<Text> interfaces;
  for (const auto& status : statuses) {
    if (status.lost.packets != 0) interfaces.push_back(status.interface);
  }
  return interfaces;
}

void mark_incomplete(FlowRecord& record, const std::vector<Text>& lossy) noexcept {
  if (std::find(lossy.begin(), lossy.end(), record.interface) != lossy.end()) record.incomplete = true;
}

}  // namespace

bool has_no_packets(const FlowRecord& record) noexcept {
  return record.packets == 0 && record.rtt_samples != 0;
}

void begin_total(FlowRecord& delta) noexcept {
  delta.cumulative = true;
  delta.new_packets = delta.packets;
  delta.new_bytes = delta.bytes;
  if (goes_on(delta.flow_end_reason)) delta.flow_end_reason = FlowEndReason::none;
}

void FlowCache::advance(Emitter& emitter) {
  while (closing_ || begin_closing()) {
    if (!emit_closing(emitter, true)) return;
  }
  if (ended_) totals_.clear();  // interval mode: ages
  const TimeNs reached = ended_ ? kEndOfInput : open_from_ == kNone ? 0 : open_from_ * options_.interval;
  if (reached <= reported_) return;
  Batch batch;
  batch.watermark = reported_ = reached;
  emitter.emit(std::move(batch), {});
}

// Takes the next window that is due. False: none is.
bool FlowCache::begin_closing() {
  const Index limit = closable();
  if (limit == kNone) return false;
  const Index first = windows_.empty() ? limit + 1 : std::min(windows_.begin()->first, limit + 1);
  if (first < open_from_) {
    start_closing(first, true, false);
    return true;
  }
  // Windows without anything to say are passed over; a live total or a monitored interface has something to say in
  // each.
  Index index = first;
  if (open_from_ != kNone && first - open_from_ <= kLongestGap) {
    const bool alive = options_.cumulative && !totals_.empty();
    if (alive || interfaces_.any(window(open_from_))) index = open_from_;
  }
  open_from_ = std::max(open_from_, std::min(index, limit) + 1);
  if (index > limit) return false;
  start_closing(index, false, ended_ && index == limit);
  return true;
}

// The last window that may be closed, or kNone.
FlowCache::Index FlowCache::closable() const noexcept {
  if (!ended_) {
    const TimeNs complete = watermark_ - options_.lateness;
    return complete < options_.interval
               ? kNone
               : std::max(complete / options_.interval - 1, open_from_ - (open_from_ != kNone));
  }
  Index last = windows_.empty() ? kNone : windows_.rbegin()->first;
  if (options_.cumulative && !totals_.empty()) last = std::max({last, open_from_, (now() - 1) / options_.interval});
  if (interfaces_.until() > 0) last = std::max(last, (interfaces_.until() - 1) / options_.interval);
  return open_from_ == kNone ? last : std::max(last, open_from_ - 1);
}

void FlowCache::start_closing(Index index, bool late, bool last) {
  closing_.emplace(Closing{index, window(index), Pending{FlowTable(pool_), {}, {}, 0}, late, last, {}, {}});
  if (auto node = windows_.extract(index)) closing_->pending = std::move(node.mapped());
  auto& statuses = closing_->pending.statuses;
  if (!late) interfaces_.complete(closing_->window, statuses);
  closing_->lossy = lossy(statuses);
  if (options_.cumulative) fold_totals();
}

// Merges the window's deltas into the totals of their flows.
void FlowCache::fold_totals() {
  FlowTable& deltas = closing_->pending.records;
  while (!deltas.empty()) {
    const auto oldest = deltas.front();
    for (auto& delta : oldest) begin_total(delta);
    merge_into(totals_, oldest);
    deltas.drop_front();
  }
}

// Emits what is left of the window. False: there was no room for all of it.
bool FlowCache::emit_closing(Emitter& emitter, bool wait_for_room) {
  const FlowTable& left = options_.cumulative ? totals_ : closing_->pending.records;
  for (bool more = true; more;) {
    if (wait_for_room && !emitter.room()) return false;
    Batch batch;
    batch.records = next_records();
    batch.window = closing_->window;
    more = !left.empty();
    if (closing_->late) late_records_ += batch.size();
    auto& pending = closing_->pending;
    batch.interfaces = more ? identities(pending.statuses) : std::move(pending.statuses);
    if (batch.empty() && batch.interfaces.empty()) break;
    if (!more && !closing_->late) reported_ = std::max(reported_, closing_->window.end);
    batch.watermark = reported_;
    emitter.emit(std::move(batch), more ? pending.tickets : std::move(pending.tickets));
  }
  finish_closing();
  return true;
}

void FlowCache::finish_closing() {
  if (options_.cumulative) {
    totals_ = std::move(survivors_);  // swaps: the other is empty
  } else if (options_.active_timeout > 0) {
    forget_ages();
  }
  survivors_.clear();
  closing_->pending.records.clear();
  if (spare_.size() < kSpareTables) spare_.push_back(std::move(closing_->pending.records));
  interfaces_.forget(closing_->window.start);
  closing_.reset();
  pool_.trim();
}

// At most a batch of the window's records, ready to go.
std::vector<FlowRecord> FlowCache::next_records() {
  FlowTable& from = options_.cumulative ? totals_ : closing_->pending.records;
  std::vector<FlowRecord> out;
  out.reserve(std::min(kBatchRecords, from.size()));
  while (!from.empty() && out.size() + kChunkRecords <= kBatchRecords) {
    for (auto& record : from.front()) {
      if (!options_.cumulative && has_no_packets(record) && move_on(record)) continue;
      mark_incomplete(record, closing_->lossy);
      const FlowEndReason reason = end_reason(record);
      record.flow_end_reason = reason;
      if (options_.cumulative) {
        out.push_back(record);
        if (reason != FlowEndReason::none) continue;
        record.new_packets = record.new_bytes = 0;
        survivors_.append(record, hash(identity(record)));
      } else {
        if (options_.active_timeout > 0) track_age(record);
        out.push_back(record);
      }
    }
    from.drop_front();
  }
  return out;
}

// True if another window took the record, and its tickets.
bool FlowCache::move_on(const FlowRecord& record) {
  const Index index = merge_round_trips(record);
  if (index == kNone) return false;
  auto& told = closing_->told;
  if (std::find(told.begin(), told.end(), index) == told.end()) {
    told.push_back(index);
    auto& tickets = windows_.at(index).tickets;
    tickets.insert(tickets.end(), closing_->pending.tickets.begin(), closing_->pending.tickets.end());
  }
  return true;
}

// Why the flow ends with this record, as far as the window's end can tell.
FlowEndReason FlowCache::end_reason(const FlowRecord& record) noexcept {
  if (record.flow_end_reason != FlowEndReason::none) return record.flow_end_reason;
  if (tcp_ended(record)) return FlowEndReason::end_of_flow;
  const TimeNs time = ended_ ? std::min(closing_->window.end, now()) : closing_->window.end;
  if (options_.idle_timeout > 0 && time - last_activity(record) >= options_.idle_timeout)
    return FlowEndReason::idle_timeout;
  if (options_.cumulative) {
    if (options_.active_timeout > 0 && time - first_activity(record) >= options_.active_timeout) {
      return FlowEndReason::active_timeout;
    }
    return closing_->last ? FlowEndReason::forced_end : FlowEndReason::none;
  }
  return ended_ && !comes_again(record) ? FlowEndReason::forced_end : FlowEndReason::none;
}

// True if a later window has the flow too.
bool FlowCache::comes_again(const FlowRecord& record) noexcept {
  const FlowKey key = identity(record);
  const std::uint64_t hashed = hash(key);
  return std::any_of(windows_.begin(), windows_.end(),
                     [&](auto& entry) { return static_cast<bool>(entry.second.records.find(key, hashed)); });
}

// Interval mode with an active timeout: totals_ knows since when the flow has been active.
void FlowCache::track_age(FlowRecord& record) {
  const FlowKey key = identity(record);
  const std::uint64_t hashed = hash(key);
  FlowRecord total = record;
  Place place = totals_.find(key, hashed);
  if (place) {
    FlowTable::load(place, total);
    merge(total, record);
  } else {
    place = totals_.append(record, hashed);
  }
  if (record.flow_end_reason == FlowEndReason::none &&
      closing_->window.end - first_activity(total) >= options_.active_timeout) {
    record.flow_end_reason = FlowEndReason::active_timeout;
  }
  total.flow_end_reason = record.flow_end_reason;
  totals_.store(place, total);
}

void FlowCache::forget_ages() {
  while (!totals_.empty()) {
    for (const auto& total : totals_.front()) {
      const bool silent =
          options_.idle_timeout > 0 && closing_->window.end - last_activity(total) >= options_.idle_timeout;
      if (total.flow_end_reason == FlowEndReason::none && !silent) survivors_.append(total, hash(identity(total)));
    }
    totals_.drop_front();
  }
  totals_ = std::move(survivors_);
}

}  // namespace fffa::flow_cache
