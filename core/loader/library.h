// SPDX-License-Identifier: MIT
// Loading one shared library with Boost.DLL.
#pragma once

#include <filesystem>

#include "fffa/plugin.h"
#include "fffa/result.h"

namespace fffa::core {

// Loads `file` (all names resolved at once, none of them offered to other libraries) and gives the descriptor that
// it exports. The library stays loaded until the process ends: its threads, thread-local objects and static data
// may outlive any stage.
Result<const PluginDescriptor*> load_library(const std::filesystem::path& file);

}  // namespace fffa::core
