// SPDX-License-Identifier: MIT
// The four sections of a configuration that hold stages.
#pragma once

#include <array>
#include <string_view>

namespace fffa::core {

inline constexpr std::array<std::string_view, 4> kSections = {"sources", "enrichers", "aggregators", "sinks"};

}  // namespace fffa::core
