// SPDX-License-Identifier: MIT
// The table format: flows for people, in columns. Lines have at most 120 characters; one that would be longer (two long
// IPv6 addresses) is broken before the arrow. Not for programs: it may change.
#pragma once

#include "fffa/format.h"

namespace fffa::standard_output {

class TableFormat final : public RecordFormat {
 public:
  // On a terminal the column names come again every 30 flows, in bold; else once.
  explicit TableFormat(bool terminal) : terminal_(terminal) {}
  void append(const FlowRecord& record, std::string& out) override;

 private:
  bool terminal_;
  std::size_t rows_ = 0;
};

}  // namespace fffa::standard_output
