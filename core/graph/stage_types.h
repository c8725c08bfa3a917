// SPDX-License-Identifier: MIT
// What the graph needs to know of plugins.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "fffa/plugin.h"

namespace fffa::core {

class StageTypes {
 public:
  virtual ~StageTypes() = default;
  // The one of that section (of kSections) if there is one, else one of another; nullptr: there is none of that name.
  virtual const StageType* find(std::string_view type, std::size_t section) = 0;
  // After find() found none: what there is, and why that one is missing if its library is there (else empty).
  virtual std::vector<std::string> names() = 0;
  virtual std::string why_missing(std::string_view type) = 0;
};

}  // namespace fffa::core
