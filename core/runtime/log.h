// SPDX-License-Identifier: MIT
// Where log lines go.
#pragma once

#include <memory>
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

}  // namespace fffa::core
