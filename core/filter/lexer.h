// SPDX-License-Identifier: MIT
// The words of a filter's text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fffa::core {

struct Token {
  enum class Kind : std::uint8_t {
    end,
    word,    // a field, a keyword, a value without quotes
    quoted,  // `text` is what stands between the quotes
    sign,    // == != < <= > >= ( ) [ ] ,
    wrong,   // anything else: `text` as far as it helps
  };
  Kind kind = Kind::end;
  std::string_view text;
  std::size_t offset = 0;
  bool is(Kind what, std::string_view value) const noexcept { return kind == what && text == value; }
};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) { advance(); }
  const Token& peek() const noexcept { return next_; }
  Token take() {
    const Token token = next_;
    advance();
    return token;
  }
  // The rest is not looked at.
  void stop() noexcept { next_ = {Token::Kind::end, {}, text_.size()}, at_ = text_.size(); }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
  Token next_;

  void advance();
  std::size_t word_length(std::string_view rest) const noexcept;
};

// `and`, `or`, `not`, `in`, `null`, `true`, `false`: texts of these letters need quotes.
bool is_keyword(std::string_view word) noexcept;

}  // namespace fffa::core
