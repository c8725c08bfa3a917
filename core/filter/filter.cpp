// SPDX-License-Identifier: MIT
#include "filter/filter.h"

#include <utility>

#include "filter/parser.h"

namespace fffa::core {
namespace {

// Lays the tree out as steps, from the last test to the first, so that each knows where it leads to. The first step of
// `tree`.
std::size_t lay_out(Condition& tree, std::size_t if_true, std::size_t if_false, std::vector<Filter::Step>& steps) {
  if (tree.negated) std::swap(if_true, if_false);
  if (tree.kind == Condition::Kind::test) {
    steps.push_back({std::move(tree.test), if_true, if_false});
    return steps.size() - 1;
  }
  const bool all = tree.kind == Condition::Kind::all;
  std::size_t next = all ? if_true : if_false;
  for (auto part = tree.parts.rbegin(); part != tree.parts.rend(); ++part)
    next = all ? lay_out(*part, next, if_false, steps) : lay_out(*part, if_true, next, steps);
  return next;
}

}  // namespace

FilterPtr Filter::parse(std::string_view text, std::vector<FilterProblem>& problems) {
  if (text.size() > kLongest) {
    problems.push_back({kLongest, "longer than " + std::to_string(kLongest) + " characters", ""});
    return nullptr;
  }
  const std::size_t before = problems.size();
  Condition tree = parse_condition(text, kDeepest, problems);
  if (problems.size() != before) return nullptr;
  std::vector<Step> steps;
  const std::size_t first = lay_out(tree, kAccept, kRefuse, steps);
  return FilterPtr(new Filter(std::string(text), std::move(steps), first));
}

bool Filter::matches(const FlowRecord& record, const TextTable& texts) const noexcept {
  std::size_t at = first_;
  while (at < steps_.size()) {
    const Step& step = steps_[at];
    at = step.test.holds(record, texts) ? step.if_true : step.if_false;
  }
  return at == kAccept;
}

bool same_filter(const FilterPtr& a, const FilterPtr& b) noexcept {
  return a == b || (a && b && a->text() == b->text());
}

}  // namespace fffa::core
