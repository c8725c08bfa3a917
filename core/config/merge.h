// SPDX-License-Identifier: MIT
// Several files make one configuration: each is laid over what came before.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "fffa/config_node.h"

namespace fffa::core {

// Maps merge key by key; lists and scalars replace; null removes what it names (a stage, an option). A stage whose
// `type` changes loses its old options except `inputs`. Every value keeps the place where it was written. Removing
// a stage that is not there is an error.
void merge(ConfigNode& base, ConfigNode overlay, Diagnostics& diagnostics);

// "sources.capture.interfaces=[veth0]" as an overlay: the value is YAML, its place is "--set:NUMBER:COLUMN", the
// argument being a line.
std::optional<ConfigNode> parse_override(std::string_view argument, std::size_t number, Diagnostics& diagnostics);

}  // namespace fffa::core
