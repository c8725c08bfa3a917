// SPDX-License-Identifier: MIT
// From the command line to one configuration tree: read, parse, substitute, merge.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/substitute.h"
#include "fffa/config_node.h"
#include "fffa/result.h"

namespace fffa::core {

struct ConfigSources {
  std::vector<std::filesystem::path> files;                               // each is laid over those before it
  std::vector<std::string> overrides;                                     // KEY=VALUE, laid over all files
  std::function<std::string(const std::filesystem::path&)> if_missing{};  // a hint for a file that is not there
};

// Reads everything, and reports everything that is wrong with it. `trusted` is asked before what a file says is
// used. Empty if a file cannot be read or is no YAML: then there is nothing to look for further errors in.
std::optional<ConfigNode> load_config(const ConfigSources& sources, const Environment& environment,
                                      const std::function<Result<void>(const std::filesystem::path&)>& trusted,
                                      Diagnostics& diagnostics);

// In the order of `files`, then of lines and columns; what is said twice of one place is said once.
std::vector<Diagnostic> sorted_by_place(const Diagnostics& diagnostics, const ConfigSources& sources);

}  // namespace fffa::core
