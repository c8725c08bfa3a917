// SPDX-License-Identifier: MIT
// Pipeline: the checked graph as data. Made by graph/ from a configuration, drawn by the CLI, run by runtime/. No
// threads, no I/O.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "fffa/config_node.h"
#include "fffa/plugin.h"
#include "filter/filter.h"

namespace fffa::core {

enum class OnFull : std::uint8_t { block, drop };
enum class OnReject : std::uint8_t { hold, dead_letter, drop };

// One input of a stage.
struct Edge {
  std::size_t from = 0;  // index in Pipeline::stages
  OnFull on_full = OnFull::block;
  std::size_t capacity = 65536;  // bound on queued records (`queue` of the stage or input)
  Location at;
  FilterPtr when{};          // which records come through; null: all
  bool when_secret = false;  // it was substituted: not to be printed
};

enum class WhenFull : std::uint8_t { block, drop_oldest };

// `buffer` of a sink.
struct BufferSpec {
  enum class Type : std::uint8_t { none, memory, disk };
  Type type = Type::none;
  std::uint64_t max_size = 0;  // octets
  WhenFull when_full = WhenFull::block;
  std::filesystem::path directory{};  // of a disk buffer; empty: in the stage's state directory
  Location at{};
};
// What waits in the one waits in the other.
inline bool same_place(const BufferSpec& a, const BufferSpec& b) {
  return a.type == b.type && a.directory == b.directory;
}
inline bool same_buffer(const BufferSpec& a, const BufferSpec& b) {
  return same_place(a, b) && a.max_size == b.max_size && a.when_full == b.when_full;
}

struct StageSpec {
  std::string id;  // unique over all kinds
  StageKind kind{};
  std::string type;
  const StageType* stage_type = nullptr;  // never null in a checked pipeline
  ConfigNode options;                     // the stage's own options, without type, inputs, on_reject, queue, buffer
  std::vector<Edge> inputs;               // empty for sources
  OnReject on_reject = OnReject::hold;    // sinks
  BufferSpec buffer{};                    // sinks
  bool stamps = false;  // source or aggregator with a way to a sink that passes no other aggregator: the runtime
                        // numbers its records
  Location at;          // of the id
};

struct Settings {
  std::chrono::nanoseconds shutdown_timeout = std::chrono::seconds(30);
  std::string metrics_listen = "127.0.0.1:9464";  // empty: no metrics server
  bool metrics_listen_explicit = false;           // given in the YAML: failing to bind is an error, else a warning
  std::size_t threads = 2;                        // of the pool that runs enrichers and aggregators
};

struct Pipeline {
  Settings settings;
  std::vector<StageSpec> stages;  // in topological order: a stage comes after its inputs
};

}  // namespace fffa::core
