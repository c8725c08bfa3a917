// SPDX-License-Identifier: MIT
#include "graph/draft.h"

#include <algorithm>
#include <array>
#include <utility>

#include "config/sections.h"
#include "config/yaml.h"
#include "graph/settings.h"

namespace fffa::core {
namespace {

using Kind = ConfigNode::Kind;

constexpr std::size_t kMostStages = 1000;
constexpr std::array<std::string_view, 4> kKindNames = {"source", "enricher", "aggregator", "sink"};
constexpr std::size_t kSourceSection = 0;
constexpr std::size_t kSinkSection = 3;

// Ids name metrics and folders.
bool is_id(std::string_view id) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  return !id.empty() && id.size() <= 64 && id[0] != '-' && id[0] != '_' && std::all_of(id.begin(), id.end(), good);
}

BufferSpec spec_of(const DiskBufferOptions& options) {
  return {BufferSpec::Type::disk, options.max_size.bytes, options.when_full, options.directory.value_or(""), {}};
}
BufferSpec spec_of(const MemoryBufferOptions& options) {
  return {BufferSpec::Type::memory, options.max_size.bytes, options.when_full, {}, {}};
}

// Reads one stage.
class StageReader {
 public:
  // `section`: the stages beside it
  StageReader(const ConfigNode& node, const ConfigNode& section, Draft& draft, StageTypes& types,
              Diagnostics& diagnostics)
      : node_(node), section_(section), draft_(draft), types_(types), diagnostics_(diagnostics) {}

  void read() {
    if (!is_id(draft_.id)) {
      error(draft_.at, "", "not a name for a stage",
            "letters, digits, `_` and `-`, at most 64, the first a letter or digit");
    }
    if (node_.kind != Kind::map) {
      draft_.inputs_good = false;
      error(node_.kind == Kind::null ? draft_.at : node_.at, "", "expected a mapping with `type`, got " + shown(node_),
            "");
      return;
    }
    read_type();
    read_envelope();
    read_inputs();
    check_options();
  }

 private:
  const ConfigNode& node_;
  const ConfigNode& section_;
  Draft& draft_;
  StageTypes& types_;
  Diagnostics& diagnostics_;

  std::string_view kind() const { return kKindNames[draft_.section]; }
  std::string path(std::string_view key) const { return join_path(draft_.path, key); }
  void error(const Location& at, std::string_view key, std::string message, std::string hint) {
    diagnostics_.add({at, key.empty() ? draft_.path : path(key), std::move(message), std::move(hint)});
  }

  std::string meant() const;
  void read_type();
  void read_envelope();
  void read_inputs();
  void read_input(const ConfigNode& node, const std::string& input_path, std::size_t capacity);
  void read_when(const ConfigNode& node, const std::string& path, DraftInput& input);
  void check_options();
  void check_dead_letter();
};

// The stage that an overlay or --set meant, which has made one without a type.
std::string StageReader::meant() const {
  std::vector<std::string> ids;
  for (const auto& entry : section_.entries) {
    if (entry.value.find("type") != nullptr) ids.push_back(entry.key);
  }
  return did_you_mean(draft_.id, ids);
}

void StageReader::read_type() {
  const ConfigNode* type = node_.find("type");
  if (type == nullptr) {
    const std::string hint = meant();
    return error(draft_.at, "type", "`type` is missing",
                 hint.empty() ? "it names the plugin: `fffa plugins` lists them" : "a new stage needs it; " + hint);
  }
  if (type->kind != Kind::scalar) return error(type->at, "type", "expected a name, got " + shown(*type), "");
  const StageType* found = types_.find(type->value, draft_.section);
  if (found == nullptr) {
    const std::string why = types_.why_missing(type->value);
    if (!why.empty()) return error(type->at, "type", shown(*type) + " is not available", why);
    std::string hint = did_you_mean(type->value, types_.names());
    return error(type->at, "type", "no plugin offers " + shown(*type),
                 hint.empty() ? "`fffa plugins` lists them" : hint);
  }
  const std::size_t section = section_of(found->kind);
  if (section != draft_.section) {
    std::string move = "it belongs under `" + std::string(kSections[section]) + ":`";
    return error(type->at, "type", "`" + std::string(found->name) + "` is no " + std::string(kind()), std::move(move));
  }
  draft_.type = found->name;
  draft_.stage_type = found;
}

// What the host reads beside `type` and `inputs`.
void StageReader::read_envelope() {
  SinkOptions sink;
  const ConfigNode part = part_for<SinkOptions>(node_);
  if (draft_.section == kSinkSection) {
    read_config(part, draft_.path, sink, diagnostics_);
    draft_.on_reject = sink.on_reject;
    if (sink.buffer) draft_.buffer = std::visit([](const auto& options) { return spec_of(options); }, *sink.buffer);
    if (sink.buffer) draft_.buffer.at = node_.find("buffer")->at;
  } else {
    for (const auto& entry : part.entries)
      error(entry.key_at, entry.key,
            entry.key == "buffer" ? "only a sink has a buffer" : "only a sink can refuse a batch",
            entry.key == "buffer" ? "other stages have a `queue`" : "");
  }
  if (const ConfigNode* when = node_.find("when")) {
    error(when->at, "when", "`when` belongs to an input", "write inputs: [{from: ID, when: ...}]");
  }
}

void StageReader::read_inputs() {
  const ConfigNode* inputs = node_.find("inputs");
  QueueOptions queue;
  const ConfigNode part = part_for<QueueOptions>(node_);
  if (draft_.section == kSourceSection) {
    if (inputs != nullptr) error(inputs->at, "inputs", "a source has no inputs", "");
    if (!part.entries.empty())
      error(part.entries.front().key_at, "queue", "a source has no queue", "it stands at the inputs of the next stage");
    return;
  }
  read_config(part, draft_.path, queue, diagnostics_);
  draft_.inputs_good = inputs != nullptr && inputs->kind == Kind::list && !inputs->items.empty();
  if (inputs == nullptr || inputs->kind == Kind::null || (inputs->kind == Kind::list && inputs->items.empty())) {
    const Location& at = inputs == nullptr ? draft_.at : inputs->at;
    return error(at, "inputs", "`inputs` is missing",
                 std::string(kind()) == "sink" ? "what should it write?" : "where should its records come from?");
  }
  if (inputs->kind != Kind::list) {
    const bool id = inputs->kind == Kind::scalar && !inputs->secret;
    return error(inputs->at, "inputs", "expected a list of stages, got " + shown(*inputs),
                 id ? "write [" + inputs->value.substr(0, 64) + "]" : "");
  }
  for (std::size_t i = 0; i < inputs->items.size(); ++i) {
    read_input(inputs->items[i], path("inputs") + "[" + std::to_string(i) + "]", queue.queue);
  }
}

void StageReader::read_input(const ConfigNode& node, const std::string& input_path, std::size_t capacity) {
  DraftInput input;
  input.path = input_path;
  input.at = node.at;
  input.capacity = capacity;
  if (node.kind == Kind::scalar) {
    input.from = node.value;
    input.secret = node.secret;
  } else if (node.kind == Kind::map) {
    InputOptions options;
    if (!read_config(node, input_path, options, diagnostics_)) {
      draft_.inputs_good = false;
      return;
    }
    const ConfigNode& from = *node.find("from");
    input.from = options.from;
    input.secret = from.secret;
    input.at = from.at;
    input.on_full = options.on_full;
    input.capacity = options.queue.value_or(static_cast<std::uint32_t>(capacity));
    if (options.when) read_when(*node.find("when"), join_path(input_path, "when"), input);
  } else {
    draft_.inputs_good = false;
    diagnostics_.add({node.at, input_path, "expected the id of a stage, got " + shown(node), ""});
    return;
  }
  draft_.inputs.push_back(std::move(input));
}

void StageReader::read_when(const ConfigNode& node, const std::string& path, DraftInput& input) {
  std::vector<FilterProblem> problems;
  input.when = Filter::parse(node.value, problems);
  input.when_secret = node.secret;
  if (node.secret && !problems.empty())
    return diagnostics_.add({node.at, path, "what is substituted here is no sound condition (not shown)", ""});
  for (auto& problem : problems)
    diagnostics_.add({place_in(node, problem.offset), path, std::move(problem.message), std::move(problem.hint)});
}

// The stage's own options are the type's affair.
void StageReader::check_options() {
  draft_.options.kind = Kind::map;
  draft_.options.at = draft_.at;
  constexpr std::array<std::string_view, 6> kHosts = {"type", "inputs", "queue", "on_reject", "buffer", "when"};
  for (const auto& entry : node_.entries) {
    if (std::find(kHosts.begin(), kHosts.end(), entry.key) == kHosts.end()) draft_.options.entries.push_back(entry);
  }
  if (draft_.stage_type != nullptr)
    draft_.options_good = draft_.stage_type->check(draft_.options, draft_.path, diagnostics_);
  check_dead_letter();
}

// A sink that has a place for dead letters has an option of that name.
void StageReader::check_dead_letter() {
  if (draft_.stage_type == nullptr || draft_.section != kSinkSection) return;
  const auto& options = draft_.stage_type->schema().options;
  const bool able = std::any_of(options.begin(), options.end(), [](const auto& o) { return o.name == "dead_letter"; });
  const ConfigNode* const place = draft_.options.find("dead_letter");
  const bool given = place != nullptr && place->kind != Kind::null;
  if (draft_.on_reject != OnReject::dead_letter) {
    if (able && given) error(place->at, "dead_letter", "nothing goes there", "write on_reject: dead_letter");
    return;
  }
  const Location& at = node_.find("on_reject")->at;
  if (!able) return error(at, "on_reject", "`" + draft_.type + "` has no place for dead letters", "hold or drop");
  if (!given) error(at, "on_reject", "where to?", "the option `dead_letter` says it");
}

void check_top_level(const ConfigNode& root, Diagnostics& diagnostics) {
  std::vector<std::string> known(kSections.begin(), kSections.end());
  for (const auto& option : schema_of<SettingsOptions>().options) known.push_back(option.name);
  for (const auto& entry : root.entries) {
    if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
    std::string hint = did_you_mean(entry.key, known);
    diagnostics.add({entry.key_at, entry.key.substr(0, 64), "unknown key",
                     hint.empty()
                         ? "there are: sources, enrichers, aggregators, sinks, shutdown_timeout, metrics, threads"
                         : hint});
  }
}

}  // namespace

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string near = nearest(word, candidates);
  return near.empty() ? "" : "did you mean `" + near + "`?";
}

std::vector<Draft> read_stages(const ConfigNode& root, StageTypes& types, Diagnostics& diagnostics) {
  check_top_level(root, diagnostics);
  std::vector<Draft> drafts;
  for (std::size_t section = 0; section < kSections.size(); ++section) {
    const ConfigNode* node = root.find(kSections[section]);
    if (node == nullptr || node->kind == Kind::null) continue;
    const std::string name(kSections[section]);
    if (node->kind != Kind::map) {
      diagnostics.add({node->at, name, "expected stages by their ids, got " + shown(*node), ""});
      continue;
    }
    for (const auto& entry : node->entries) {
      if (drafts.size() == kMostStages) {
        diagnostics.add({entry.key_at, name, "more than " + std::to_string(kMostStages) + " stages", ""});
        return drafts;
      }
      Draft draft;
      draft.id = entry.key;
      draft.path = join_path(name, is_id(entry.key) ? entry.key : shown_text(entry.key));
      draft.section = section;
      draft.at = entry.key_at;
      StageReader(entry.value, *node, draft, types, diagnostics).read();
      drafts.push_back(std::move(draft));
    }
  }
  return drafts;
}

}  // namespace fffa::core
