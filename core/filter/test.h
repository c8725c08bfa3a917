// SPDX-License-Identifier: MIT
// Test: one comparison of a field with values, the smallest part of a filter.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "fffa/fields.h"
#include "fffa/text.h"

namespace fffa::core {

// Any value of a field of whole numbers, of which some are negative.
struct Number {
  bool negative = false;
  std::uint64_t bits = 0;  // two's complement where negative
  friend bool operator==(const Number&, const Number&) = default;
  friend std::strong_ordering operator<=>(const Number& a, const Number& b) noexcept {
    if (a.negative != b.negative) return b.negative <=> a.negative;
    return a.bits <=> b.bits;
  }
};

struct Prefix {
  Address address{};
  std::uint8_t family = 0;
  unsigned bits = 0;
  bool contains(const Address& other, std::uint8_t other_family) const noexcept;
};

struct Test {
  enum class Kind : std::uint8_t {
    is_null,
    is_true,
    among,  // one of `numbers`, `texts` or `prefixes`, whichever are there
    below,  // less than numbers[0]
    above,
  };
  const Field* field = nullptr;
  Kind kind = Kind::is_true;
  bool negated = false;  // of a value that is there: a null is neither among nor not among anything
  std::vector<Number> numbers;
  std::vector<std::string> texts;
  std::vector<Prefix> prefixes;

  bool holds(const FlowRecord& record, const TextTable& table) const noexcept;
};

}  // namespace fffa::core
