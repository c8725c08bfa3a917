// SPDX-License-Identifier: MIT
// Filter: the condition of an edge (`when:`), over the fields of one record.
//
//   netfilter_verdict in [DROP, REJECT] or refused_packets > 0
//
// docs/configuration.md says what may be written. Parsed and checked against the field table once; then a flat program
// that is run per record, without allocation.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "filter/test.h"

namespace fffa::core {

struct FilterProblem {
  std::size_t offset = 0;  // in the text: of the word that is wrong
  std::string message;
  std::string hint;  // may be empty
};

class Filter {
 public:
  static constexpr std::size_t kLongest = 4096;  // bytes of the text
  static constexpr std::size_t kDeepest = 32;    // brackets and `not`s in each other

  // What `text` says; null if anything is wrong with it. Then `problems` has grown by all that could be found.
  static std::shared_ptr<const Filter> parse(std::string_view text, std::vector<FilterProblem>& problems);

  // `texts`: of the record. Any thread.
  bool matches(const FlowRecord& record, const TextTable& texts) const noexcept;
  const std::string& text() const noexcept { return text_; }  // as it was written

  // Where a test leads to.
  static constexpr std::size_t kAccept = static_cast<std::size_t>(-1);
  static constexpr std::size_t kRefuse = static_cast<std::size_t>(-2);
  struct Step {
    Test test;
    std::size_t if_true;
    std::size_t if_false;
  };

 private:
  Filter(std::string text, std::vector<Step> steps, std::size_t first)
      : text_(std::move(text)), steps_(std::move(steps)), first_(first) {}

  std::string text_;
  std::vector<Step> steps_;  // each leads to an earlier one, or out: it always ends
  std::size_t first_;
};
using FilterPtr = std::shared_ptr<const Filter>;  // null lets everything through

// Whether both say the same: they were written alike.
bool same_filter(const FilterPtr& a, const FilterPtr& b) noexcept;

}  // namespace fffa::core
