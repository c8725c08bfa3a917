// SPDX-License-Identifier: MIT
// The subcommands, one file each (command_NAME.cpp). They print to stdout, complaints to stderr, and return the exit
// code.
#pragma once

#include <string>
#include <vector>

#include "cli/cli.h"
#include "cli/options.h"

namespace fffa::core {

ExitCode command_run(const CommonOptions& common, const RunOptions& run);
ExitCode command_validate(const CommonOptions& common, const std::vector<std::filesystem::path>& files);
// `format`: text, mermaid
ExitCode command_graph(const CommonOptions& common, const std::vector<std::filesystem::path>& files,
                       const std::string& format);
ExitCode command_plugins_list(const CommonOptions& common);
ExitCode command_plugins_describe(const CommonOptions& common, const std::string& name);
// `format`: text, markdown, json
ExitCode command_fields(const std::string& format);
ExitCode command_schema(const CommonOptions& common);
ExitCode command_interfaces(const CommonOptions& common);
ExitCode command_doctor(const CommonOptions& common);

}  // namespace fffa::core
