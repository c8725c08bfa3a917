// SPDX-License-Identifier: MIT
#include "fffa/schema.h"

namespace fffa {

namespace {

std::string one_of(const Schema& schema) {
  std::string text;
  for (const auto& choice : schema.choices) text += (text.empty() ? "one of " : ", ") + choice.name;
  return text;
}

}  // namespace

std::string type_name(const Schema& schema) {
  using Kind = Schema::Kind;
  switch (schema.kind) {
    case Kind::boolean: return "boolean";
    case Kind::integer: return "integer";
    case Kind::number: return "number";
    case Kind::string: return "string";
    case Kind::path: return "path";
    case Kind::enumeration: return one_of(schema);
    case Kind::duration: return "duration";
    case Kind::size: return "size";
    case Kind::secret: return "secret";
    case Kind::list: return "list of " + (schema.element.empty() ? "anything" : type_name(schema.element.front()));
    case Kind::map: return "map of " + (schema.element.empty() ? "anything" : type_name(schema.element.front()));
    case Kind::object: return "object";
    case Kind::one_of: return "object, `type`: " + one_of(schema);
  }
  return "unknown";
}

}  // namespace fffa
