// SPDX-License-Identifier: MIT
// What the command line said.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace fffa::core {

// Of every command.
struct CommonOptions {
  std::vector<std::filesystem::path> plugin_path;
  std::vector<std::string> overrides;  // --set KEY=VALUE
  std::string log_format = "text";
  std::string log_level = "info";
};

struct RunOptions {
  std::vector<std::filesystem::path> files;
  std::optional<std::chrono::nanoseconds> duration;
};

}  // namespace fffa::core
