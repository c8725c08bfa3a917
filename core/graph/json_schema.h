// SPDX-License-Identifier: MIT
// The whole configuration as JSON Schema (draft 2020-12), for editors and other tools.
#pragma once

#include <string>
#include <vector>

#include "fffa/plugin.h"

namespace fffa::core {

// Indented JSON text. Where a number or word is wanted, `${...}` is allowed too, as the configuration is substituted
// before it is read.
std::string json_schema(const std::vector<const StageType*>& types);

}  // namespace fffa::core
