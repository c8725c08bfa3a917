// SPDX-License-Identifier: MIT
// Values as text, for stages that print their own way. Nothing allocates; any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "fffa/record.h"

namespace fffa {

// The most characters that each function below writes. No zero byte follows the text.
inline constexpr std::size_t kAddressChars = 45;
inline constexpr std::size_t kTimeChars = 27;

// "10.0.0.1", or RFC 5952 text for family 6; "-" for family 0. The length written.
std::size_t print_address(const Address& address, std::uint8_t family, char* out) noexcept;
// "2026-01-01T00:00:05.123456Z": RFC 3339, UTC, floored to the microsecond. Times before 1970 print as 1970. The
// length written.
std::size_t print_time(TimeNs time, char* out) noexcept;

}  // namespace fffa
