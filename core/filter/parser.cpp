// SPDX-License-Identifier: MIT
// Recursive descent: any (or) > all (and) > one (not, brackets, a comparison).
#include "filter/parser.h"

#include <optional>
#include <string>
#include <utility>

#include "config/yaml.h"
#include "filter/lexer.h"
#include "filter/literals.h"

namespace fffa::core {
namespace {

using Is = Token::Kind;

std::string shown_token(const Token& token) {
  return token.kind == Is::end ? "the end" : shown_text(token.text);
}

// What to write for a sign of another language.
std::string translation(const Token& token) {
  if (token.text == "&&" || token.text == "&") return "write `and`";
  if (token.text == "||" || token.text == "|") return "write `or`";
  if (token.text == "!") return "write `not`, or `!=`";
  if (token.text == "=") return "write `==`";
  if (token.text == "\"" || token.text == "'") return "the quotes are never closed";
  return "";
}

class Parser {
 public:
  Parser(std::string_view text, std::size_t deepest, std::vector<FilterProblem>& problems)
      : lexer_(text), deepest_(deepest), problems_(problems) {}

  Condition whole() {
    Condition condition = any();
    if (lexer_.peek().kind != Is::end) fail(lexer_.peek(), "expected `and`, `or` or the end", "");
    return condition;
  }

 private:
  struct Operator {
    enum class Kind : std::uint8_t { equal, among, order };
    Kind kind = Kind::equal;
    Test::Kind test = Test::Kind::among;
    bool negated = false;
    Token token;
  };

  Lexer lexer_;
  std::size_t deepest_;
  std::size_t depth_ = 0;
  bool failed_ = false;
  std::size_t found_ = 0;  // problems
  std::vector<FilterProblem>& problems_;

  // Says what is wrong, and goes on: up to a point, since finding what was meant takes time.
  void problem(const Token& at, std::string message, std::string hint) {
    constexpr std::size_t kMost = 10;
    problems_.push_back({at.offset, std::move(message), std::move(hint)});
    if (++found_ < kMost) return;
    failed_ = true;
    lexer_.stop();
  }
  // The text is no condition: nothing is looked for behind this.
  void fail(const Token& at, std::string expected, std::string hint) {
    if (std::exchange(failed_, true)) return;
    if (at.kind == Is::wrong) hint = translation(at);
    problem(at, std::move(expected) + ", got " + shown_token(at), std::move(hint));
    lexer_.stop();
  }
  bool take(std::string_view what) {
    const Token& next = lexer_.peek();
    if (!next.is(Is::word, what) && !next.is(Is::sign, what)) return false;
    lexer_.take();
    return true;
  }

  Condition any() { return joined(Condition::Kind::any, "or"); }
  Condition joined(Condition::Kind kind, std::string_view word) {
    Condition condition;
    condition.kind = kind;
    do {
      condition.parts.push_back(kind == Condition::Kind::any ? joined(Condition::Kind::all, "and") : one());
    } while (take(word));
    return condition;
  }
  Condition one();
  Condition nested(Condition (Parser::*inner)(), const Token& at);
  Condition comparison();
  std::optional<Operator> read_operator(const Token& field_token, const Field* field);
  const Field* find(const Token& token);
  void read_values(const Operator& op, Test& test);
  void read_value(const Operator& op, Test& test, bool in_list);
  bool check_operator(const Operator& op, const Field& field);
};

Condition Parser::one() {
  const Token at = lexer_.peek();
  if (take("not")) {
    Condition condition = nested(&Parser::one, at);
    condition.negated = !condition.negated;
    return condition;
  }
  if (!take("(")) return comparison();
  Condition condition = nested(&Parser::any, at);
  if (!take(")")) fail(lexer_.peek(), "expected `)`", "");
  return condition;
}

Condition Parser::nested(Condition (Parser::*inner)(), const Token& at) {
  if (depth_ == deepest_) {
    if (!failed_) problem(at, "brackets and `not`s nested deeper than " + std::to_string(deepest_), "");
    failed_ = true;
    lexer_.stop();
    return {};
  }
  ++depth_;
  Condition condition = (this->*inner)();
  --depth_;
  return condition;
}

const Field* Parser::find(const Token& token) {
  const Field* field = find_field(token.text);
  if (field == nullptr) {
    std::vector<std::string> names;
    for (const auto& one : fields()) names.emplace_back(one.name);
    const std::string near = nearest(token.text, names);
    problem(token, "no field is called " + shown_text(token.text),
            near.empty() ? "`fffa fields` lists them" : "did you mean `" + near + "`?");
  } else if (field->type == FieldType::computed) {
    problem(token, "`" + std::string(field->name) + "` is made while printing: there is nothing to compare yet", "");
    return nullptr;
  }
  return field;
}

Condition Parser::comparison() {
  Condition condition;
  const Token token = lexer_.peek();
  if (token.kind != Is::word || is_keyword(token.text)) {
    fail(token, "expected a field", "as in `packets > 10`");
    return condition;
  }
  const char first = token.text.front();
  if ((first >= '0' && first <= '9') || first == '-' || first == ':') {
    fail(token, "expected a field", "the field stands first: `packets > 10`");
    return condition;
  }
  lexer_.take();
  const Field* field = find(token);
  condition.test.field = field;
  const auto op = read_operator(token, field);
  if (!op) return condition;
  condition.test.kind = op->test;
  condition.test.negated = op->negated;
  if (field != nullptr && !check_operator(*op, *field)) condition.test.field = nullptr;  // its values say no more
  read_values(*op, condition.test);
  return condition;
}

// Nothing: the field stands by itself.
std::optional<Parser::Operator> Parser::read_operator(const Token& field_token, const Field* field) {
  using Kind = Operator::Kind;
  struct Spelt {
    std::string_view text;
    Kind kind;
    Test::Kind test;
    bool negated;
  };
  constexpr Spelt kOperators[] = {
      {"==", Kind::equal, Test::Kind::among, false}, {"!=", Kind::equal, Test::Kind::among, true},
      {"<", Kind::order, Test::Kind::below, false},  {"<=", Kind::order, Test::Kind::above, true},
      {">", Kind::order, Test::Kind::above, false},  {">=", Kind::order, Test::Kind::below, true},
      {"in", Kind::among, Test::Kind::among, false}, {"not", Kind::among, Test::Kind::among, true}};
  const Token token = lexer_.peek();
  for (const auto& spelt : kOperators) {
    if (!take(spelt.text)) continue;
    if (spelt.text == "not" && !take("in")) fail(lexer_.peek(), "expected `in` behind `not`", "");
    return Operator{spelt.kind, spelt.test, spelt.negated, token};
  }
  const bool ends =
      token.kind == Is::end || token.is(Is::sign, ")") || token.is(Is::word, "and") || token.is(Is::word, "or");
  if (!ends) {
    fail(token, "expected an operator behind `" + std::string(field_token.text.substr(0, 64)) + "`",
         "==, !=, <, <=, >, >=, in");
  } else if (field != nullptr && field->type != FieldType::boolean) {
    problem(
        field_token,
        "`" + std::string(field->name) + "` is " + std::string(type_words(field->type)) + ": compare it with something",
        "as in `" + std::string(field->name) + " != null`");
  }
  return std::nullopt;
}

bool Parser::check_operator(const Operator& op, const Field& field) {
  const bool good =
      op.kind == Operator::Kind::equal ||
      (op.kind == Operator::Kind::order ? field.type == FieldType::integer
                                        : field.type != FieldType::boolean && field.type != FieldType::time);
  if (good) return true;
  problem(op.token,
          "`" + std::string(op.token.text) + "` does not go with `" + std::string(field.name) + "`, which is " +
              std::string(type_words(field.type)),
          field.type == FieldType::time      ? "use == null or != null"
          : field.type == FieldType::boolean ? "use == or !="
                                             : "use ==, != or in");
  return false;
}

void Parser::read_values(const Operator& op, Test& test) {
  if (op.kind != Operator::Kind::among) return read_value(op, test, false);
  if (!take("[")) {
    const bool prefix = test.field == nullptr || test.field->type == FieldType::address;
    if (prefix) return read_value(op, test, false);
    return fail(lexer_.peek(), "expected a list behind `in`",
                "as in `" + std::string(test.field->name) + " in [a, b]`");
  }
  do read_value(op, test, true);
  while (take(","));
  if (!take("]")) fail(lexer_.peek(), "expected `,` or `]`", "");
}

void Parser::read_value(const Operator& op, Test& test, bool in_list) {
  const Token token = lexer_.peek();
  if (token.kind != Is::word && token.kind != Is::quoted) return fail(token, "expected a value", "");
  lexer_.take();
  const bool keyword = token.kind == Is::word && is_keyword(token.text);
  if (keyword && token.text == "null") {
    test.kind = Test::Kind::is_null;
    if (op.kind != Operator::Kind::equal || in_list)
      problem(token, "null goes with == and != only", "as in `refused_packets == null or refused_packets in [1, 2]`");
    return;
  }
  if (test.field == nullptr) return;
  const Field& field = *test.field;
  if (field.type == FieldType::time)
    return problem(token, "`" + std::string(field.name) + "` is a time: it can be compared with null only", "");
  if (keyword && field.type != FieldType::boolean)
    return problem(token, "`" + std::string(token.text) + "` is a word of the language",
                   "as a text it needs quotes: '" + std::string(token.text) + "'");
  if (auto wrong = add_literal(test, token, op.kind == Operator::Kind::among))
    problem(token, std::move(wrong->message), std::move(wrong->hint));
  if (field.type == FieldType::boolean && !test.numbers.empty()) {  // x == false: x is not true
    test.kind = Test::Kind::is_true;
    test.negated = op.negated == (test.numbers.front().bits != 0);
  }
}

}  // namespace

Condition parse_condition(std::string_view text, std::size_t deepest, std::vector<FilterProblem>& problems) {
  return Parser(text, deepest, problems).whole();
}

}  // namespace fffa::core
