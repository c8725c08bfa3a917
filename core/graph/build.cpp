// SPDX-License-Identifier: MIT
#include "graph/build.h"

#include <utility>
#include <vector>

#include "graph/checks.h"
#include "graph/draft.h"
#include "graph/settings.h"

namespace fffa::core {
namespace {

// A source or aggregator numbers its records if they can reach a sink without passing another aggregator.
void mark_stamping(std::vector<StageSpec>& stages) {
  std::vector<bool> to_sink(stages.size(), false);  // its output reaches a sink so
  for (std::size_t i = stages.size(); i-- > 0;) {   // topological order backwards: consumers first
    StageSpec& stage = stages[i];
    stage.stamps = to_sink[i] && (stage.kind == StageKind::source || stage.kind == StageKind::aggregator);
    const bool sink = stage.kind == StageKind::sink || stage.kind == StageKind::async_sink;
    const bool passes = stage.kind == StageKind::enricher && to_sink[i];
    if (!sink && !passes) continue;
    for (const auto& edge : stage.inputs) to_sink[edge.from] = true;
  }
}

std::vector<StageSpec> connect(std::vector<Draft>& drafts, const std::vector<std::size_t>& order) {
  std::vector<std::size_t> position(drafts.size());
  std::vector<StageSpec> stages;
  for (const std::size_t i : order) {
    Draft& draft = drafts[i];
    position[i] = stages.size();
    StageSpec stage;
    stage.id = std::move(draft.id);
    stage.kind = draft.stage_type->kind;
    stage.type = std::move(draft.type);
    stage.stage_type = draft.stage_type;
    stage.options = std::move(draft.options);
    stage.on_reject = draft.on_reject;
    stage.buffer = std::move(draft.buffer);
    stage.at = std::move(draft.at);
    for (auto& input : draft.inputs)
      stage.inputs.push_back(
          {position[*input.stage], input.on_full, input.capacity, input.at, std::move(input.when), input.when_secret});
    stages.push_back(std::move(stage));
  }
  return stages;
}

}  // namespace

std::optional<Pipeline> build_pipeline(const ConfigNode& config, StageTypes& types, Diagnostics& diagnostics) {
  const std::size_t before = diagnostics.all().size();
  Pipeline pipeline;
  pipeline.settings = read_settings(config, diagnostics);
  auto drafts = read_stages(config, types, diagnostics);
  check_ids(drafts, diagnostics);
  resolve_inputs(drafts, diagnostics);
  check_ends(drafts, config, diagnostics);
  const auto order = sort_stages(drafts, diagnostics);
  check_record_kinds(drafts, order, diagnostics);
  check_resources(drafts, diagnostics);
  if (diagnostics.all().size() != before) return std::nullopt;
  pipeline.stages = connect(drafts, order);
  mark_stamping(pipeline.stages);
  return pipeline;
}

}  // namespace fffa::core
