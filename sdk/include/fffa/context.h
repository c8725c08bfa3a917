// SPDX-License-Identifier: MIT
// StageContext: what the host gives a stage. Everything here outlives the stage.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "fffa/format.h"
#include "fffa/record.h"
#include "fffa/result.h"
#include "fffa/text.h"

namespace fffa {

enum class LogLevel : std::uint8_t { trace, debug, info, warning, error };

// Any thread. One line per message; say what, where (object), what to do.
class Logger {
 public:
  virtual ~Logger() = default;
  virtual void log(LogLevel level, std::string_view message) = 0;
  virtual bool enabled(LogLevel level) const = 0;
  void debug(std::string_view message) { log(LogLevel::debug, message); }
  void info(std::string_view message) { log(LogLevel::info, message); }
  void warning(std::string_view message) { log(LogLevel::warning, message); }
  void error(std::string_view message) { log(LogLevel::error, message); }
};

// Any thread, wait-free. Never decreases.
class Counter {
 public:
  virtual ~Counter() = default;
  virtual void add(std::uint64_t n = 1) = 0;
  virtual std::uint64_t value() const = 0;
};
class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void set(double value) = 0;
};

using MetricLabels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// A stage's own metrics. The host adds the labels `stage` and `type`, and counts received, sent and dropped records by
// itself. Names as Prometheus wants them ("fffa_..._total"). Equal name and labels give the same object. References
// live as long as the process.
class Metrics {
 public:
  virtual ~Metrics() = default;
  virtual Counter& counter(std::string_view name, std::string_view help, MetricLabels labels = {}) = 0;
  virtual Gauge& gauge(std::string_view name, std::string_view help, MetricLabels labels = {}) = 0;
};

// Tests give a stage a manual one.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimeNs now() const = 0;                          // wall clock, Unix nanoseconds
  virtual std::chrono::nanoseconds monotonic() const = 0;  // never steps
};

// Keeps a timer running; destroying it cancels: once the destructor returned on the stage's strand, the function is not
// called any more.
class Timer {
 public:
  virtual ~Timer() = default;
};

class StageContext {
 public:
  virtual ~StageContext() = default;

  virtual const std::string& id() const = 0;  // as in the YAML
  virtual const std::string& type() const = 0;
  virtual Logger& log() = 0;
  virtual Metrics& metrics() = 0;
  virtual Clock& clock() = 0;
  virtual TextTable& texts() = 0;
  virtual Text host() const = 0;    // this machine's name
  virtual Text run_id() const = 0;  // UUID of this start of fffa
  // A folder of this stage's own that survives restarts; made on first call.
  virtual Result<std::filesystem::path> state_directory() = 0;

  // Runs `function` on the stage's strand (a sink's or source's: on its thread, between calls), never at the same time
  // as another call into the stage. Any thread may call post(); nothing runs after the stage is destroyed.
  virtual void post(std::function<void()> function) = 0;
  virtual std::unique_ptr<Timer> every(std::chrono::nanoseconds period, std::function<void()> function) = 0;
  // Runs blocking work (HTTP, DNS) on a thread of the host's, one at a time per stage, off every strand. Hand results
  // back with post().
  virtual void background(std::function<void()> work) = 0;

  // "json", "ecs", "vpc" (AWS's default format), or "vpc:" + an AWS format string. Throws std::invalid_argument on
  // anything else (a bug: validate first).
  virtual Formatter format(std::string_view name) = 0;

  // Something is wrong that the stage goes on with: /healthz shows the reason until it is told an empty one. Any
  // thread.
  virtual void degraded(std::string_view reason) = 0;
  // How long close() may take, for sinks that then wait for somebody else: what is left of `shutdown_timeout` where the
  // run ends, nothing where the stage is only built again. It shrinks; ask anew. Any thread.
  virtual std::chrono::nanoseconds close_time() const = 0;
};

}  // namespace fffa
