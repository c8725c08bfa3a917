// SPDX-License-Identifier: MIT
#include "loader/plugins.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "config/sections.h"
#include "config/trust.h"
#include "loader/build_tag.h"
#include "loader/library.h"

namespace fffa::core {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostStages = 1024;

// Keys of a stage that the host reads.
constexpr std::array<std::string_view, 5> kHostOptions = {"type", "inputs", "queue", "on_reject", "when"};

// Also what keeps a type's name from leading out of the plugin folder.
bool is_type_name(std::string_view name) {
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  return !name.empty() && name.size() <= 64 && lower(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return lower(c) || (c >= '0' && c <= '9') || c == '_'; });
}

std::string check_stage(const StageType& stage) {
  if (stage.size != sizeof(StageType)) return "a stage type has another size than this fffa's";
  if (stage.name == nullptr) return "a stage type has no name";
  const std::string name = stage.name;
  if (!is_type_name(name))
    return "`" + name.substr(0, 64) + "` is no name for a stage type (small letters, digits, `_`)";
  if (stage.kind > StageKind::async_sink) return "stage type `" + name + "` is of an unknown kind";
  const bool complete = stage.summary != nullptr && stage.schema != nullptr && stage.check != nullptr &&
                        stage.create != nullptr && stage.resources != nullptr && stage.emits != nullptr;
  if (!complete) return "stage type `" + name + "` leaves a function out";
  for (const auto& option : stage.schema().options) {
    if (std::find(kHostOptions.begin(), kHostOptions.end(), option.name) != kHostOptions.end()) {
      return "stage type `" + name + "` has an option `" + option.name + "`, which is fffa's own";
    }
  }
  return {};
}

}  // namespace

std::vector<fs::path> plugin_directories(const std::vector<fs::path>& given) {
  std::vector<fs::path> directories = given;
  if (const char* variable = std::getenv("FFFA_PLUGIN_PATH")) {
    std::string_view left = variable;
    while (!left.empty()) {
      const std::size_t end = std::min(left.find(':'), left.size());
      if (end > 0) directories.emplace_back(left.substr(0, end));
      left.remove_prefix(std::min(end + 1, left.size()));
    }
  }
  const fs::path own = program_path().parent_path().parent_path() / "lib/fffa/plugins";
  std::error_code error;
  if (fs::is_directory(own, error)) directories.push_back(own);
  return directories;
}

std::string check_descriptor(const PluginDescriptor& descriptor) {
  if (descriptor.size != sizeof(PluginDescriptor)) return "its descriptor has another size than this fffa's";
  if (descriptor.abi_version != kAbiVersion) {
    return "built for SDK ABI " + std::to_string(descriptor.abi_version) + ", this fffa has " +
           std::to_string(kAbiVersion);
  }
  if (descriptor.build_tag == nullptr) return "its descriptor has no build tag";
  if (auto equal = compare_build_tags(descriptor.build_tag, host_build_tag()); !equal) return equal.error().message;
  if (descriptor.stages == nullptr || descriptor.stage_count == 0) return "it declares no stage types";
  if (descriptor.stage_count > kMostStages)
    return "it declares more than " + std::to_string(kMostStages) + " stage types";
  std::set<std::pair<std::size_t, std::string>> names;
  for (std::size_t i = 0; i < descriptor.stage_count; ++i) {
    const StageType& stage = descriptor.stages[i];
    if (auto problem = check_stage(stage); !problem.empty()) return problem;
    if (!names.emplace(section_of(stage.kind), stage.name).second)
      return "it declares the stage type `" + std::string(stage.name) + "` twice";
  }
  return {};
}

Plugins::Plugins(std::vector<fs::path> directories, Trust trusted)
    : directories_(std::move(directories)), trusted_(std::move(trusted)) {
  for (const auto& directory : directories_) {  // said even if every type is found elsewhere
    std::error_code error;
    const fs::directory_iterator entries(directory, error);
    if (error) problems_.push_back({directory, "read folder: " + error.message()});
  }
}

const Plugins::Known* Plugins::known(std::string_view type, std::size_t section) const {
  const auto [begin, end] = types_.equal_range(type);
  const auto found =
      std::find_if(begin, end, [&](const auto& entry) { return section_of(entry.second.type->kind) == section; });
  return found != end ? &found->second : nullptr;
}

const StageType* Plugins::find(std::string_view type, std::size_t section) {
  if (!is_type_name(type)) return nullptr;
  if (const Known* found = known(type, section)) return found->type;
  for (const auto& directory : directories_) {
    const fs::path file = directory / (std::string(type) + ".so");
    std::error_code error;
    if (!fs::exists(file, error)) continue;
    load(file);
    if (const Known* found = known(type, section)) return found->type;
    break;
  }
  load_all();
  if (const Known* found = known(type, section)) return found->type;
  const auto other = types_.find(type);
  return other != types_.end() ? other->second.type : nullptr;
}

void Plugins::load_all() {
  if (std::exchange(all_loaded_, true)) return;
  for (const auto& directory : directories_) {
    std::error_code error;
    std::vector<fs::path> files;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
      if (entry->path().extension() == ".so") files.push_back(entry->path());
    }
    std::sort(files.begin(), files.end());
    for (const auto& file : files) load(file);
  }
}

void Plugins::load(const fs::path& file) {
  if (!tried_.insert(file.filename().string()).second) return;
  const auto attempt = [&]() -> Result<void> {
    if (auto trust = trusted_(file); !trust) return trust;
    auto tag = read_build_tag(file);
    if (!tag) return tag.error();
    if (auto equal = compare_build_tags(*tag, host_build_tag()); !equal) return equal;
    auto descriptor = load_library(file);
    if (!descriptor) return descriptor.error();
    if (auto problem = check_descriptor(**descriptor); !problem.empty()) return fail(problem);
    return register_library(file, **descriptor);
  };
  if (auto result = attempt(); !result) problems_.push_back({file, result.error().message});
}

Result<void> Plugins::register_library(const fs::path& file, const PluginDescriptor& descriptor) {
  for (std::size_t i = 0; i < descriptor.stage_count; ++i) {
    const StageType& stage = descriptor.stages[i];
    if (const Known* other = known(stage.name, section_of(stage.kind))) {
      return fail("its stage type `" + std::string(stage.name) + "` is already there, from " +
                  loaded_[other->plugin].file.string());
    }
  }
  for (std::size_t i = 0; i < descriptor.stage_count; ++i) {
    types_.emplace(descriptor.stages[i].name, Known{&descriptor.stages[i], loaded_.size()});
  }
  loaded_.push_back({file, &descriptor});
  return {};
}

std::vector<const StageType*> Plugins::types() const {
  std::vector<const StageType*> types;
  for (const auto& [name, known] : types_) types.push_back(known.type);
  return types;
}

std::vector<std::string> Plugins::names() const {
  std::vector<std::string> names;
  for (const auto& [name, known] : types_) {
    if (names.empty() || names.back() != name) names.push_back(name);
  }
  return names;
}

const LoadedPlugin& Plugins::owner(const StageType& type) const {
  return loaded_[known(type.name, section_of(type.kind))->plugin];
}

std::string Plugins::why_missing(std::string_view type) const {
  for (const auto& problem : problems_) {
    if (problem.file.extension() == ".so" && problem.file.stem() == type)
      return problem.file.string() + ": " + problem.message;
  }
  return {};
}

}  // namespace fffa::core
