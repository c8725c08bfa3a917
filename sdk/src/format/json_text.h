// SPDX-License-Identifier: MIT
// Text inside a JSON string.
#pragma once

#include <string_view>

namespace fffa::detail {

// The most bytes that one byte of text becomes.
inline constexpr std::size_t kJsonGrowth = 6;

// Writes `text` without its quotes, escaped as RFC 8259 asks; each byte of invalid UTF-8 becomes U+FFFD. `out` has
// room for kJsonGrowth times its size. Returns the end.
char* put_json_text(char* out, std::string_view text) noexcept;

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

}  // namespace fffa::detail
