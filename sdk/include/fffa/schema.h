// SPDX-License-Identifier: MIT
// Schema: what a configuration may hold, as data. Made from a binding (config.h); exported as JSON Schema and printed
// by `fffa plugins describe`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fffa {

struct Option;

struct Schema {
  enum class Kind : std::uint8_t {
    boolean,
    integer,
    number,
    string,
    path,
    enumeration,
    duration,
    size,
    secret,
    list,
    map,
    object,
    one_of
  };
  struct Choice {  // enumeration: a value; one_of: an alternative, chosen by the key `type`
    std::string name;
    std::string doc;
    std::vector<Schema> schema;  // one_of: exactly one
  };
  Kind kind = Kind::string;
  std::optional<double> minimum;  // integer, number; duration in seconds; size in bytes
  std::optional<double> maximum;
  std::vector<Choice> choices;
  std::vector<Schema> element;  // list, map: exactly one
  std::vector<Option> options;  // object, in declaration order
};

struct Option {
  std::string name;
  std::string doc;
  std::string default_text;  // as one would write it in YAML; empty: no default
  bool required = false;
  Schema schema;
};

// "duration", "list of string", "one of interval, cumulative" ...: for people.
std::string type_name(const Schema& schema);

}  // namespace fffa
