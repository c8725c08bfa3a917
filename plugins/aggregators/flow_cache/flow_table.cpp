// SPDX-License-Identifier: MIT
#include "flow_table.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace fffa::flow_cache {
namespace {

constexpr std::size_t kMinCells = 32;

template <typename T>
T field(const Chunk::Head& head, std::size_t offset) noexcept {
  T value;
  std::memcpy(&value, head.bytes.data() + offset, sizeof value);
  return value;
}

bool is(const Chunk::Head& head, const FlowKey& key) noexcept {
  return field<Tuple>(head, offsetof(FlowRecord, flow)) == key.flow &&
         field<Text>(head, offsetof(FlowRecord, interface)) == key.interface &&
         field<Direction>(head, offsetof(FlowRecord, direction)) == key.direction &&
         field<Text>(head, offsetof(FlowRecord, host)) == key.host &&
         field<std::uint32_t>(head, offsetof(FlowRecord, vni)) == key.vni &&
         field<Encapsulation>(head, offsetof(FlowRecord, encapsulation)) == key.encapsulation;
}

const FlowRecord kEmpty{};

const std::byte* tail_of(const FlowRecord& record) noexcept {
  return reinterpret_cast<const std::byte*>(&record) + kHeadBytes;
}

// Whether nothing in a record's tail differs from that of an empty one. (Its bytes may: between members they are
// anything.)
bool has_empty_tail(const FlowRecord& r) noexcept {
  const auto n = [](Text text) { return static_cast<std::uint64_t>(text); };
  const std::uint64_t numbers =
      n(r.netfilter_table) | n(r.netfilter_chain) | n(r.netfilter_target) | n(r.netfilter_match_info) |
      r.netfilter_rule_num | r.netfilter_accepts | r.netfilter_drops | r.netfilter_rejects | r.netfilter_queues |
      r.refused_packets | r.refused_bytes | static_cast<std::uint64_t>(r.refused_first_seen) |
      static_cast<std::uint64_t>(r.refused_last_seen) | r.refused_vpc_tcp_flags | n(r.drop_reason) | r.drops |
      r.nat.family | n(r.aws.account) | n(r.aws.vpc) | n(r.aws.subnet) | n(r.aws.instance) | n(r.aws.az) |
      n(r.aws.az_id) | n(r.aws.region) | n(r.aws.eni) | r.gwlb_endpoint_id | r.gwlb_attachment_id | r.gwlb_flow_cookie |
      static_cast<std::uint64_t>(r.flow_end_reason) | r.cumulative | r.incomplete | r.label_count | r.labels_lost;
  return numbers == 0;
}

}  // namespace

std::unique_ptr<Chunk> ChunkPool::take() {
  ++in_use_;
  if (free_.empty()) return std::make_unique_for_overwrite<Chunk>();
  auto chunk = std::move(free_.back());
  free_.pop_back();
  return chunk;
}

void ChunkPool::give(std::unique_ptr<Chunk> chunk) {
  --in_use_;
  if (chunk->tails) --tails_;
  chunk->tails.reset();
  free_.push_back(std::move(chunk));
}

void ChunkPool::add_tails(Chunk& chunk) {
  ++tails_;
  chunk.tails = std::make_unique_for_overwrite<Chunk::Tails>();
  for (auto& tail : *chunk.tails) std::memcpy(tail.data(), tail_of(kEmpty), kTailBytes);
}

void ChunkPool::trim() {
  if (free_.size() > in_use_) free_.resize(in_use_);
}

void Place::prefetch() const noexcept {
  const auto* head = chunk_->heads[index_].bytes.data();
  for (std::size_t at = 0; at < kHeadBytes; at += 64) __builtin_prefetch(head + at, 1);
  if (!chunk_->tails) return;
  const auto* tail = (*chunk_->tails)[index_].data();
  for (std::size_t at = 0; at < kTailBytes; at += 64) __builtin_prefetch(tail + at, 1);
}

void FlowTable::load(const Place& place, FlowRecord& record) noexcept {
  auto* bytes = reinterpret_cast<std::byte*>(&record);
  std::memcpy(bytes, place.chunk_->heads[place.index_].bytes.data(), kHeadBytes);
  const auto& tails = place.chunk_->tails;
  std::memcpy(bytes + kHeadBytes, tails ? (*tails)[place.index_].data() : tail_of(kEmpty), kTailBytes);
}

void FlowTable::store(const Place& place, const FlowRecord& record) {
  Chunk& chunk = *place.chunk_;
  std::memcpy(chunk.heads[place.index_].bytes.data(), &record, kHeadBytes);
  if (!chunk.tails) {
    if (has_empty_tail(record)) return;
    pool_->add_tails(chunk);
  }
  std::memcpy((*chunk.tails)[place.index_].data(), tail_of(record), kTailBytes);
}

Place FlowTable::find(const FlowKey& key, std::uint64_t hash) noexcept {
  if (cells_.empty()) return {};
  const std::uint32_t tag = tag_of(hash);
  for (std::size_t i = tag & mask(); cells_[i].tag != 0; i = (i + 1) & mask()) {
    if (cells_[i].tag != tag || !live(cells_[i].slot)) continue;
    const Place found = at(cells_[i].slot);
    if (is(found.chunk_->heads[found.index_], key)) return found;
  }
  return {};
}

void FlowTable::prefetch_record(std::uint64_t hash) const noexcept {
  if (cells_.empty()) return;
  const Cell cell = cells_[tag_of(hash) & mask()];
  if (cell.tag == 0 || !live(cell.slot)) return;
  const Place found = at(cell.slot);
  const auto* head = found.chunk_->heads[found.index_].bytes.data();
  __builtin_prefetch(head, 1);
  __builtin_prefetch(head + 64, 1);
}

Place FlowTable::append(const FlowRecord& record, std::uint64_t hash) {
  // At most three quarters full. Stale cells may be what fills it: then the new index is no bigger than the old.
  if ((cells_used_ + 1) * 4 > cells_.size() * 3) reindex(std::max(kMinCells, std::bit_ceil((count_ + 1) * 2)));
  const std::uint32_t offset = next_slot_ - first_slot_;
  if (offset == chunks_.size() * kChunkRecords) chunks_.push_back(pool_->take());
  const std::uint32_t slot = next_slot_++;
  ++count_;
  place({tag_of(hash), slot});
  const Place made = at(slot);
  store(made, record);
  return made;
}

void FlowTable::place(Cell cell) noexcept {
  std::size_t i = cell.tag & mask();
  while (cells_[i].tag != 0 && live(cells_[i].slot)) i = (i + 1) & mask();
  if (cells_[i].tag == 0) ++cells_used_;
  cells_[i] = cell;
}

void FlowTable::reindex(std::size_t cells) {
  std::vector<Cell> old(cells);
  old.swap(cells_);
  cells_used_ = 0;
  for (const Cell& cell : old) {
    if (cell.tag != 0 && live(cell.slot)) place(cell);
  }
}

std::span<FlowRecord> FlowTable::front() {
  front_.resize(front_size());
  for (std::size_t i = 0; i < front_.size(); ++i) load({*chunks_.front(), i}, front_[i]);
  return front_;
}

void FlowTable::drop_front() {
  const std::size_t dropped = front_size();
  if (dropped == 0) return;
  count_ -= dropped;
  pool_->give(std::move(chunks_.front()));
  chunks_.pop_front();
  first_slot_ += kChunkRecords;
  if (chunks_.empty()) next_slot_ = first_slot_;
}

void FlowTable::clear() {
  while (!empty()) drop_front();
  // Keeps the index for the next window, unless it was made for a far bigger one.
  if (cells_used_ * 8 < cells_.size() && cells_.size() > kMinCells) {
    cells_ = std::vector<Cell>(cells_.size() / 4);
  } else {
    std::fill(cells_.begin(), cells_.end(), Cell{});
  }
  cells_used_ = 0;
}

void FlowTable::swap(FlowTable& other) noexcept {
  std::swap(pool_, other.pool_);
  chunks_.swap(other.chunks_);
  front_.swap(other.front_);
  cells_.swap(other.cells_);
  std::swap(cells_used_, other.cells_used_);
  std::swap(count_, other.count_);
  std::swap(first_slot_, other.first_slot_);
  std::swap(next_slot_, other.next_slot_);
}

}  // namespace fffa::flow_cache
