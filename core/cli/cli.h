// SPDX-License-Identifier: MIT
// The command line of `fffa`.
#pragma once

namespace fffa::core {

// What the process ends with.
enum class ExitCode : int {
  ok = 0,
  failed = 1,       // a stage could not be built or started, or failed; or an error of fffa itself
  usage = 2,        // wrong command line or configuration: nothing was started
  unavailable = 3,  // a privilege or a kernel feature is missing
  data_lost = 4,    // the run ended, and something that was taken in was not delivered
};

// Runs one command; argv as main() got it. The process's exit code. Never throws.
int run_cli(int argc, const char* const* argv) noexcept;

}  // namespace fffa::core
