// SPDX-License-Identifier: MIT
// What stands beside the sections and around a stage's own options: the host's part of the configuration, bound like a
// plugin's.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "fffa/config.h"
#include "graph/pipeline.h"

namespace fffa::core {

inline constexpr std::uint32_t kMostQueued = 100'000'000;

FFFA_ENUM(OnFull, (block, "block", "wait for room: the source reads later, nothing is lost"),
          (drop, "drop", "give the batch up, and count it as lost"))
FFFA_ENUM(OnReject, (hold, "hold", "offer the batch again until it is taken: what comes behind it waits"),
          (dead_letter, "dead_letter",
           "what is refused goes where the sink's `dead_letter` says; hold what even that refuses"),
          (drop, "drop", "give the batch up, and count it as lost"))

struct MetricsOptions {
  std::string listen = "127.0.0.1:9464";
};
FFFA_CONFIG(MetricsOptions, (listen, "address and port of the Prometheus endpoint; \"\" for none", fffa::may_be_empty))

// Top level.
struct SettingsOptions {
  std::chrono::nanoseconds shutdown_timeout = std::chrono::seconds(30);
  MetricsOptions metrics;
  std::uint32_t threads = 2;
};
FFFA_CONFIG(SettingsOptions,
            (shutdown_timeout, "how long a stopping run may take to deliver what it has",
             fffa::range(std::chrono::seconds(0), std::chrono::hours(1))),
            (metrics, "fffa's own metrics"),
            (threads, "of the pool that runs enrichers and aggregators", fffa::range(1, 256)))

// One entry of `inputs`, where it is more than an id.
struct InputOptions {
  std::string from;
  std::optional<std::string> when;
  OnFull on_full = OnFull::block;
  std::optional<std::uint32_t> queue;
};
FFFA_CONFIG(InputOptions, (from, "id of the stage whose output this is"),
            (when, "the records that come through, as in `netfilter_verdict in [DROP, REJECT] or bytes > 1000`"),
            (on_full, "what happens when the queue is full"),
            (queue, "most records that wait here (default: the stage's `queue`)", fffa::range(1, kMostQueued)))

// Beside `type` and `inputs` in a stage.
struct QueueOptions {
  std::uint32_t queue = 65536;
};
FFFA_CONFIG(QueueOptions, (queue, "most records that wait at each input", fffa::range(1, kMostQueued)))

FFFA_ENUM(WhenFull, (block, "block", "wait for room: the source reads later, nothing is lost"),
          (drop_oldest, "drop_oldest", "give up what waited longest, and count it as lost"))
inline constexpr auto kBufferSizes = fffa::range(ByteSize{64 << 10}, ByteSize{1ull << 44});
struct DiskBufferOptions {
  static constexpr std::string_view kType = "disk";
  ByteSize max_size{1ull << 30};
  WhenFull when_full = WhenFull::block;
  std::optional<std::filesystem::path> directory;
};
FFFA_CONFIG(DiskBufferOptions, (max_size, "of its files together", kBufferSizes),
            (when_full, "what happens when there is no room for more"),
            (directory, "where they stand (default: `buffer` in the sink's state directory)"))
struct MemoryBufferOptions {
  static constexpr std::string_view kType = "memory";
  ByteSize max_size{256ull << 20};
  WhenFull when_full = WhenFull::block;
};
FFFA_CONFIG(MemoryBufferOptions, (max_size, "of the records that wait", kBufferSizes),
            (when_full, "what happens when there is no room for more"))

// Beside those, in a sink.
struct SinkOptions {
  OnReject on_reject = OnReject::hold;
  std::optional<std::variant<DiskBufferOptions, MemoryBufferOptions>> buffer;
};
FFFA_CONFIG(SinkOptions, (on_reject, "what becomes of a batch that this sink refuses for good"),
            (buffer,
             "what waits for this sink, beyond its queue: on disk it outlives fffa, and is acknowledged once it "
             "is there"))

// The settings in `root`; the rest of it is left alone.
Settings read_settings(const ConfigNode& root, Diagnostics& diagnostics);

// A map with those entries of `map` whose keys are options of T: what a binding of T reads. `at` stays.
template <typename T>
ConfigNode part_for(const ConfigNode& map) {
  ConfigNode part;
  part.kind = ConfigNode::Kind::map;
  part.at = map.at;
  for (const auto& option : schema_of<T>().options) {
    for (const auto& entry : map.entries) {
      if (entry.key == option.name) part.entries.push_back(entry);
    }
  }
  return part;
}

}  // namespace fffa::core
