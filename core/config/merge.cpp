// SPDX-License-Identifier: MIT
#include "config/merge.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/sections.h"
#include "config/text_file.h"
#include "config/yaml.h"

namespace fffa::core {
namespace {

using Kind = ConfigNode::Kind;

void remove(ConfigNode& map, std::string_view key) {
  std::erase_if(map.entries, [&](const auto& entry) { return entry.key == key; });
}

// A stage of another type keeps nothing but its place in the graph.
void drop_options_of_old_type(ConfigNode& stage, const ConfigNode& overlay) {
  const ConfigNode* old_type = stage.find("type");
  const ConfigNode* new_type = overlay.find("type");
  if (old_type == nullptr || new_type == nullptr || new_type->kind != Kind::scalar ||
      old_type->value == new_type->value)
    return;
  std::erase_if(stage.entries, [](const auto& entry) { return entry.key != "inputs"; });
}

class Merge {
 public:
  explicit Merge(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  // `depth`: 0 for the whole configuration, 1 for a top-level value, 2 for a stage where `section` is one.
  void apply(ConfigNode& base, ConfigNode overlay, int depth, bool in_section, const std::string& path) {
    if (base.kind != Kind::map || overlay.kind != Kind::map) {
      base = std::move(overlay);
      return;
    }
    if (in_section && depth == 2) drop_options_of_old_type(base, overlay);
    for (auto& entry : overlay.entries) {
      const std::string entry_path = join_path(path, entry.key);
      ConfigNode* old = base.find(entry.key);
      const bool section =
          depth == 0 ? std::find(kSections.begin(), kSections.end(), entry.key) != kSections.end() : in_section;
      if (entry.value.kind == Kind::null && section && depth == 0) {
        continue;  // `enrichers:` with nothing but comments below it
      }
      if (entry.value.kind == Kind::null) {
        take_out(base, entry, section && depth == 1, entry_path);
      } else if (old == nullptr) {
        base.entries.push_back(std::move(entry));
      } else {
        apply(*old, std::move(entry.value), depth + 1, section, entry_path);
      }
    }
  }

 private:
  Diagnostics& diagnostics_;

  void take_out(ConfigNode& base, const ConfigNode::Entry& entry, bool is_stage, const std::string& path) {
    if (is_stage && base.find(entry.key) == nullptr) {
      std::vector<std::string> ids;
      for (const auto& stage : base.entries) ids.push_back(stage.key);
      const std::string near = nearest(entry.key, ids);
      diagnostics_.add(
          {entry.key_at, path, "there is no such stage to remove", near.empty() ? "" : "did you mean `" + near + "`?"});
    }
    remove(base, entry.key);
  }
};

}  // namespace

void merge(ConfigNode& base, ConfigNode overlay, Diagnostics& diagnostics) {
  Merge(diagnostics).apply(base, std::move(overlay), 0, false, "");
}

std::optional<ConfigNode> parse_override(std::string_view argument, std::size_t number, Diagnostics& diagnostics) {
  static const auto kFile = std::make_shared<const std::string>("--set");
  const auto line = static_cast<std::uint32_t>(number);
  const auto complain = [&](std::size_t column, std::string message) {
    diagnostics.add({{kFile, line, static_cast<std::uint32_t>(column + 1)},
                     "",
                     std::move(message),
                     "as in --set sources.capture.interfaces=[veth0]"});
    return std::nullopt;
  };
  const std::size_t equals = argument.find('=');
  if (equals == std::string_view::npos) return complain(0, "expected KEY=VALUE");
  const std::string_view path = argument.substr(0, equals);
  Diagnostics text_errors;
  if (!check_text(argument, kFile, text_errors)) return complain(0, "not text");
  auto value =
      parse_yaml(argument.substr(equals + 1), {kFile, line, static_cast<std::uint32_t>(equals + 2)}, diagnostics);
  if (!value) return std::nullopt;

  ConfigNode root;
  root.kind = Kind::map;
  root.at = {kFile, line, 1};
  ConfigNode* parent = &root;
  for (std::size_t start = 0;;) {
    const std::size_t dot = std::min(path.find('.', start), path.size());
    if (dot == start) return complain(start, "a key is missing");
    const Location at{kFile, line, static_cast<std::uint32_t>(start + 1)};
    parent->entries.push_back({std::string(path.substr(start, dot - start)), at, {}});
    ConfigNode& child = parent->entries.back().value;
    if (dot == path.size()) {
      child = std::move(*value);
      return root;
    }
    child.kind = Kind::map;
    child.at = at;
    parent = &child;
    start = dot + 1;
  }
}

}  // namespace fffa::core
