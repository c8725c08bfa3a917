// SPDX-License-Identifier: MIT
// Engine: runs a pipeline from start to exit code.
//
//   Engine engine(std::move(pipeline), options);
//   const int code = engine.run();                    // blocks until all is delivered, stopped or given up
//   if (engine.left_behind()) _exit(code);            // threads are stuck in stages: nothing may be destroyed under
//   them
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "graph/pipeline.h"
#include "graph_state.h"
#include "metrics/http_server.h"
#include "monitor.h"
#include "services.h"
#include "signals.h"

namespace fffa::core {

// What run() returns.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;       // a stage could not be built or started, or a source failed
inline constexpr int kExitUnavailable = 3;  // likewise, and the stage says that the machine does not allow it
inline constexpr int kExitLost = 4;         // data was lost, or still here at the deadline and nowhere else

class Engine {
 public:
  struct Options {
    std::shared_ptr<LogTarget> log;            // null: stderr, as text
    std::function<Result<Pipeline>()> reload;  // SIGHUP: the new pipeline, checked; called on run()'s thread
    std::chrono::nanoseconds duration{0};      // then it stops by itself; 0: never
    bool handle_signals = false;               // SIGTERM, SIGINT, SIGHUP
    bool drop_privileges = false;              // once all sources are started
    std::filesystem::path state_root;          // empty: as services.h says
    Tuning tuning{};
  };

  Engine(Pipeline pipeline, Options options);
  ~Engine();  // run() has returned
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Builds, starts, runs and ends the pipeline. Once.
  int run();

  // Any thread. Sources stop, the rest is delivered within shutdown_timeout; a further call does nothing.
  void stop();
  // Any thread. Asks Options::reload for a pipeline and changes to it: stages of equal type, options and inputs keep
  // running with their state, others put out what they hold and are rebuilt; nothing is lost. Where that fails the old
  // pipeline goes on, and the log says why.
  // Of the settings, shutdown_timeout changes; threads and the metrics address do not.
  void request_reload();
  // Of request_reload() calls, how many are done (well or not); for tests.
  unsigned reloads() const noexcept { return reloads_done_.load(); }

  bool ready() const noexcept { return services_->health.ready(); }
  bool left_behind() const noexcept { return left_behind_; }
  std::map<std::string, Balance> balances() const;
  Health& health() noexcept { return services_->health; }
  Registry& metrics() noexcept { return services_->metrics; }
  std::uint16_t metrics_port() const noexcept { return port_.load(); }

 private:
  Options options_;
  std::shared_ptr<Services> services_;
  mutable std::mutex mutex_;  // graph_ and ledger_: changed by run()'s thread, read by others
  Graph graph_;
  Ledger ledger_;
  Watchdog watchdog_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<Signals> signals_;
  std::atomic<std::uint16_t> port_{0};
  std::atomic<bool> stop_requested_{false};
  std::atomic<unsigned> reloads_requested_{0};
  std::atomic<unsigned> reloads_done_{0};
  bool left_behind_ = false;

  void say(LogLevel level, const std::string& message) { services_->log->write(level, {}, message); }
  static int exit_code(const Error& error) noexcept;
  int failed(const Error& error);
  Result<void> listen();
  int build();
  int start_sources();
  void start_rest();
  void loop();
  void handle_reload();
  void rebuild_broken();
  bool all_ended() const;
  bool sinks_gone() const;
  void abandon();
  void join_all(std::chrono::nanoseconds limit);
  int finish(int code);
  bool report_balances();
  int failure_of_sources() const;
  std::function<void()> privilege_hook() const;
};

}  // namespace fffa::core
