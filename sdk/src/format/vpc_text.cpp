// SPDX-License-Identifier: MIT
#include "format/vpc_text.h"

#include "format/copy_plain.h"
#include "format/digits.h"

namespace fffa::detail {
namespace {

bool plain(unsigned char c) noexcept {
  return c > 0x20 && c < 0x7f && c != '%';
}

bool plain_word(std::uint64_t word) noexcept {
  return ((word & kTops) | bytes_equal(word, '%') | bytes_equal(word, 0x7f) | bytes_below(word, 0x21)) == 0;
}

char* put_percent(char* out, unsigned char c) noexcept {
  *out++ = '%';
  *out++ = "0123456789ABCDEF"[c >> 4];
  *out++ = "0123456789ABCDEF"[c & 15];
  return out;
}

}  // namespace

char* put_vpc_text(char* out, std::string_view text) noexcept {
  if (text.empty()) return put(out, "-");
  if (text == "-") return put(out, "%2D");
  while (!text.empty()) {
    auto used = copy_plain<plain_word>(out, text);
    if (used != 0) {
      out += used;
    } else {
      const auto c = static_cast<unsigned char>(text.front());
      used = 1;
      if (plain(c)) {
        *out++ = text.front();
      } else {
        out = put_percent(out, c);
      }
    }
    text.remove_prefix(used);
  }
  return out;
}

}  // namespace fffa::detail
