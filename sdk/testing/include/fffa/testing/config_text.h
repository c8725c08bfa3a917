// SPDX-License-Identifier: MIT
// Options of a stage written as YAML in a test. A part of YAML: block mappings and lists, [..] and {..} on one line,
// plain and quoted scalars, comments. fffa itself reads files with a full parser. Nothing is substituted: what begins
// with `${` counts as a secret as it stands.
#pragma once

#include <string>
#include <string_view>

#include "fffa/config_node.h"
#include "fffa/result.h"

namespace fffa::testing {

// Empty text is an empty mapping. Locations name `file`. An error names line and column.
Result<ConfigNode> parse_config(std::string_view text, std::string file = "test.yaml");

}  // namespace fffa::testing
