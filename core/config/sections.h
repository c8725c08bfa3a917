// SPDX-License-Identifier: MIT
// The four sections of a configuration that hold stages.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "fffa/plugin.h"

namespace fffa::core {

inline constexpr std::array<std::string_view, 4> kSections = {"sources", "enrichers", "aggregators", "sinks"};

// Place in kSections. A type's name is unique within its section: `kafka` is a source and a sink.
constexpr std::size_t section_of(StageKind kind) {
  return std::min(static_cast<std::size_t>(kind), kSections.size() - 1);
}

}  // namespace fffa::core
