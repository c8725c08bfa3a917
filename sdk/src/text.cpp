// SPDX-License-Identifier: MIT
#include "fffa/text.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace fffa {

// Texts stand in blocks that never move. The views of texts stand in chunks that never move either: a reader that
// knows a handle below size_ finds its chunk and its view completely written, because size_ is stored (release)
// after them.

TextTable::TextTable(std::size_t max_texts, std::size_t max_bytes)
    : max_texts_(std::min<std::size_t>(max_texts, std::numeric_limits<std::uint32_t>::max() - 1)),
      max_bytes_(max_bytes),
      chunks_(new std::atomic<Chunk*>[max_texts_ / kChunk + 1]()) {}

TextTable::~TextTable() {
  for (std::size_t i = 0; i <= max_texts_ / kChunk; ++i) delete chunks_[i].load(std::memory_order_relaxed);
}

Text TextTable::intern(std::string_view text) {
  if (text.empty()) return Text::null;
  const std::lock_guard lock(mutex_);
  if (const auto found = handles_.find(text); found != handles_.end()) return found->second;
  const std::size_t index = size_.load(std::memory_order_relaxed);
  if (index >= max_texts_ || text.size() > max_bytes_ - bytes_) {
    overflows_.fetch_add(1, std::memory_order_relaxed);
    return Text::null;
  }
  auto& chunk = chunks_[index / kChunk];
  if (!chunk.load(std::memory_order_relaxed)) chunk.store(new Chunk, std::memory_order_release);
  const std::string_view stored = store(text);
  const auto handle = static_cast<Text>(index + 1);
  handles_.emplace(stored, handle);
  (*chunk.load(std::memory_order_relaxed))[index % kChunk] = stored;
  size_.store(index + 1, std::memory_order_release);
  return handle;
}

std::string_view TextTable::view(Text handle) const noexcept {
  const std::size_t number = static_cast<std::size_t>(handle);
  if (number == 0 || number > size_.load(std::memory_order_acquire)) return {};
  const Chunk* chunk = chunks_[(number - 1) / kChunk].load(std::memory_order_acquire);
  return (*chunk)[(number - 1) % kChunk];
}

std::string_view TextTable::store(std::string_view text) {
  constexpr std::size_t kBlock = std::size_t{64} << 10;
  char* place = nullptr;
  if (text.size() > kBlock / 4) {  // a block of its own, so that the rest of the open one is not wasted
    blocks_.insert(blocks_.begin(), std::make_unique<char[]>(text.size()));
    place = blocks_.front().get();
  } else {
    if (block_size_ - block_used_ < text.size()) {
      blocks_.push_back(std::make_unique<char[]>(kBlock));
      block_size_ = kBlock;
      block_used_ = 0;
    }
    place = blocks_.back().get() + block_used_;
    block_used_ += text.size();
  }
  std::memcpy(place, text.data(), text.size());
  bytes_ += text.size();
  return {place, text.size()};
}

std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xED && byte(1) >= 0xA0;
  const bool beyond = lead == 0xF4 && byte(1) >= 0x90;  // U+10FFFF
  return overlong || surrogate || beyond ? 0 : length;
}

}  // namespace fffa
