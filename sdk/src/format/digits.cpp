// SPDX-License-Identifier: MIT
#include "format/digits.h"

#include "fffa/print.h"

namespace fffa::detail {
namespace {

char* put_group(char* out, unsigned group) noexcept {
  int digits = 4;
  while (digits > 1 && (group >> 4 * (digits - 1)) == 0) --digits;
  return put_hex(out, group, digits);
}

// The longest run of two or more zero groups, the first of equals: {start, length}; length 0 if there is none.
struct Run {
  std::size_t start = 0;
  std::size_t length = 0;
};
Run zero_run(const std::array<unsigned, 8>& groups) noexcept {
  Run best, current;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    current = groups[i] != 0 ? Run{i + 1, 0} : Run{current.start, current.length + 1};
    if (current.length > best.length) best = current;
  }
  return best.length >= 2 ? best : Run{};
}

bool is_v4_mapped(const std::array<unsigned, 8>& groups) noexcept {
  return (groups[0] | groups[1] | groups[2] | groups[3] | groups[4]) == 0 && groups[5] == 0xffff;
}

}  // namespace

char* put_ipv6(char* out, const Address& address) noexcept {
  std::array<unsigned, 8> groups{};
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i] = static_cast<unsigned>(address[2 * i] << 8 | address[2 * i + 1]);
  }
  if (is_v4_mapped(groups)) {
    return put_ipv4(put(out, "::ffff:"), {address[12], address[13], address[14], address[15]});
  }
  const Run run = zero_run(groups);
  for (std::size_t i = 0; i < groups.size();) {
    if (run.length != 0 && i == run.start) {
      out = put(out, i == 0 ? "::" : ":");  // the group before has put the first colon
      i += run.length;
      continue;
    }
    out = put_group(out, groups[i]);
    if (++i < groups.size()) *out++ = ':';
  }
  return out;
}

char* put_date(char* out, std::uint32_t day, char separator) noexcept {
  // Proleptic Gregorian calendar from a day number, years counted from March (so that the leap day is the last).
  const std::uint64_t shifted = day + std::uint64_t{719468};
  const auto era = shifted / 146097;
  const auto day_of_era = shifted % 146097;
  const auto year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const auto day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const auto march_month = (5 * day_of_year + 2) / 153;
  const auto month = static_cast<unsigned>(march_month < 10 ? march_month + 3 : march_month - 9);
  const auto year = static_cast<unsigned>(year_of_era + era * 400 + (month <= 2 ? 1 : 0));
  out = put_pair(put_pair(out, year / 100 % 100), year % 100);
  if (separator != '\0') *out++ = separator;
  out = put_pair(out, month);
  if (separator != '\0') *out++ = separator;
  return put_pair(out, static_cast<unsigned>(day_of_year - (153 * march_month + 2) / 5 + 1));
}

}  // namespace fffa::detail

namespace fffa {

std::size_t print_address(const Address& address, std::uint8_t family, char* out) noexcept {
  return static_cast<std::size_t>(detail::put_address(out, address, family) - out);
}

std::size_t print_time(TimeNs time, char* out) noexcept {
  return static_cast<std::size_t>(detail::TimePrinter{}.put(out, time) - out);
}

}  // namespace fffa
