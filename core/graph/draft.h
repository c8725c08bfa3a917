// SPDX-License-Identifier: MIT
// The stages as they were written: read one by one, not yet connected.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/pipeline.h"
#include "graph/stage_types.h"

namespace fffa::core {

struct DraftInput {
  std::string from;
  std::string path;                  // "sinks.logs.inputs[0]"
  std::optional<std::size_t> stage;  // index of the draft it names, once it is found
  bool secret = false;               // the id was substituted: not to be printed unless it is a stage's
  OnFull on_full = OnFull::block;
  std::size_t capacity = 0;
  FilterPtr when;
  bool when_secret = false;
  Location at;
};

struct Draft {
  std::string id;
  std::string path;         // "sinks.logs"
  std::size_t section = 0;  // index in kSections
  std::string type;
  const StageType* stage_type = nullptr;  // nullptr: unknown, or of another kind; that was reported
  ConfigNode options;
  bool options_good = false;  // they passed the type's check
  std::vector<DraftInput> inputs;
  bool inputs_good = true;  // false: some input could not be read
  OnReject on_reject = OnReject::hold;
  BufferSpec buffer;
  Location at;  // of the id
};

// All stages of `root`, in file order, with everything reported that is wrong with each by itself.
std::vector<Draft> read_stages(const ConfigNode& root, StageTypes& types, Diagnostics& diagnostics);

// "did you mean `x`?", or empty.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace fffa::core
