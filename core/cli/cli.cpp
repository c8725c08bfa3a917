// SPDX-License-Identifier: MIT
#include "cli/cli.h"

#include <CLI/CLI.hpp>
#include <cstdio>

namespace fffa::core {

int run_cli(int argc, const char* const* argv) noexcept try {
  CLI::App app("fffa: flow monitor and plugin framework", "fffa");
  app.set_version_flag("--version", std::string("fffa ") + FFFA_VERSION);
  app.require_subcommand(1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::usage);
  }
  return static_cast<int>(ExitCode::ok);
} catch (const std::exception& error) {
  std::fprintf(stderr, "fffa: internal error: %s\n", error.what());
  return static_cast<int>(ExitCode::usage);
}

}  // namespace fffa::core
