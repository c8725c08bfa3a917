// SPDX-License-Identifier: MIT
// Stage types for the tests of this folder, and a pipeline from YAML text.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/yaml.h"
#include "fffa/plugin.h"
#include "graph/build.h"
#include "graph/stage_types.h"

namespace fffa::core {

class TestTypes final : public StageTypes {
 public:
  const StageType* find(std::string_view type, std::size_t section) override;
  std::vector<std::string> names() override;
  std::string why_missing(std::string_view type) override { return type == "broken" ? "/x/broken.so: truncated" : ""; }
};

// All of TestTypes: src, enrich, windows (`mode: cumulative` puts out totals), out (owns its `file`), delta_sink,
// async.
std::vector<const StageType*> test_types();

struct Built {
  std::optional<Pipeline> pipeline;
  std::vector<Diagnostic> problems;
};

inline Built build(std::string_view text) {
  Diagnostics parsing;
  const auto root = parse_yaml(text, {std::make_shared<const std::string>("f.yaml")}, parsing);
  TestTypes types;
  Diagnostics diagnostics = parsing;
  Built built;
  if (root) built.pipeline = build_pipeline(*root, types, diagnostics);
  built.problems = diagnostics.all();
  return built;
}

}  // namespace fffa::core
