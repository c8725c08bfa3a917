// SPDX-License-Identifier: MIT
// What comes in, and what is done when memory runs out. What goes out when a window closes stands in closing.cpp.
#include "flow_cache.h"

#include <algorithm>
#include <array>

namespace fffa::flow_cache {
namespace {

constexpr std::size_t kGroup = 16;       // records looked up together, so that cache misses overlap
constexpr std::size_t kSlackChunks = 8;  // free chunks that a group of records, or the folding of a window, may need
constexpr std::size_t kMinChunks = 64;
constexpr std::size_t kIndexBytes = 24;                            // of the index, per record, while it grows
constexpr std::size_t kFewTotals = kBatchRecords - kChunkRecords;  // totals evicted at a time, or a few more
constexpr std::size_t kPatience = 8192;                            // totals looked through for silent ones

constexpr TimeNs kFarthest = std::numeric_limits<TimeNs>::max() / 4;  // keeps sums of damaged times within range
constexpr TimeNs kMinMonitored = 600'000'000'000;

std::size_t chunk_limit(std::size_t memory) {
  return std::max(kMinChunks, memory / (kWholeChunk + kChunkRecords * kIndexBytes));
}

}  // namespace

FlowCache::FlowCache(const Options& options)
    : options_(options),
      pool_(chunk_limit(options.max_memory)),
      totals_(pool_),
      survivors_(pool_),
      interfaces_(std::max(kMinMonitored, 2 * options.interval)) {}

void FlowCache::add(const Batch& batch, const Ticket& ticket, Emitter& emitter) {
  if (closing_) emit_closing(emitter, false);
  ++batches_;
  take_records(batch, ticket, emitter);
  take_statuses(batch, ticket, emitter);
  if (batch.watermark == kEndOfInput) {
    ended_ = true;
  } else {
    watermark_ = std::max(watermark_, std::min(batch.watermark, kFarthest));
  }
  advance(emitter);
}

void FlowCache::take_records(const Batch& batch, const Ticket& ticket, Emitter& emitter) {
  const std::span<const FlowRecord> records = batch.records;
  for (std::size_t i = 0; i < records.size();) {
    make_room(emitter);
    if (has_no_packets(records[i])) {
      if (const Index merged = merge_round_trips(records[i]); merged != kNone) {
        pending(merged, ticket);
        ++i;
        continue;
      }
    }
    Index index = index_of(records[i]);
    std::size_t end = i + 1;
    while (end < records.size() && end - i < kGroup && index_of(records[end]) == index && !has_no_packets(records[end]))
      ++end;
    if (options_.cumulative && index < open_from_) {
      late_records_ += end - i;
      index = open_from_;  // the next totals carry it
    }
    merge_into(pending(index, ticket).records, records.subspan(i, end - i));
    for (; i < end; ++i) newest_ = std::max(newest_, std::min(records[i].last_seen, kFarthest));
  }
}

// Passes over a group of records: each has brought into the cache what the next one needs.
void FlowCache::merge_into(FlowTable& table, std::span<const FlowRecord> records) {
  std::array<FlowKey, kGroup> keys;
  std::array<std::uint64_t, kGroup> hashes{};
  FlowRecord whole;
  std::array<Place, kGroup> found;
  while (!records.empty()) {
    const std::size_t n = std::min(kGroup, records.size());
    for (std::size_t i = 0; i < n; ++i) {
      keys[i] = identity(records[i]);
      hashes[i] = hash(keys[i]);
      table.prefetch(hashes[i]);
    }
    for (std::size_t i = 0; i < n; ++i) table.prefetch_record(hashes[i]);
    for (std::size_t i = 0; i < n; ++i) {
      found[i] = table.find(keys[i], hashes[i]);
      if (found[i]) {
        found[i].prefetch();
      } else {
        table.append(records[i], hashes[i]);
      }
    }
    for (std::size_t i = 0; i < n; ++i) {
      if (!found[i]) continue;
      FlowTable::load(found[i], whole);
      merge(whole, records[i]);
      table.store(found[i], whole);
    }
    records = records.subspan(n);
  }
}

// Merges a record without packets into one that its flow has in an open window: its own, else the nearest before, else
// the nearest after it. The window, or kNone.
FlowCache::Index FlowCache::merge_round_trips(const FlowRecord& record) {
  const FlowKey key = identity(record);
  const std::uint64_t hashed = hash(key);
  const auto has_it = [&](auto& entry) { return static_cast<bool>(entry.second.records.find(key, hashed)); };
  const auto after = windows_.upper_bound(index_of(record));
  const auto before = std::find_if(std::reverse_iterator(after), windows_.rend(), has_it);
  const auto found = before != windows_.rend() ? std::prev(before.base()) : std::find_if(after, windows_.end(), has_it);
  if (found == windows_.end()) return kNone;
  FlowRecord more = record, whole;
  if (before == windows_.rend()) more.first_seen = more.last_seen = 0;  // that record's times are those of its packets
  FlowTable& table = found->second.records;
  const Place place = table.find(key, hashed);
  FlowTable::load(place, whole);
  merge(whole, more);
  table.store(place, whole);
  return found->first;
}

void FlowCache::take_statuses(const Batch& batch, const Ticket& ticket, Emitter& emitter) {
  if (batch.interfaces.empty()) return;
  const bool timed = batch.watermark != kEndOfInput && batch.watermark > 0;
  const TimeNs until = timed ? std::max(batch.watermark, watermark_) : now();
  if (until <= 0) {  // the input ended before it said what time it is
    Batch out;
    out.interfaces = batch.interfaces;
    out.watermark = reported_;
    emitter.emit(std::move(out), {ticket});
    return;
  }
  for (const auto& status : batch.interfaces) {
    const TimeNs at = interfaces_.note(status, std::min(until, kFarthest));
    const Index index = std::max(open_from_, at / options_.interval);
    add_status(pending(index, ticket).statuses, status);
  }
}

FlowCache::Pending& FlowCache::pending(Index index, const Ticket& ticket) {
  auto place = windows_.find(index);
  if (place == windows_.end()) {
    Pending fresh{FlowTable(pool_), {}, {}, 0};
    if (!spare_.empty()) {
      fresh.records = std::move(spare_.back());
      spare_.pop_back();
    }
    place = windows_.emplace(index, std::move(fresh)).first;
  }
  Pending& pending = place->second;
  if (pending.touched_by != batches_) {
    pending.touched_by = batches_;
    if (ticket) pending.tickets.push_back(ticket);
  }
  return pending;
}

FlowCache::Index FlowCache::index_of(const FlowRecord& record) const noexcept {
  // A record of nothing but refused packets has no first_seen.
  TimeNs time = record.first_seen != 0 ? record.first_seen : record.refused_first_seen;
  if (time == 0) time = now();
  time = std::clamp(time, TimeNs{0}, kFarthest);
  return time / options_.interval;
}

TimeNs FlowCache::now() const noexcept {
  return std::max(watermark_, newest_);
}

std::size_t FlowCache::records() const noexcept {
  std::size_t sum = totals_.size() + survivors_.size();
  for (const auto& [index, pending] : windows_) sum += pending.records.size();
  return closing_ ? sum + closing_->pending.records.size() : sum;
}

std::size_t FlowCache::memory() const noexcept {
  std::size_t sum = pool_.bytes() + totals_.index_bytes() + survivors_.index_bytes();
  for (const auto& [index, pending] : windows_) sum += pending.records.index_bytes();
  for (const auto& table : spare_) sum += table.index_bytes();
  return sum;
}

// ---- memory ---------------------------------------------------------------------------------------------------------

// Early emission, the oldest first, until a group of records has room. Totals go before deltas: they were reported
// already.
void FlowCache::make_room(Emitter& emitter) {
  while (pool_.available() < kSlackChunks) {
    if (!totals_.empty()) {
      if (options_.cumulative) {
        emit_early(std::max(open_from_, watermark_ / options_.interval), evict_totals(), {}, emitter);
      } else {
        totals_.drop_front();  // only an age is forgotten
      }
      continue;
    }
    const auto oldest =
        std::find_if(windows_.begin(), windows_.end(), [](const auto& entry) { return !entry.second.records.empty(); });
    if (oldest == windows_.end()) return;
    FlowTable& table = oldest->second.records;
    std::vector<FlowRecord> records;
    while (!table.empty() && records.size() + kChunkRecords <= kBatchRecords) {
      const auto front = table.front();
      records.insert(records.end(), front.begin(), front.end());
      table.drop_front();
    }
    if (options_.cumulative) {
      for (auto& record : records) begin_total(record);
    }
    emit_early(oldest->first, std::move(records), oldest->second.tickets, emitter);
  }
}

void FlowCache::emit_early(Index index, std::vector<FlowRecord> records, const std::vector<Ticket>& tickets,
                           Emitter& emitter) {
  for (auto& record : records) record.flow_end_reason = FlowEndReason::lack_of_resources;
  early_records_ += records.size();
  Batch batch;
  batch.records = std::move(records);
  batch.window = window(index);
  interfaces_.complete(batch.window, batch.interfaces);
  batch.watermark = reported_;
  emitter.emit(std::move(batch), tickets);
}

// Some totals, those of silent flows if they are found soon.
std::vector<FlowRecord> FlowCache::evict_totals() {
  const TimeNs silent_since = watermark_ - 2 * options_.interval;
  std::vector<FlowRecord> evicted;
  std::vector<FlowRecord> kept;
  for (std::size_t seen = 0; evicted.size() < kFewTotals && !totals_.empty();) {
    kept.clear();
    for (const auto& total : totals_.front()) {
      const bool evict = ++seen > kPatience || total.last_seen < silent_since;
      (evict ? evicted : kept).push_back(total);
    }
    totals_.drop_front();
    for (const auto& total : kept) totals_.append(total, hash(identity(total)));
  }
  return evicted;
}

}  // namespace fffa::flow_cache
