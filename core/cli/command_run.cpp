// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include "cli/commands.h"
#include "cli/session.h"
#include "runtime/engine.h"

namespace fffa::core {

namespace {

LogLevel level_of(std::string_view name) {
  constexpr std::array<std::string_view, 5> names{"trace", "debug", "info", "warning", "error"};
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return static_cast<LogLevel>(i);
  return LogLevel::info;
}

// The configuration read anew, for SIGHUP. What is wrong with it goes to the log, a line each.
Result<Pipeline> load_again(Session& session, LogTarget& log) {
  std::vector<Diagnostic> problems;
  auto pipeline = session.load(problems);
  if (pipeline) return std::move(*pipeline);
  for (const auto& problem : problems) log.write(LogLevel::error, {}, to_string(problem));
  return fail(std::to_string(problems.size()) + (problems.size() == 1 ? " problem" : " problems") +
              " in the configuration");
}

}  // namespace

ExitCode command_run(const CommonOptions& common, const RunOptions& run) {
  Session session(common, run.files);
  auto pipeline = session.load_or_complain();
  if (!pipeline) return ExitCode::usage;

  Engine::Options options;
  options.log =
      make_stderr_log(common.log_format == "json" ? LogFormat::json : LogFormat::text, level_of(common.log_level));
  options.reload = [&session, log = options.log] { return load_again(session, *log); };
  if (run.duration) options.duration = *run.duration;
  options.handle_signals = true;
  options.drop_privileges = true;
  Engine engine(std::move(*pipeline), std::move(options));
  const int code = engine.run();
  if (engine.left_behind()) {  // threads are stuck in stages: nothing may be destroyed under them
    std::fflush(nullptr);
    _exit(code);
  }
  return static_cast<ExitCode>(code);
}

}  // namespace fffa::core
