// SPDX-License-Identifier: MIT
#include "log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <cstdio>

#include "metrics/health.h"

namespace fffa::core {

namespace {

spdlog::level::level_enum level_of(LogLevel level) {
  constexpr std::array levels{spdlog::level::trace, spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                              spdlog::level::err};
  return levels.at(static_cast<std::size_t>(level));
}

// A line stays a line, and a terminal is told nothing, whatever a message quotes.
std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      out += escaped;
    } else {
      out += c;
    }
  }
  return out;
}

class StderrLog final : public LogTarget {
 public:
  StderrLog(LogFormat format, LogLevel least)
      : json_(format == LogFormat::json), logger_("fffa", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    logger_.set_level(level_of(least));
    logger_.set_pattern(json_ ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})"
                              : "%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    logger_.set_error_handler([](const std::string&) {});  // a log that cannot be written must not end the run
  }
  void write(LogLevel level, std::string_view stage, std::string_view message) override {
    std::string line;
    if (json_) {
      if (!stage.empty()) line = R"("stage":)" + json_quote(stage) + ",";
      line += R"("message":)" + json_quote(message);
    } else {
      if (!stage.empty()) line = printable(stage) + ": ";
      line += printable(message);
    }
    logger_.log(level_of(level), spdlog::string_view_t(line.data(), line.size()));
  }
  bool enabled(LogLevel level) const override { return logger_.should_log(level_of(level)); }

 private:
  bool json_;
  spdlog::logger logger_;
};

}  // namespace

std::shared_ptr<LogTarget> make_stderr_log(LogFormat format, LogLevel least) {
  return std::make_shared<StderrLog>(format, least);
}

std::string buffer_of(const std::string& stage) {
  return stage + " (buffer)";
}
std::string with_place(std::string_view message, std::string_view place) {
  return std::string(message) + (place.empty() ? "" : " (" + std::string(place) + ")");
}

void StageLog::set_places(Places places) {
  const std::lock_guard lock(mutex_);
  places_ = std::move(places);
}

void StageLog::write(LogLevel level, std::string_view stage, std::string_view message) {
  if (level < LogLevel::warning) return to_->write(level, stage, message);
  to_->write(level, stage, placed(stage, message));
}

std::string StageLog::placed(std::string_view what, std::string_view message) const {
  const std::lock_guard lock(mutex_);
  const auto at = places_.find(what);
  return with_place(message, at == places_.end() ? std::string_view() : at->second);
}

}  // namespace fffa::core
