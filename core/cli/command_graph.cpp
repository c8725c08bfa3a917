// SPDX-License-Identifier: MIT
#include <cstdio>

#include "cli/commands.h"
#include "cli/session.h"
#include "graph/draw.h"

namespace fffa::core {

ExitCode command_graph(const CommonOptions& common, const std::vector<std::filesystem::path>& files,
                       const std::string& format) {
  Session session(common, files);
  const auto pipeline = session.load_or_complain();
  if (!pipeline) return ExitCode::usage;
  const std::string picture = format == "mermaid" ? draw_mermaid(*pipeline) : draw_text(*pipeline);
  std::fputs(picture.c_str(), stdout);
  return ExitCode::ok;
}

}  // namespace fffa::core
