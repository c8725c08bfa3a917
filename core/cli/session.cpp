// SPDX-License-Identifier: MIT
#include "cli/session.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>

#include "config/sections.h"
#include "config/trust.h"

namespace fffa::core {
namespace {

namespace fs = std::filesystem;

fs::path share_folder() {
  return program_path().parent_path().parent_path() / "share/fffa";
}

// `pipelines/x.yaml` and `x.yaml` both name the installed pipeline x.yaml, unless there is such a file here.
fs::path find_pipeline(const fs::path& given) {
  std::error_code error;
  if (given.is_absolute() || fs::exists(given, error)) return given;
  const fs::path share = share_folder();
  for (const auto& candidate : {share / "pipelines" / given, share / given}) {
    if (fs::is_regular_file(candidate, error)) return candidate;
  }
  return given;
}

void add_pipelines(const fs::path& folder, const fs::path& shown_as, std::vector<std::string>& names) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() == ".yaml") names.push_back((shown_as / entry->path().filename()).string());
  }
}

// Where else a file that is not there was looked for, and what was perhaps meant.
std::string hint_for_missing(const fs::path& given) {
  std::vector<std::string> names;
  const fs::path parent = given.parent_path();
  add_pipelines(parent.empty() ? "." : parent, parent, names);
  std::string hint;
  if (given.is_relative()) {
    const fs::path installed = share_folder() / "pipelines";
    hint = "nor is it in " + installed.string();
    add_pipelines(installed, "", names);
    add_pipelines(installed / "env", "env", names);
  }
  const std::string near = nearest(given.string(), names);
  if (near.empty()) return hint;
  return hint + (hint.empty() ? "" : "; ") + "did you mean `" + near + "`?";
}

}  // namespace

Session::Session(const CommonOptions& common, const std::vector<fs::path>& files)
    : plugins_(plugin_directories(common.plugin_path), check_trusted_by_root) {
  for (const auto& file : files) sources_.files.push_back(find_pipeline(file));
  sources_.overrides = common.overrides;
  sources_.if_missing = hint_for_missing;
}

std::optional<Pipeline> Session::load(std::vector<Diagnostic>& problems) {
  Diagnostics found;
  std::optional<Pipeline> pipeline;
  const auto config = load_config(sources_, process_environment(), check_trusted_by_root, found);
  if (config) {
    Diagnostics graph;
    pipeline = build_pipeline(*config, *this, graph);
    const auto same_place = [](const Diagnostic& a, const Diagnostic& b) {
      return a.at.file == b.at.file && a.at.line == b.at.line && a.at.column == b.at.column;
    };
    // a value that could not be substituted is wrong for its option as well: said once is enough
    const auto before = found.all();
    for (const auto& one : graph.all()) {
      if (std::none_of(before.begin(), before.end(), [&](const auto& other) { return same_place(one, other); }))
        found.add(one);
    }
  }
  problems = sorted_by_place(found, sources_);
  if (!problems.empty()) pipeline.reset();
  return pipeline;
}

std::optional<Pipeline> Session::load_or_complain() {
  std::vector<Diagnostic> problems;
  auto pipeline = load(problems);
  for (const auto& problem : problems) std::fprintf(stderr, "%s\n", to_string(problem).c_str());
  if (pipeline) warn_of_broken_plugins();
  return pipeline;
}

void Session::warn_of_broken_plugins() const {
  for (const auto& problem : plugins_.problems()) {
    std::fprintf(stderr, "warning: not loaded: %s: %s\n", problem.file.c_str(), problem.message.c_str());
  }
}

std::vector<const StageType*> all_types(Plugins& plugins) {
  plugins.load_all();
  auto types = plugins.types();
  const auto key = [](const StageType* type) {
    return std::make_tuple(section_of(type->kind), std::string_view(type->name));
  };
  std::sort(types.begin(), types.end(), [&](const auto* a, const auto* b) { return key(a) < key(b); });
  return types;
}

const char* kind_name(StageKind kind) {
  switch (kind) {
    case StageKind::source: return "source";
    case StageKind::enricher: return "enricher";
    case StageKind::aggregator: return "aggregator";
    case StageKind::sink:
    case StageKind::async_sink: return "sink";
  }
  return "unknown";
}

}  // namespace fffa::core
