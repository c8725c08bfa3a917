// SPDX-License-Identifier: MIT
#include <cstdio>

#include "cli/commands.h"
#include "cli/session.h"
#include "cli/table.h"

namespace fffa::core {

ExitCode command_interfaces(const CommonOptions& common) {
  Session session(common, {});
  std::vector<std::vector<std::string>> rows;
  for (const StageType* type : all_types(session.plugins())) {
    if (type->probe == nullptr) continue;
    for (const auto& one : type->probe().interfaces) {
      rows.push_back({one.name, std::to_string(one.ifindex), one.state, one.addresses, one.hooks});
    }
  }
  session.warn_of_broken_plugins();
  if (rows.empty()) {
    std::fprintf(stderr, "fffa interfaces: no plugin knows of any (`fffa plugins` lists what is there)\n");
    return ExitCode::unavailable;
  }
  std::fputs(format_table({"INTERFACE", "INDEX", "STATE", "ADDRESSES", "HOOKS"}, rows).c_str(), stdout);
  return ExitCode::ok;
}

}  // namespace fffa::core
