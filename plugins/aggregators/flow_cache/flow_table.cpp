// SPDX-License-Identifier: MIT
#include "flow_table.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace fffa::flow_cache {
namespace {

constexpr std::size_t kMinCells = 32;

bool is(const FlowRecord& record, const FlowKey& key) noexcept {
  return record.flow == key.flow && record.interface == key.interface && record.direction == key.direction &&
         record.host == key.host && record.vni == key.vni && record.encapsulation == key.encapsulation;
}

}  // namespace

std::unique_ptr<Chunk> ChunkPool::take() {
  ++in_use_;
  if (free_.empty()) return std::make_unique<Chunk>();
  auto chunk = std::move(free_.back());
  free_.pop_back();
  return chunk;
}

void ChunkPool::give(std::unique_ptr<Chunk> chunk) {
  --in_use_;
  free_.push_back(std::move(chunk));
}

void ChunkPool::trim() {
  if (free_.size() > in_use_) free_.resize(in_use_);
}

FlowRecord* FlowTable::find(const FlowKey& key, std::uint64_t hash) noexcept {
  if (cells_.empty()) return nullptr;
  const std::uint32_t tag = tag_of(hash);
  for (std::size_t i = tag & mask(); cells_[i].tag != 0; i = (i + 1) & mask()) {
    if (cells_[i].tag != tag || !live(cells_[i].slot)) continue;
    FlowRecord& record = at(cells_[i].slot);
    if (is(record, key)) return &record;
  }
  return nullptr;
}

void FlowTable::prefetch_record(std::uint64_t hash) const noexcept {
  if (cells_.empty()) return;
  const Cell cell = cells_[tag_of(hash) & mask()];
  if (cell.tag == 0 || !live(cell.slot)) return;
  const std::uint32_t offset = cell.slot - first_slot_;
  const auto* head = reinterpret_cast<const char*>(&chunks_[offset / kChunkRecords]->records[offset % kChunkRecords]);
  __builtin_prefetch(head, 1);
  __builtin_prefetch(head + 64, 1);
}

FlowRecord& FlowTable::append(const FlowRecord& record, std::uint64_t hash) {
  // At most three quarters full. Stale cells may be what fills it: then the new index is no bigger than the old.
  if ((cells_used_ + 1) * 4 > cells_.size() * 3) reindex(std::max(kMinCells, std::bit_ceil((count_ + 1) * 2)));
  const std::uint32_t offset = next_slot_ - first_slot_;
  if (offset == chunks_.size() * kChunkRecords) chunks_.push_back(pool_->take());
  const std::uint32_t slot = next_slot_++;
  ++count_;
  place({tag_of(hash), slot});
  return at(slot) = record;
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

std::span<FlowRecord> FlowTable::front() noexcept {
  if (empty()) return {};
  return {chunks_.front()->records.data(), std::min<std::size_t>(kChunkRecords, next_slot_ - first_slot_)};
}

void FlowTable::drop_front() {
  const std::size_t dropped = front().size();
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
  cells_.swap(other.cells_);
  std::swap(cells_used_, other.cells_used_);
  std::swap(count_, other.count_);
  std::swap(first_slot_, other.first_slot_);
  std::swap(next_slot_, other.next_slot_);
}

}  // namespace fffa::flow_cache
