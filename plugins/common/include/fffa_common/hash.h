// SPDX-License-Identifier: MIT
// Hashes that stay the same from run to run, for names. Not for secrets, not for tables.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fffa::common {

// FNV-1a, 64 bits, mixed at the end so that every digit depends on every byte.
constexpr std::uint64_t name_hash(std::string_view text, std::uint64_t seed = 0) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325 ^ (seed * 0x9e3779b97f4a7c15);
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  hash = (hash ^ (hash >> 32)) * 0xd6e8feb86659fd93;
  return hash ^ (hash >> 32);
}

// The lowest `digits` hexadecimal digits, lower case.
inline std::string hex(std::uint64_t value, unsigned digits) {
  std::string text(digits, '0');
  for (auto place = text.rbegin(); place != text.rend(); ++place, value >>= 4) *place = "0123456789abcdef"[value & 15];
  return text;
}

}  // namespace fffa::common
