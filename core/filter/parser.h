// SPDX-License-Identifier: MIT
// From a filter's text to a tree of tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "filter/filter.h"
#include "filter/test.h"

namespace fffa::core {

struct Condition {
  enum class Kind : std::uint8_t { test, all, any };
  Kind kind = Kind::test;
  bool negated = false;
  Test test;                     // of a test
  std::vector<Condition> parts;  // of the others: at least one
};

// A text that is no condition gives one problem, and all that can be said of its fields and values before it.
// `deepest`: brackets and `not`s in each other. If there are problems what is returned is of no use.
Condition parse_condition(std::string_view text, std::size_t deepest, std::vector<FilterProblem>& problems);

}  // namespace fffa::core
