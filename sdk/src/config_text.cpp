// SPDX-License-Identifier: MIT
#include "config_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>

#include "fffa/config.h"

namespace fffa::detail {

namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr std::array<Unit, 7> kDurations{{{"d", 86'400'000'000'000},
                                          {"h", 3'600'000'000'000},
                                          {"m", 60'000'000'000},
                                          {"s", 1'000'000'000},
                                          {"ms", 1'000'000},
                                          {"us", 1'000},
                                          {"ns", 1}}};
constexpr std::array<Unit, 10> kSizes{{{"TiB", 1ull << 40},
                                       {"TB", 1'000'000'000'000},
                                       {"GiB", 1ull << 30},
                                       {"GB", 1'000'000'000},
                                       {"MiB", 1ull << 20},
                                       {"MB", 1'000'000},
                                       {"KiB", 1ull << 10},
                                       {"kB", 1'000},
                                       {"KB", 1'000},
                                       {"B", 1}}};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Takes "12", "1.5" off the front of `text`; the fraction as a number below 1.
bool take_number(std::string_view& text, std::uint64_t& whole, double& fraction) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  fraction = 0;
  if (text.size() < 2 || text[0] != '.' || !is_digit(text[1])) return true;
  text.remove_prefix(1);
  for (double place = 0.1; !text.empty() && is_digit(text[0]); place /= 10, text.remove_prefix(1))
    fraction += place * (text[0] - '0');
  return true;
}

template <std::size_t N>
const Unit* take_unit(std::string_view& text, const std::array<Unit, N>& units) {
  const std::size_t length = static_cast<std::size_t>(
      std::find_if(text.begin(), text.end(), [](char c) { return is_digit(c); }) - text.begin());
  const auto* unit =
      std::find_if(units.begin(), units.end(), [&](const Unit& each) { return each.name == text.substr(0, length); });
  text.remove_prefix(length);
  return unit == units.end() ? nullptr : unit;
}

template <std::size_t N>
bool parse(std::string_view text, const std::array<Unit, N>& units, std::uint64_t limit, std::uint64_t& sum,
           const char* sample, std::string& hint) {
  sum = 0;
  if (text == "0") return true;
  const std::string all(text);
  do {
    std::uint64_t whole = 0;
    double fraction = 0;
    if (text.empty() || !is_digit(text[0])) return false;
    if (!take_number(text, whole, fraction)) return hint = "too large", false;
    if (text.empty()) return hint = "a unit is missing: write " + all + sample, false;
    const Unit* unit = take_unit(text, units);
    if (!unit) {
      hint = "units are";
      for (auto it = units.rbegin(); it != units.rend(); ++it)
        hint += (it == units.rbegin() ? " " : ", ") + std::string(it->name);
      return false;
    }
    std::uint64_t part = 0;
    if (__builtin_mul_overflow(whole, unit->factor, &part) || __builtin_add_overflow(sum, part, &sum) ||
        __builtin_add_overflow(sum, static_cast<std::uint64_t>(fraction * static_cast<double>(unit->factor) + 0.5),
                               &sum) ||
        sum > limit)
      return hint = "too large", false;
  } while (!text.empty());
  return true;
}

// The largest unit that leaves no remainder.
template <std::size_t N>
std::string print(std::uint64_t number, const std::array<Unit, N>& units) {
  const Unit* best = &units.back();
  for (const auto& unit : units) {
    if (number % unit.factor == 0 && number / unit.factor < number / best->factor) best = &unit;
  }
  return std::to_string(number / best->factor) + std::string(best->name);
}

}  // namespace

bool parse_duration(std::string_view text, std::chrono::nanoseconds& value, std::string& hint) {
  std::uint64_t sum = 0;
  if (!parse(text, kDurations, std::numeric_limits<std::int64_t>::max(), sum, "s", hint)) return false;
  value = std::chrono::nanoseconds(static_cast<std::int64_t>(sum));
  return true;
}

bool parse_size(std::string_view text, ByteSize& value, std::string& hint) {
  return parse(text, kSizes, std::numeric_limits<std::uint64_t>::max(), value.bytes, "B", hint);
}

std::string shown(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  std::string line(text.substr(0, kLongest));
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text.size() > kLongest ? line + "..." : line;
}

std::string text_of(bool value) {
  return value ? "true" : "false";
}
std::string text_of(std::int64_t value) {
  return std::to_string(value);
}
std::string text_of(std::uint64_t value) {
  return std::to_string(value);
}

std::string text_of(double value) {
  std::array<char, 40> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} ? std::string(text.data(), end) : "0";
}

std::string text_of(std::chrono::nanoseconds value) {
  if (value.count() == 0) return "0s";
  const std::uint64_t size = value.count() < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(value.count())
                                               : static_cast<std::uint64_t>(value.count());
  return (value.count() < 0 ? "-" : "") + print(size, kDurations);
}

std::string text_of(ByteSize value) {
  return value.bytes == 0 ? "0" : print(value.bytes, kSizes);
}

std::string quoted_text(const std::string& value) {
  const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '/' ||
           c == '-' || c == '+';
  }) && value[0] != '-';
  if (plain) return value;
  std::string text = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

}  // namespace fffa::detail
