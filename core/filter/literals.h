// SPDX-License-Identifier: MIT
// What a filter may compare a field with.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "filter/lexer.h"
#include "filter/test.h"

namespace fffa::core {

struct LiteralProblem {
  std::string message;
  std::string hint;
};

// Reads `token` as a value of the test's field and adds it to the test. `prefix`: an address may be a whole prefix.
std::optional<LiteralProblem> add_literal(Test& test, const Token& token, bool prefix);

// What may be done with a field of that type, for messages: "text", "a whole number".
std::string_view type_words(FieldType type) noexcept;

}  // namespace fffa::core
