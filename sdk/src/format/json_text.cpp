// SPDX-License-Identifier: MIT
#include "format/json_text.h"

#include <cstdint>
#include <cstring>

#include "fffa/text.h"
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
