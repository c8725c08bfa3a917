// SPDX-License-Identifier: MIT
#include <cstdio>

#include "cli/commands.h"
#include "cli/session.h"

namespace fffa::core {

ExitCode command_run(const CommonOptions& common, const RunOptions& run) {
  Session session(common, run.files);
  auto pipeline = session.load_or_complain();
  if (!pipeline) return ExitCode::usage;
  std::fputs("fffa run: this build has no runtime\n", stderr);
  return ExitCode::usage;
}

}  // namespace fffa::core
