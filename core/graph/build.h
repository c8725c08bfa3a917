// SPDX-License-Identifier: MIT
// From a configuration tree to a checked pipeline.
#pragma once

#include <optional>

#include "graph/pipeline.h"
#include "graph/stage_types.h"

namespace fffa::core {

// Reports everything that is wrong, in any order; a pipeline only if `diagnostics` was left as it was. Opens and starts
// nothing.
std::optional<Pipeline> build_pipeline(const ConfigNode& config, StageTypes& types, Diagnostics& diagnostics);

}  // namespace fffa::core
