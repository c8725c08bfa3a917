// SPDX-License-Identifier: MIT
// Part files of a run that was killed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "fffa/context.h"
#include "fffa_common/directory.h"

namespace fffa::common {

struct LeftoverOptions {
  // Whether a final name is one of this sink's.
  std::function<bool(std::string_view final_name)> owned;
  // Another final name where that one is taken; `attempt` counts from 1.
  std::function<std::string(std::string_view final_name, unsigned attempt)> other_name;
  unsigned depth = 0;       // folders below the directory are searched so deep
  bool has_header = false;  // the first line is no record
};
struct Leftovers {
  std::uint64_t sealed = 0;  // given their final name, cut after the last whole line
  std::uint64_t empty = 0;   // held no whole record: removed
  std::uint64_t failed = 0;  // left as they are, for another try
  std::string trouble;       // why; empty: none failed
};

// Seals every part file below `directory` that no living process has locked: its longest prefix of whole lines gets the
// final name. Each is logged. Symbolic links are not followed. Files ending in `.gz` are gzip.
Leftovers reclaim_leftovers(const Directory& directory, const LeftoverOptions& options, Logger& log);

}  // namespace fffa::common
