// SPDX-License-Identifier: MIT
// Where log lines go.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "fffa/context.h"

namespace fffa::core {

// Any thread. `stage` is empty for the runtime itself.
class LogTarget {
 public:
  virtual ~LogTarget() = default;
  virtual void write(LogLevel level, std::string_view stage, std::string_view message) = 0;
  virtual bool enabled(LogLevel level) const = 0;
};

enum class LogFormat : std::uint8_t { text, json };

// Lines on stderr, one a message (control characters are escaped): "2026-11-23T18:00:00.123+00:00 warning logs:
// message", or as JSON objects.
std::shared_ptr<LogTarget> make_stderr_log(LogFormat format, LogLevel least);

// The log of a run: what is wrong with a stage names its place in the configuration. Any thread.
class StageLog final : public LogTarget {
 public:
  // "pipe.yaml:12:3", by stage id; that of its buffer by buffer_of(id).
  using Places = std::map<std::string, std::string, std::less<>>;
  explicit StageLog(std::shared_ptr<LogTarget> to) : to_(std::move(to)) {}
  void set_places(Places places);                                                         // a reload changes them
  void write(LogLevel level, std::string_view stage, std::string_view message) override;  // warnings and errors placed
  void write_as_it_is(LogLevel level, std::string_view stage, std::string_view message) {
    to_->write(level, stage, message);
  }
  bool enabled(LogLevel level) const override { return to_->enabled(level); }
  std::string placed(std::string_view what, std::string_view message) const;  // with the place of a stage or buffer

 private:
  std::shared_ptr<LogTarget> to_;
  mutable std::mutex mutex_;
  Places places_;
};

// What a buffer is called where stages are, as in /healthz.
std::string buffer_of(const std::string& stage);
// "message (place)".
std::string with_place(std::string_view message, std::string_view place);

}  // namespace fffa::core
