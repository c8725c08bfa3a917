// SPDX-License-Identifier: MIT
// What all nodes of a run share. Outlives every stage and every thread that runs one.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <string>

#include "fffa/context.h"
#include "fffa/text.h"
#include "log.h"
#include "metrics/health.h"
#include "metrics/registry.h"
#include "pool.h"
#include "waker.h"

namespace fffa::core {

using Monotonic = std::chrono::steady_clock;

// Times that tests shorten.
struct Tuning {
  std::chrono::nanoseconds retry_first = std::chrono::milliseconds(100);
  std::chrono::nanoseconds retry_longest = std::chrono::seconds(10);
  std::chrono::nanoseconds silent_input =
      std::chrono::seconds(10);  // after it an input no longer holds the watermark back
  std::chrono::nanoseconds slow_call = std::chrono::seconds(10);        // after it the watchdog names a stage
  std::chrono::nanoseconds broken_enricher = std::chrono::seconds(10);  // pause before it is tried again
  // A stop leaves in the buffer on disk what a sink has not delivered after so long without any delivery: one that is
  // in trouble, and any other (which may be slow, and what it has in the air comes twice).
  std::chrono::nanoseconds silent_in_trouble = std::chrono::seconds(1);
  std::chrono::nanoseconds silent = std::chrono::seconds(5);
  std::chrono::nanoseconds leave_behind =
      std::chrono::seconds(2);  // how long threads may take to end after the deadline
};

struct Services {
  std::shared_ptr<StageLog> log;
  Tuning tuning;
  Registry metrics;
  Health health;
  TextTable texts;
  std::unique_ptr<Clock> clock;
  Pool pool;
  Waker main;  // wakes the engine: a node has ended, a stop was asked for
  Text host{};
  Text run_id{};
  std::filesystem::path state_root;
  std::atomic<std::uint64_t> sequence{1};         // of the next record that leaves
  std::atomic<bool> stopping{false};              // sources end their input
  std::atomic<std::int64_t> shutdown_timeout{0};  // nanoseconds, as the pipeline that runs has it
  std::atomic<std::int64_t> stop_by{std::numeric_limits<std::int64_t>::max()};  // of Monotonic: the deadline of a stop
  std::atomic<bool> abandoned{false};                                           // past the deadline: everything lets go
  std::atomic<bool> lost_uncounted{false};  // what no account shows at the end: by close() of a sink, with a
                                            // damaged file, by a sink that a reload removed
  std::atomic<bool> draining{false};        // a reload empties the graph: edges take more than their capacity
};

// The machine's clocks.
std::unique_ptr<Clock> make_system_clock();
// $STATE_DIRECTORY (its first entry), else /var/lib/fffa for root, else $XDG_STATE_HOME/fffa or ~/.local/state/fffa.
std::filesystem::path default_state_root();
std::string make_uuid();
std::string host_name();
}  // namespace fffa::core
