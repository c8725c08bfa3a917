// SPDX-License-Identifier: MIT
#include "format/json_text.h"

#include <cstdint>
#include <cstring>

#include "format/copy_plain.h"
#include "format/digits.h"

namespace fffa::detail {
namespace {

bool plain(unsigned char c) noexcept {
  return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

bool plain_word(std::uint64_t word) noexcept {
  return ((word & kTops) | bytes_equal(word, '"') | bytes_equal(word, '\\') | bytes_below(word, 0x20)) == 0;
}

char* put_escaped(char* out, unsigned char c) noexcept {
  switch (c) {
    case '"': return put(out, "\\\"");
    case '\\': return put(out, "\\\\");
    case '\n': return put(out, "\\n");
    case '\r': return put(out, "\\r");
    case '\t': return put(out, "\\t");
    default: return put_hex(put(out, "\\u"), c, 4);
  }
}

}  // namespace

std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const std::size_t length = lead >= 0xC2 && lead < 0xE0   ? 2
                             : lead >= 0xE0 && lead < 0xF0 ? 3
                             : lead >= 0xF0 && lead < 0xF5 ? 4
                                                           : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xED && byte(1) >= 0xA0;
  const bool beyond = lead == 0xF4 && byte(1) >= 0x90;
  return overlong || surrogate || beyond ? 0 : length;
}

char* put_json_text(char* out, std::string_view text) noexcept {
  while (!text.empty()) {
    if (const auto length = copy_plain<plain_word>(out, text); length != 0) {
      out += length;
      text.remove_prefix(length);
      continue;
    }
    const auto c = static_cast<unsigned char>(text.front());
    std::size_t used = 1;
    if (plain(c)) {
      *out++ = text.front();
    } else if (c < 0x80) {
      out = put_escaped(out, c);
    } else if (const auto length = utf8_length(text); length != 0) {
      out = put(out, text.substr(0, length));
      used = length;
    } else {
      out = put(out, kReplacement);
    }
    text.remove_prefix(used);
  }
  return out;
}

}  // namespace fffa::detail
