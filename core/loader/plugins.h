// SPDX-License-Identifier: MIT
// Finding and loading plugins. A broken one disables only itself.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fffa/plugin.h"
#include "fffa/result.h"

namespace fffa::core {

// Where to look, in this order: `given` (--plugin-path), the folders of FFFA_PLUGIN_PATH (separated by `:`),
// ../lib/fffa/plugins beside the program (an installation and a build tree have the same shape).
std::vector<std::filesystem::path> plugin_directories(const std::vector<std::filesystem::path>& given);

// Checks a loaded library's descriptor; empty if it is sound, else what is wrong.
std::string check_descriptor(const PluginDescriptor& descriptor);

struct LoadedPlugin {
  std::filesystem::path file;
  const PluginDescriptor* descriptor = nullptr;  // lives as long as the process
};
struct PluginProblem {
  std::filesystem::path file;  // or folder
  std::string message;
};

// The plugins of some folders. A library of one name hides those of the same name in later folders. Not
// thread-safe; libraries are never unloaded.
class Plugins {
 public:
  using Trust = std::function<Result<void>(const std::filesystem::path&)>;
  Plugins(std::vector<std::filesystem::path> directories, Trust trusted);

  // The stage type of that name in that section (of kSections), else one of another section, or nullptr. Looks into
  // NAME.so first, and loads all the others only if it is not there.
  const StageType* find(std::string_view type, std::size_t section);
  void load_all();

  const std::vector<LoadedPlugin>& loaded() const noexcept { return loaded_; }
  const std::vector<PluginProblem>& problems() const noexcept { return problems_; }
  // All loaded types, by name, and their names.
  std::vector<const StageType*> types() const;
  std::vector<std::string> names() const;
  // The library of a loaded type.
  const LoadedPlugin& owner(const StageType& type) const;
  // What became of NAME.so, if it could not be loaded; else empty.
  std::string why_missing(std::string_view type) const;

 private:
  struct Known {
    const StageType* type;
    std::size_t plugin;  // index in loaded_
  };
  std::vector<std::filesystem::path> directories_;
  Trust trusted_;
  std::vector<LoadedPlugin> loaded_;
  std::vector<PluginProblem> problems_;
  std::multimap<std::string, Known, std::less<>> types_;
  std::set<std::string> tried_;  // file names: a later folder's library of that name is hidden
  bool all_loaded_ = false;

  const Known* known(std::string_view type, std::size_t section) const;
  void load(const std::filesystem::path& file);
  Result<void> register_library(const std::filesystem::path& file, const PluginDescriptor& descriptor);
};

}  // namespace fffa::core
