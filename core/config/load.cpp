// SPDX-License-Identifier: MIT
#include "config/load.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <memory>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>

#include "config/merge.h"
#include "config/text_file.h"
#include "config/yaml.h"

namespace fffa::core {
namespace {

constexpr std::size_t kFileLimit = std::size_t{4} << 20;

// What is a capture file, or anything gzipped, by the bytes that it begins with.
bool is_capture(const std::filesystem::path& path) {
  using namespace std::string_view_literals;
  constexpr std::array kMagic = {"\x0a\x0d\x0d\x0a"sv, "\xd4\xc3\xb2\xa1"sv, "\xa1\xb2\xc3\xd4"sv,
                                 "\x4d\x3c\xb2\xa1"sv, "\xa1\xb2\x3c\x4d"sv, "\x1f\x8b"sv};
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;
  std::array<char, 4> start{};
  std::ifstream(path, std::ios::binary).read(start.data(), start.size());
  const std::string_view text(start.data(), start.size());
  return std::any_of(kMagic.begin(), kMagic.end(), [&](std::string_view magic) { return text.starts_with(magic); });
}

// Without "open NAME: ": the name stands before the message anyway.
std::string without_name(const std::string& message, const std::filesystem::path& path) {
  for (const char* verb : {"open ", "read ", "stat "}) {
    const std::string start = verb + path.string() + ": ";
    if (message.starts_with(start)) return message.substr(start.size());
  }
  return message;
}

std::optional<ConfigNode> load_file(const std::filesystem::path& path, const ConfigSources& sources,
                                    const std::function<Result<void>(const std::filesystem::path&)>& trusted,
                                    Diagnostics& diagnostics) {
  const auto file = std::make_shared<const std::string>(path.string());
  const auto complain = [&](std::string message, std::string hint = "") {
    diagnostics.add({{file, 1, 1}, "", std::move(message), std::move(hint)});
    return std::nullopt;
  };
  const auto complain_of_file = [&](std::string message, std::string hint) {
    diagnostics.add({{file, 0, 0}, "", std::move(message), std::move(hint)});
    return std::nullopt;
  };
  if (is_capture(path)) {
    return complain_of_file("a capture or a compressed file, not a configuration",
                            "to replay it: fffa run replay.yaml --set sources.replay.path=" + path.string());
  }
  auto text = read_regular_file(path, kFileLimit);
  if (!text) {
    std::error_code error;
    const bool missing = !std::filesystem::exists(path, error) && !error;
    return complain_of_file(without_name(text.error().message, path),
                            missing && sources.if_missing ? sources.if_missing(path) : "");
  }
  if (const auto trust = trusted(path); !trust) {
    return complain(trust.error().message, "take the write permission away, or copy the file to a folder of root's");
  }
  if (!check_text(*text, file, diagnostics)) return std::nullopt;
  auto root = parse_yaml(*text, {file}, diagnostics);
  if (!root) return root;
  if (root->kind == ConfigNode::Kind::null)
    return complain("the file is empty", "it should hold `sources:` and `sinks:`");
  if (root->kind != ConfigNode::Kind::map) return complain("expected sections such as `sources:`, got " + shown(*root));
  return root;
}

}  // namespace

std::optional<ConfigNode> load_config(const ConfigSources& sources, const Environment& environment,
                                      const std::function<Result<void>(const std::filesystem::path&)>& trusted,
                                      Diagnostics& diagnostics) {
  std::vector<ConfigNode> layers;
  for (const auto& file : sources.files) {
    if (auto layer = load_file(file, sources, trusted, diagnostics)) layers.push_back(std::move(*layer));
  }
  for (std::size_t i = 0; i < sources.overrides.size(); ++i) {
    if (auto layer = parse_override(sources.overrides[i], i + 1, diagnostics)) layers.push_back(std::move(*layer));
  }
  if (layers.size() != sources.files.size() + sources.overrides.size() || layers.empty()) return std::nullopt;
  for (auto& layer : layers) substitute(layer, environment, diagnostics);
  ConfigNode config = std::move(layers.front());
  for (std::size_t i = 1; i < layers.size(); ++i) merge(config, std::move(layers[i]), diagnostics);
  return config;
}

std::vector<Diagnostic> sorted_by_place(const Diagnostics& diagnostics, const ConfigSources& sources) {
  const auto key = [&](const Diagnostic& one) {
    std::size_t file = sources.files.size();
    for (std::size_t i = 0; i < sources.files.size() && one.at.file; ++i) {
      if (sources.files[i].string() == *one.at.file) file = std::min(file, i);
    }
    return std::make_tuple(file, one.at.line, one.at.column);
  };
  std::vector<Diagnostic> all = diagnostics.all();
  std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  const auto same = [&](const Diagnostic& a, const Diagnostic& b) {
    return key(a) == key(b) && a.path == b.path && a.message == b.message;
  };
  all.erase(std::unique(all.begin(), all.end(), same), all.end());
  return all;
}

}  // namespace fffa::core
