// SPDX-License-Identifier: MIT
// Text inside a VPC Flow Log line.
#pragma once

#include <string_view>

namespace fffa::detail {

// The most bytes that one byte of text becomes.
inline constexpr std::size_t kVpcGrowth = 3;

// Writes one value: `-` for an empty text; spaces, control characters, `%` and all beyond ASCII percent-encoded,
// and so is a text that is `-` itself: the number of fields of a line never changes. `out` has room for kVpcGrowth
// times its size, and for 1. Returns the end.
char* put_vpc_text(char* out, std::string_view text) noexcept;

}  // namespace fffa::detail
