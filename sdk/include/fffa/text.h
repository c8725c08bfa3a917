// SPDX-License-Identifier: MIT
// Text that repeats (names, rule text, metadata) is held once, in a table that the host owns; a record carries a 32-bit
// handle.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fffa {

// Handle of a text in the process's TextTable. Null (no text) is 0. Never serialised: it means nothing outside this
// process.
enum class Text : std::uint32_t { null = 0 };

// Append-only and capped. intern() takes a lock (do it once per name, not per record); view() takes none and is safe
// from any thread for every handle that intern() gave out. Views stay valid for the life of the table, which is the
// life of the process.
class TextTable {
 public:
  // At most `max_texts` different texts of together `max_bytes` bytes.
  explicit TextTable(std::size_t max_texts = std::size_t{1} << 20, std::size_t max_bytes = std::size_t{256} << 20);
  ~TextTable();
  TextTable(const TextTable&) = delete;
  TextTable& operator=(const TextTable&) = delete;

  // The handle of `text`; null if it is empty, or if the table is full (then counted in overflows()).
  Text intern(std::string_view text);
  // The text of a handle; empty for null and for handles this table never gave out.
  std::string_view view(Text handle) const noexcept;
  std::size_t size() const noexcept { return size_.load(std::memory_order_acquire); }
  std::uint64_t overflows() const noexcept { return overflows_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kChunk = 4096;
  using Chunk = std::array<std::string_view, kChunk>;
  std::size_t max_texts_;
  std::size_t max_bytes_;
  std::mutex mutex_;
  std::unordered_map<std::string_view, Text> handles_;
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::size_t block_used_ = 0;
  std::size_t block_size_ = 0;
  std::size_t bytes_ = 0;
  std::unique_ptr<std::atomic<Chunk*>[]> chunks_;
  std::atomic<std::size_t> size_{0};
  std::atomic<std::uint64_t> overflows_{0};

  std::string_view store(std::string_view text);
};

// Bytes of the well-formed UTF-8 character that `text`, which is not empty, begins with; 0 if it is none.
std::size_t utf8_length(std::string_view text) noexcept;

}  // namespace fffa
