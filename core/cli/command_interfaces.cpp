// SPDX-License-Identifier: MIT
#include <cstdio>

#include "cli/commands.h"
#include "cli/session.h"
#include "cli/table.h"

namespace fffa::core {

ExitCode command_interfaces(const CommonOptions& common) {
  Session session(common, {});
  std::vector<std::vector<std::string>> rows;
  std::string problems;
  for (const StageType* type : all_types(session.plugins())) {
    if (type->probe == nullptr) continue;
    const Probe probe = type->probe();
    for (const auto& finding : probe.findings) {
      if (finding.level == Finding::Level::missing)
        problems += std::string("  ") + type->name + ": " + finding.what + ": " + finding.detail + "\n";
    }
    for (const auto& one : probe.interfaces) {
      rows.push_back({one.name, std::to_string(one.ifindex), one.state, one.addresses, one.hooks});
    }
  }
  session.warn_of_broken_plugins();
  if (rows.empty()) {
    std::fprintf(stderr, "fffa interfaces: no plugin knows of any (`fffa plugins` lists what is there)\n%s",
                 problems.c_str());
    return ExitCode::unavailable;
  }
  std::fputs(format_table({"INTERFACE", "INDEX", "STATE", "ADDRESSES", "HOOKS"}, rows).c_str(), stdout);
  return ExitCode::ok;
}

}  // namespace fffa::core
