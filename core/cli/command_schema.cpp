// SPDX-License-Identifier: MIT
#include <cstdio>

#include "cli/commands.h"
#include "cli/session.h"
#include "graph/json_schema.h"

namespace fffa::core {

ExitCode command_schema(const CommonOptions& common) {
  Session session(common, {});
  const std::string schema = json_schema(all_types(session.plugins()));
  session.warn_of_broken_plugins();
  std::fputs(schema.c_str(), stdout);
  return ExitCode::ok;
}

}  // namespace fffa::core
