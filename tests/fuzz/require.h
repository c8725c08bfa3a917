// SPDX-License-Identifier: MIT
// What must hold in a fuzz target. The place is printed: the optimiser makes one call of many.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace fffa::fuzz {

inline void require(bool truth, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if (truth) return;
  std::fprintf(stderr, "%s:%d: does not hold\n", file, line);
  std::abort();
}

}  // namespace fffa::fuzz
