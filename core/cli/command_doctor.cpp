// SPDX-License-Identifier: MIT
#include <sys/utsname.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <iterator>

#include "cli/commands.h"
#include "cli/session.h"
#include "cli/table.h"
#include "fffa/capabilities.h"

namespace fffa::core {
namespace {

using Level = Finding::Level;

struct Capability {
  unsigned number;
  const char* name;
};
constexpr Capability kNeeded[] = {{12, "CAP_NET_ADMIN"}, {38, "CAP_PERFMON"}, {39, "CAP_BPF"}};

Finding check_privileges() {
  const std::uint64_t held = effective_capabilities();
  std::string missing;
  for (const auto& capability : kNeeded) {
    if ((held >> capability.number & 1) == 0) missing += (missing.empty() ? "" : ", ") + std::string(capability.name);
  }
  if (missing.empty()) return {Level::ok, "privileges", "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON", ""};
  return {Level::missing, "privileges", "without " + missing, "run with sudo; only live capture needs it"};
}

Finding check_kernel() {
  utsname name{};
  if (::uname(&name) != 0) return {Level::missing, "kernel", "unknown", ""};
  int major = 0;
  int minor = 0;
  const bool known = std::sscanf(name.release, "%d.%d", &major, &minor) == 2;
  const int version = major * 1000 + minor;
  const std::string release = std::string(name.release) + " " + name.machine;
  if (!known || version < 5015)
    return {Level::missing, "kernel", release, "5.15 is the oldest that fffa runs on, 6.1 the oldest it is tested on"};
  if (version < 6001) return {Level::degraded, "kernel", release, "6.1 is the oldest that fffa is tested on"};
  return {Level::ok, "kernel", release, ""};
}

void check_plugins(Session& session, std::vector<Finding>& findings) {
  Plugins& plugins = session.plugins();
  const std::size_t types = all_types(plugins).size();
  const std::string found =
      std::to_string(types) + " stage types from " + std::to_string(plugins.loaded().size()) + " libraries";
  if (types == 0)
    findings.push_back({Level::missing, "plugins", found, "--plugin-path DIR or FFFA_PLUGIN_PATH say where they are"});
  else
    findings.push_back({Level::ok, "plugins", found, ""});
  for (const auto& problem : plugins.problems()) {
    findings.push_back({Level::degraded, "plugin " + problem.file.filename().string(), problem.message,
                        "rebuild or remove " + problem.file.string()});
  }
}

const char* level_name(Level level) {
  return level == Level::ok ? "ok" : level == Level::degraded ? "degraded" : "missing";
}

}  // namespace

ExitCode command_doctor(const CommonOptions& common) {
  Session session(common, {});
  std::vector<Finding> findings = {check_privileges(), check_kernel()};
  check_plugins(session, findings);
  for (const StageType* type : all_types(session.plugins())) {
    if (type->probe == nullptr) continue;
    for (auto finding : type->probe().findings) {
      finding.what = std::string(type->name) + ": " + finding.what;
      findings.push_back(std::move(finding));
    }
  }
  std::vector<std::vector<std::string>> rows;
  for (auto finding = findings.begin(); finding != findings.end(); ++finding) {
    rows.push_back({level_name(finding->level), finding->what, finding->detail});
    // What helps several findings is said once, below the last of them.
    const bool again = std::any_of(std::next(finding), findings.end(),
                                   [&](const auto& later) { return later.remedy == finding->remedy; });
    if (!finding->remedy.empty() && !again) rows.push_back({"", "", "-> " + finding->remedy});
  }
  std::fputs(format_table({"STATE", "WHAT", "FOUND"}, rows).c_str(), stdout);
  const bool missing = std::any_of(findings.begin(), findings.end(),
                                   [](const auto& finding) { return finding.level == Level::missing; });
  return missing ? ExitCode::unavailable : ExitCode::ok;
}

}  // namespace fffa::core
