// SPDX-License-Identifier: MIT
#include "filter/lexer.h"

#include <algorithm>
#include <array>

#include "fffa/text.h"

namespace fffa::core {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

bool is_alphanumeric(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
// Fields, numbers, addresses, prefixes, names.
bool is_word(char c) noexcept {
  return is_alphanumeric(c) || c == '_' || c == '.' || c == ':' || c == '/' || c == '-';
}

// The first of `all` that `text` begins with, or nothing: longer ones stand first.
template <std::size_t N>
std::string_view first_of(const std::array<std::string_view, N>& all, std::string_view text) noexcept {
  const auto found = std::find_if(all.begin(), all.end(), [&](std::string_view one) { return text.starts_with(one); });
  return found == all.end() ? std::string_view{} : *found;
}

constexpr std::array<std::string_view, 11> kSigns = {"==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ","};
constexpr std::array<std::string_view, 2> kOthers = {"&&", "||"};  // of other languages: named as a whole

}  // namespace

bool is_keyword(std::string_view word) noexcept {
  constexpr std::array<std::string_view, 7> kKeywords = {"and", "or", "not", "in", "null", "true", "false"};
  return std::find(kKeywords.begin(), kKeywords.end(), word) != kKeywords.end();
}

// A `|` belongs to the word where it joins two names: SYN|ACK.
std::size_t Lexer::word_length(std::string_view rest) const noexcept {
  std::size_t length = 0;
  while (length < rest.size()) {
    const bool joins =
        rest[length] == '|' && length > 0 && length + 1 < rest.size() && is_alphanumeric(rest[length + 1]);
    if (!is_word(rest[length]) && !joins) break;
    ++length;
  }
  return length;
}

void Lexer::advance() {
  at_ = std::min(text_.find_first_not_of(kSpace, at_), text_.size());
  const std::string_view rest = text_.substr(at_);
  next_ = {Token::Kind::end, {}, at_};
  if (rest.empty()) return;
  if (rest[0] == '"' || rest[0] == '\'') {
    const std::size_t close = rest.find(rest[0], 1);
    const bool closed = close != std::string_view::npos;
    next_.kind = closed ? Token::Kind::quoted : Token::Kind::wrong;
    next_.text = closed ? rest.substr(1, close - 1) : rest.substr(0, 1);
    at_ += closed ? close + 1 : rest.size();
    return;
  }
  if (const std::size_t length = word_length(rest); length > 0) {
    next_.kind = Token::Kind::word;
    next_.text = rest.substr(0, length);
  } else if (const auto sign = first_of(kSigns, rest); !sign.empty()) {
    next_.kind = Token::Kind::sign;
    next_.text = rest.substr(0, sign.size());
  } else {
    next_.kind = Token::Kind::wrong;
    // a whole character: cut in two it would not be text in an error message
    next_.text = rest.substr(0, std::max({first_of(kOthers, rest).size(), utf8_length(rest), std::size_t{1}}));
  }
  at_ += next_.text.size();
}

}  // namespace fffa::core
