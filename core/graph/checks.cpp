// SPDX-License-Identifier: MIT
#include "graph/checks.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>

#include "config/sections.h"

namespace fffa::core {
namespace {

constexpr std::size_t kSourceSection = 0;
constexpr std::size_t kSinkSection = 3;

std::string hidden_or(const DraftInput& input) {
  return input.secret ? "a substituted value (not shown)" : "`" + input.from.substr(0, 64) + "`";
}

// Inputs of each draft that were found, as indices.
std::vector<std::set<std::size_t>> inputs_of(const std::vector<Draft>& drafts) {
  std::vector<std::set<std::size_t>> inputs(drafts.size());
  for (std::size_t i = 0; i < drafts.size(); ++i) {
    for (const auto& input : drafts[i].inputs) {
      if (input.stage) inputs[i].insert(*input.stage);
    }
  }
  return inputs;
}

// A cycle among stages that all have an input among themselves: from any of them backwards, until one comes up again.
std::vector<std::size_t> find_cycle(const std::set<std::size_t>& left,
                                    const std::vector<std::set<std::size_t>>& inputs) {
  std::vector<std::size_t> way;
  for (std::size_t at = *left.begin();;) {
    const auto seen = std::find(way.begin(), way.end(), at);
    if (seen != way.end()) {
      std::vector<std::size_t> cycle(seen, way.end());
      std::reverse(cycle.begin(), cycle.end());  // now in the direction of the records
      std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
      return cycle;
    }
    way.push_back(at);
    at = *std::find_if(inputs[at].begin(), inputs[at].end(), [&](std::size_t from) { return left.contains(from); });
  }
}

const DraftInput& input_from(const Draft& draft, std::size_t stage) {
  return *std::find_if(draft.inputs.begin(), draft.inputs.end(),
                       [&](const auto& input) { return input.stage == stage; });
}

void report_cycle(const std::vector<Draft>& drafts, const std::vector<std::size_t>& cycle, Diagnostics& diagnostics) {
  std::string way = drafts[cycle.front()].id;
  std::string places;
  for (std::size_t i = 0; i < cycle.size(); ++i) {
    const Draft& next = drafts[cycle[(i + 1) % cycle.size()]];
    way += " -> " + next.id;
    places += (i == 0 ? "" : ", ") + next.id + " at " + to_string(input_from(next, cycle[i]).at);
  }
  const DraftInput& first = input_from(drafts[cycle.front()], cycle.back());
  diagnostics.add({first.at, first.path, "cycle: " + way, "the inputs: " + places});
}

// What makes two names one: paths are compared as the process would open them.
std::string resource_key(const Resource& resource) {
  std::string name = resource.name;
  if (resource.kind == "file" || resource.kind == "directory" || resource.kind == "path") {
    std::error_code error;
    auto path = std::filesystem::absolute(name, error).lexically_normal();
    if (!path.has_filename()) path = path.parent_path();  // a slash at the end
    name = path.string();
  }
  return resource.kind + '\0' + name;
}

}  // namespace

void check_ids(const std::vector<Draft>& drafts, Diagnostics& diagnostics) {
  std::map<std::string_view, const Draft*> known;
  for (const auto& draft : drafts) {
    const auto [first, added] = known.emplace(draft.id, &draft);
    if (added) continue;
    diagnostics.add({draft.at, draft.path, "duplicate id, first at " + to_string(first->second->at),
                     "ids are unique over all sections"});
  }
}

void resolve_inputs(std::vector<Draft>& drafts, Diagnostics& diagnostics) {
  std::map<std::string_view, std::size_t> known;
  std::vector<std::string> outputs;
  for (std::size_t i = 0; i < drafts.size(); ++i) {
    known.emplace(drafts[i].id, i);
    if (drafts[i].section != kSinkSection) outputs.push_back(drafts[i].id);
  }
  for (auto& draft : drafts) {
    std::set<std::string_view> named;
    for (auto& input : draft.inputs) {
      const auto found = known.find(input.from);
      if (found == known.end()) {
        diagnostics.add(
            {input.at, input.path, "no stage has the id " + hidden_or(input), did_you_mean(input.from, outputs)});
      } else if (drafts[found->second].section == kSinkSection) {
        diagnostics.add({input.at, input.path, "`" + input.from + "` is a sink: nothing comes out of it", ""});
      } else if (!named.insert(input.from).second) {
        diagnostics.add({input.at, input.path, "`" + input.from + "` is named twice", ""});
      } else {
        input.stage = found->second;
      }
    }
  }
}

void check_ends(const std::vector<Draft>& drafts, const ConfigNode& config, Diagnostics& diagnostics) {
  std::array<bool, 4> present{};
  std::set<std::size_t> used;
  std::set<std::string> meant;  // by inputs that name no stage: that was reported already
  std::vector<std::string> ids;
  bool all_read = true;
  ids.reserve(drafts.size());
  for (const auto& draft : drafts) ids.push_back(draft.id);
  for (const auto& draft : drafts) {
    present[draft.section] = true;
    all_read = all_read && draft.inputs_good;
    for (const auto& input : draft.inputs) {
      if (input.stage) used.insert(*input.stage);
      if (!input.stage) meant.insert(nearest(input.from, ids));
    }
  }
  for (const std::size_t section : {kSourceSection, kSinkSection}) {
    const std::string name(kSections[section]);
    const ConfigNode* node = config.find(name);
    if (present[section] ||
        (node != nullptr && node->kind != ConfigNode::Kind::map && node->kind != ConfigNode::Kind::null))
      continue;
    diagnostics.add({node != nullptr ? node->at : config.at, name, "there is none",
                     "a pipeline has at least one source and one sink"});
  }
  for (std::size_t i = 0; i < drafts.size() && all_read && present[kSinkSection]; ++i) {
    const Draft& draft = drafts[i];
    if (draft.section == kSinkSection || used.contains(i) || meant.contains(draft.id)) continue;
    diagnostics.add({draft.at, draft.path, "nothing takes the output of `" + draft.id + "`",
                     "name it in the `inputs` of a stage, or take it out"});
  }
}

std::vector<std::size_t> sort_stages(const std::vector<Draft>& drafts, Diagnostics& diagnostics) {
  const auto inputs = inputs_of(drafts);
  std::vector<std::size_t> order;
  std::set<std::size_t> left;
  for (std::size_t i = 0; i < drafts.size(); ++i) left.insert(i);
  const auto waits = [&](std::size_t stage) {
    return std::any_of(inputs[stage].begin(), inputs[stage].end(),
                       [&](std::size_t from) { return left.contains(from); });
  };
  while (!left.empty()) {
    const auto next = std::find_if(left.begin(), left.end(), [&](std::size_t stage) { return !waits(stage); });
    if (next == left.end()) {
      const auto cycle = find_cycle(left, inputs);
      report_cycle(drafts, cycle, diagnostics);
      for (const std::size_t stage : cycle) left.erase(stage);
      continue;
    }
    order.push_back(*next);
    left.erase(next);
  }
  return order;
}

void check_record_kinds(const std::vector<Draft>& drafts, const std::vector<std::size_t>& order,
                        Diagnostics& diagnostics) {
  std::vector<std::optional<std::size_t>> origin(drafts.size());  // the stage that made the records cumulative
  for (const std::size_t i : order) {
    const Draft& draft = drafts[i];
    if (draft.stage_type == nullptr) continue;
    for (const auto& input : draft.inputs) {
      const auto from = input.stage ? origin[*input.stage] : std::nullopt;
      if (!from) continue;
      if (draft.stage_type->kind == StageKind::enricher) origin[i] = from;
      if (draft.stage_type->accepts_cumulative) continue;
      diagnostics.add({input.at, input.path,
                       "`" + draft.type + "` needs what happened since the last record, but `" + drafts[*from].id +
                           "` (" + to_string(drafts[*from].at) + ") puts out totals (cumulative)",
                       "make `" + drafts[*from].id + "` put out deltas, or take the records before it"});
    }
    const bool makes = draft.stage_type->kind == StageKind::source || draft.stage_type->kind == StageKind::aggregator;
    if (makes && draft.options_good && draft.stage_type->emits(draft.options) == RecordKind::cumulative) origin[i] = i;
  }
}

void check_resources(const std::vector<Draft>& drafts, Diagnostics& diagnostics) {
  std::map<std::string, const Draft*> owners;
  for (const auto& draft : drafts) {
    if (draft.stage_type == nullptr || !draft.options_good) continue;
    auto resources = draft.stage_type->resources(draft.options);
    if (!draft.buffer.directory.empty()) resources.push_back({"directory", draft.buffer.directory.string()});
    for (const auto& resource : resources) {
      const auto [owner, added] = owners.emplace(resource_key(resource), &draft);
      if (added || owner->second == &draft) continue;
      diagnostics.add({draft.at, draft.path,
                       "shares the " + resource.kind + (resource.name.empty() ? "" : " `" + resource.name + "`") +
                           " with `" + owner->second->id + "` (" + to_string(owner->second->at) + ")",
                       "only one stage can have it"});
    }
  }
}

}  // namespace fffa::core
