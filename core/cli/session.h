// SPDX-License-Identifier: MIT
// What commands that read a configuration have in common: plugins, files, overrides, and complaints on stderr.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/options.h"
#include "config/load.h"
#include "graph/build.h"
#include "graph/stage_types.h"
#include "loader/plugins.h"

namespace fffa::core {

class Session final : private StageTypes {
 public:
  // `files`: as on the command line. A relative one that is not there is looked for among the installed pipelines.
  Session(const CommonOptions& common, const std::vector<std::filesystem::path>& files);

  // Reads and checks the configuration, anew at every call. Prints nothing.
  std::optional<Pipeline> load(std::vector<Diagnostic>& problems);
  // The same for a command that needs it: prints what is wrong, one line each.
  std::optional<Pipeline> load_or_complain();

  Plugins& plugins() noexcept { return plugins_; }
  // A line on stderr for each plugin that could not be loaded.
  void warn_of_broken_plugins() const;

 private:
  ConfigSources sources_;
  Plugins plugins_;

  const StageType* find(std::string_view type, std::size_t section) override { return plugins_.find(type, section); }
  std::vector<std::string> names() override { return plugins_.names(); }
  std::string why_missing(std::string_view type) override { return plugins_.why_missing(type); }
};

// All stage types of all plugins, by kind and name.
std::vector<const StageType*> all_types(Plugins& plugins);
const char* kind_name(StageKind kind);

}  // namespace fffa::core
