// SPDX-License-Identifier: MIT
// A configuration from hostile text: two files (apart by a byte 1) and an override, from YAML to a checked pipeline. No
// crash, no hang, no problem without a place, and what was substituted is never said.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "config/merge.h"
#include "config/substitute.h"
#include "config/text_file.h"
#include "config/yaml.h"
#include "graph/build.h"
#include "graph/draw.h"
#include "graph/test_types.h"

namespace {

using namespace fffa::core;

constexpr std::string_view kSecret = "hunter2hunter2";

Environment environment() {
  return {[](const std::string& name) { return name == "SECRET" ? std::optional<std::string>(kSecret) : std::nullopt; },
          [](const std::string& path) -> fffa::Result<std::string> {
            if (path == "/secret") return std::string(kSecret);
            return fffa::fail("open " + path);
          }};
}

std::optional<fffa::ConfigNode> read(std::string_view text, const char* name, fffa::Diagnostics& diagnostics) {
  const auto file = std::make_shared<const std::string>(name);
  if (!check_text(text, file, diagnostics)) return std::nullopt;
  auto root = parse_yaml(text, {file}, diagnostics);
  if (root) substitute(*root, environment(), diagnostics);
  return root && root->kind == fffa::ConfigNode::Kind::map ? std::move(root) : std::nullopt;
}

void check(const fffa::Diagnostics& diagnostics) {
  for (const auto& one : diagnostics.all()) {
    const std::string text = to_string(one);
    if (!one.at.file || one.at.line == 0 || one.at.column == 0 || one.message.empty()) std::abort();
    if (text.find(kSecret) != std::string::npos || text.find('\n') != std::string::npos) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.find("hunter2") != std::string_view::npos)
    return 0;  // the fuzzer found it by comparing: then it is no secret
  const std::size_t half = std::min(text.find('\x01'), text.size());
  fffa::Diagnostics diagnostics;
  auto config = read(text.substr(0, half), "a.yaml", diagnostics);
  auto overlay = read(text.substr(std::min(half + 1, text.size())), "b.yaml", diagnostics);
  auto last = parse_override(text.substr(0, std::min<std::size_t>(size, 80)), 1, diagnostics);
  if (config && overlay) merge(*config, std::move(*overlay), diagnostics);
  if (config && last) merge(*config, std::move(*last), diagnostics);
  if (config) {
    TestTypes types;
    fffa::Diagnostics graph;
    if (const auto pipeline = build_pipeline(*config, types, graph)) {
      if (draw_text(*pipeline).empty() || draw_mermaid(*pipeline).empty()) std::abort();
    } else if (graph.empty()) {
      std::abort();
    }
    check(graph);
  }
  check(diagnostics);
  return 0;
}
