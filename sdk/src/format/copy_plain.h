// SPDX-License-Identifier: MIT
// Copying text that needs no escapes, eight bytes at a time.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace fffa::detail {

inline constexpr std::uint64_t kOnes = 0x0101010101010101;
inline constexpr std::uint64_t kTops = 0x8080808080808080;

// The top bit of each byte of the result: set where the byte of `word` is zero (and perhaps above such a byte: good
// for "is there any").
constexpr std::uint64_t zero_bytes(std::uint64_t word) noexcept {
  return (word - kOnes) & ~word & kTops;
}
constexpr std::uint64_t bytes_equal(std::uint64_t word, char c) noexcept {
  return zero_bytes(word ^ kOnes * static_cast<unsigned char>(c));
}
// Likewise for bytes below `limit` (at most 0x80), where no byte has its top bit set.
constexpr std::uint64_t bytes_below(std::uint64_t word, unsigned limit) noexcept {
  return (word - kOnes * limit) & ~word & kTops;
}

// Copies the next 4 to 8 bytes of `text` if `plain_word` holds for all of them, else nothing. The number of bytes
// copied.
template <bool (*plain_word)(std::uint64_t) noexcept>
std::size_t copy_plain(char* out, std::string_view text) noexcept {
  if (text.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), sizeof word);
    if (!plain_word(word)) return 0;
    std::memcpy(out, &word, sizeof word);
    return sizeof word;
  }
  if (text.size() < 4) return 0;
  std::uint32_t head = 0, tail = 0;  // they overlap
  std::memcpy(&head, text.data(), sizeof head);
  std::memcpy(&tail, text.data() + text.size() - sizeof tail, sizeof tail);
  if (!plain_word(std::uint64_t{head} << 32 | tail)) return 0;
  std::memcpy(out, &head, sizeof head);
  std::memcpy(out + text.size() - sizeof tail, &tail, sizeof tail);
  return text.size();
}

}  // namespace fffa::detail
