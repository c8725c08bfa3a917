// SPDX-License-Identifier: MIT
#include "format/digits.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <ctime>
#include <random>
#include <string>

#include "fffa/print.h"

namespace fffa::detail {
namespace {

TEST(Digits, NumbersAsToString) {
  std::mt19937_64 random(1);
  const auto check = [](std::uint64_t value) {
    char text[kNumberChars];
    EXPECT_EQ(std::string(text, put_number(text, value)), std::to_string(value));
    char other[kNumberChars];
    const auto as_signed = static_cast<std::int64_t>(value);
    EXPECT_EQ(std::string(other, put_signed(other, as_signed)), std::to_string(as_signed));
  };
  for (std::uint64_t power = 1; power != 0; power *= 10) {
    for (const auto value : {power - 1, power, power + 1}) check(value);
    if (power > ~std::uint64_t{0} / 10) break;
  }
  check(~std::uint64_t{0});
  check(std::uint64_t{1} << 63);
  for (int i = 0; i < 10'000; ++i) check(random() >> (random() % 64));
}

TEST(Digits, Ipv6AsTheCLibrary) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 20'000; ++i) {
    Address address{};
    // Many zero groups, so that runs of all lengths and places occur.
    for (std::size_t group = 0; group < 8; ++group) {
      if (random() % 3 != 0) continue;
      address[2 * group] = static_cast<std::uint8_t>(random() % 2 == 0 ? 0 : random());
      address[2 * group + 1] = static_cast<std::uint8_t>(random());
    }
    char expected[INET6_ADDRSTRLEN];
    ASSERT_NE(inet_ntop(AF_INET6, address.data(), expected, sizeof expected), nullptr);
    // glibc writes addresses such as ::1.2.3.4 with a dotted tail, which RFC 5952 asks for known prefixes only
    if (std::string_view(expected).find('.') != std::string_view::npos &&
        !std::string_view(expected).starts_with("::ffff:"))
      continue;
    char text[kAddressChars];
    EXPECT_EQ(std::string(text, print_address(address, 6, text)), expected);
  }
}

TEST(Digits, Ipv4) {
  char text[kAddressChars];
  for (const auto* expected : {"0.0.0.0", "1.10.100.255", "192.168.5.70", "9.99.199.200"}) {
    Address address{};
    ASSERT_EQ(inet_pton(AF_INET, expected, address.data()), 1);
    EXPECT_EQ(std::string(text, print_address(address, 4, text)), expected);
  }
  EXPECT_EQ(std::string(text, print_address({}, 0, text)), "-");
}

TEST(Digits, TimesAsTheCLibrary) {
  std::mt19937_64 random(3);
  TimePrinter printer;
  for (int i = 0; i < 20'000; ++i) {
    const auto time = static_cast<TimeNs>(random() >> 1);
    const std::time_t seconds = time / kNsPerSecond;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char expected[40];
    auto length = std::strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &parts);
    length += static_cast<std::size_t>(
        std::snprintf(expected + length, 12, ".%06dZ", static_cast<int>(time % kNsPerSecond / 1000)));
    char text[kTimeChars];
    ASSERT_EQ(std::string(text, printer.put(text, time)), std::string(expected, length));
  }
}

TEST(Digits, TimesAreFlooredToTheMicrosecond) {
  char text[kTimeChars];
  EXPECT_EQ(std::string(text, print_time(1'767'225'605'123'456'999, text)), "2026-01-01T00:00:05.123456Z");
  EXPECT_EQ(std::string(text, print_time(-1, text)), "1970-01-01T00:00:00.000000Z");
}

}  // namespace
}  // namespace fffa::detail
