// SPDX-License-Identifier: MIT
// What can be read from a library without loading it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "fffa/result.h"

namespace fffa::testing {

// The text in section `name`, up to its zero byte.
Result<std::string> section_text(const std::filesystem::path& library, const std::string& name);
// Names of the dynamic symbols that it defines for others.
Result<std::vector<std::string>> exported_symbols(const std::filesystem::path& library);

}  // namespace fffa::testing
