// SPDX-License-Identifier: MIT
// Reading the files that a configuration consists of.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "fffa/config_node.h"
#include "fffa/result.h"

namespace fffa::core {

// The whole of a regular file of at most `limit` bytes. Never blocks on a pipe or device: they are refused.
Result<std::string> read_regular_file(const std::filesystem::path& path, std::size_t limit);

// Reports the first byte of `text` that no text file has: a control character, or what is not UTF-8. True if there
// is none.
bool check_text(std::string_view text, const std::shared_ptr<const std::string>& file, Diagnostics& diagnostics);

}  // namespace fffa::core
