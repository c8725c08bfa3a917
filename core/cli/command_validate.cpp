// SPDX-License-Identifier: MIT
#include <cstdio>

#include "cli/commands.h"
#include "cli/session.h"

namespace fffa::core {

ExitCode command_validate(const CommonOptions& common, const std::vector<std::filesystem::path>& files) {
  Session session(common, files);
  const auto pipeline = session.load_or_complain();
  if (!pipeline) return ExitCode::usage;
  std::printf("ok: %zu stages\n", pipeline->stages.size());
  return ExitCode::ok;
}

}  // namespace fffa::core
