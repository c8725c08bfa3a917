// SPDX-License-Identifier: MIT
// Numbers, addresses and times as characters. Each function writes at `out` and returns the end; the caller has
// room (print.h says how much).
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "fffa/record.h"

namespace fffa::detail {

inline constexpr std::size_t kNumberChars = 20;  // the longest 64-bit number, sign included
inline constexpr TimeNs kNsPerSecond = 1'000'000'000;

inline constexpr auto kPairs = [] {
  std::array<char, 200> pairs{};
  for (unsigned i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();

inline char* put(char* out, std::string_view text) noexcept {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

inline char* put_pair(char* out, unsigned value) noexcept {
  std::memcpy(out, &kPairs[2 * value], 2);
  return out + 2;
}

inline constexpr auto kPowersOfTen = [] {
  std::array<std::uint64_t, 20> powers{};
  std::uint64_t power = 1;
  for (auto& p : powers) {
    p = power;
    power *= 10;  // wraps after the last, which is not used
  }
  return powers;
}();

// Of a value above 0.
inline unsigned count_digits(std::uint64_t value) noexcept {
  const auto guess = static_cast<unsigned>(std::bit_width(value | 1)) * 1233 >> 12;  // log10(2) = 1233/4096
  return guess + (value >= kPowersOfTen[guess] ? 1 : 0);
}

inline char* put_number(char* out, std::uint64_t value) noexcept {
  if (value < 10) {  // most counters are small
    *out = static_cast<char>('0' + value);
    return out + 1;
  }
  char* const end = out + count_digits(value);
  char* place = end;
  while (value >= 100) {
    place -= 2;
    put_pair(place, static_cast<unsigned>(value % 100));
    value /= 100;
  }
  if (value >= 10) {
    put_pair(place - 2, static_cast<unsigned>(value));
  } else {
    place[-1] = static_cast<char>('0' + value);
  }
  return end;
}

inline char* put_signed(char* out, std::int64_t value) noexcept {
  if (value >= 0) return put_number(out, static_cast<std::uint64_t>(value));
  *out = '-';
  return put_number(out + 1, ~static_cast<std::uint64_t>(value) + 1);
}

inline char* put_hex(char* out, std::uint64_t value, int digits) noexcept {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) *out++ = "0123456789abcdef"[value >> shift & 15];
  return out;
}

inline char* put_ipv4(char* out, const Address& address) noexcept {
  for (std::size_t i = 0; i < 4; ++i) {
    const unsigned octet = address[i];
    if (octet >= 100) *out++ = static_cast<char>('0' + octet / 100);
    if (octet >= 10) {
      out = put_pair(out, octet % 100);
    } else {
      *out++ = static_cast<char>('0' + octet);
    }
    *out++ = '.';
  }
  return out - 1;
}

// RFC 5952.
char* put_ipv6(char* out, const Address& address) noexcept;

inline char* put_address(char* out, const Address& address, std::uint8_t family) noexcept {
  if (family == 4) return put_ipv4(out, address);
  if (family == 6) return put_ipv6(out, address);
  *out = '-';
  return out + 1;
}

// "YYYY-MM-DD" of a day counted from 1970-01-01, with the given separator ('\0': none).
char* put_date(char* out, std::uint32_t day, char separator) noexcept;

// Prints times that lie near each other: keeps the date of the last one.
class TimePrinter {
 public:
  char* put(char* out, TimeNs time) noexcept {
    if (time < 0) time = 0;
    const auto seconds = static_cast<std::uint64_t>(time) / kNsPerSecond;
    const auto micros = static_cast<unsigned>(static_cast<std::uint64_t>(time) % kNsPerSecond / 1000);
    const auto day = static_cast<std::uint32_t>(seconds / 86400);
    const auto second = static_cast<unsigned>(seconds % 86400);
    if (day != day_) {
      put_date(date_.data(), day, '-');
      day_ = day;
    }
    std::memcpy(out, date_.data(), date_.size());
    out[10] = 'T';
    put_pair(out + 11, second / 3600);
    out[13] = ':';
    put_pair(out + 14, second / 60 % 60);
    out[16] = ':';
    put_pair(out + 17, second % 60);
    out[19] = '.';
    put_pair(out + 20, micros / 10000);
    put_pair(out + 22, micros / 100 % 100);
    put_pair(out + 24, micros % 100);
    out[26] = 'Z';
    return out + 27;
  }

 private:
  std::uint32_t day_ = ~0u;
  std::array<char, 10> date_{};
};

}  // namespace fffa::detail
