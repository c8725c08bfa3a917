// SPDX-License-Identifier: MIT
// What every plugin must do, as checks on a built library. Each runs in a process of its own, so a crash or a hang is a
// finding like any other. The program `fffa-conformance PLUGIN.so [--type NAME] [--config YAML]` prints them.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "fffa/plugin.h"

namespace fffa::testing {

struct CheckResult {
  std::string name;  // "syslog: refuses unknown options"
  bool passed = false;
  std::string problem;  // empty where passed
};

struct ConformanceOptions {
  std::filesystem::path plugin;
  std::string type;    // of the stage types in it; empty: all
  std::string config;  // options with which the type can run here, as YAML (see config_text.h)
  std::chrono::milliseconds limit = std::chrono::seconds(30);  // real time for one check
};

// Everything. The calling process must have no other threads (it forks).
std::vector<CheckResult> check_plugin(const ConformanceOptions& options);

// The parts that need no process of their own; each gives its problem, or an empty text.
std::string check_build_tag(const std::filesystem::path& plugin);
std::string check_exports(const std::filesystem::path& plugin);
std::string check_descriptor(const PluginDescriptor& descriptor);
std::string check_schema(const Schema& schema);

}  // namespace fffa::testing
