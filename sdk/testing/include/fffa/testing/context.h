// SPDX-License-Identifier: MIT
// A host for one stage under test: manual clock, timers and callbacks that run when the test says so, captured logs and
// metrics.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fffa/context.h"

namespace fffa::testing {

// 2026-01-01T00:00:00Z, where every manual clock starts.
inline constexpr TimeNs kTestStart = 1'767'225'600'000'000'000;

// Stands still until it is told to move. Any thread.
class ManualClock final : public Clock {
 public:
  TimeNs now() const override { return wall_.load(std::memory_order_acquire); }
  std::chrono::nanoseconds monotonic() const override {
    return std::chrono::nanoseconds(monotonic_.load(std::memory_order_acquire));
  }
  void advance(std::chrono::nanoseconds by) {
    wall_.fetch_add(by.count(), std::memory_order_acq_rel);
    monotonic_.fetch_add(by.count(), std::memory_order_acq_rel);
  }
  // A step of the wall clock alone, as settimeofday() makes it.
  void set_wall(TimeNs now) { wall_.store(now, std::memory_order_release); }

 private:
  std::atomic<TimeNs> wall_{kTestStart};
  std::atomic<std::int64_t> monotonic_{1'000'000'000};
};

struct LogLine {
  LogLevel level;
  std::string message;
};

// Keeps every line. Any thread.
class CapturedLog final : public Logger {
 public:
  void log(LogLevel level, std::string_view message) override;
  bool enabled(LogLevel) const override { return true; }
  std::vector<LogLine> lines() const;
  bool contains(std::string_view part) const;

 private:
  mutable std::mutex mutex_;
  std::vector<LogLine> lines_;
};

// Any thread. Values are found by name and labels as Prometheus writes them: `fffa_x_total{reason="full"}`; 0 for those
// nobody made.
class CapturedMetrics final : public Metrics {
 public:
  CapturedMetrics();
  ~CapturedMetrics() override;
  Counter& counter(std::string_view name, std::string_view help, MetricLabels labels) override;
  Gauge& gauge(std::string_view name, std::string_view help, MetricLabels labels) override;
  double value(std::string_view series) const;
  std::vector<std::string> series() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Nothing runs by itself: run_pending() and advance() run what the stage asked for, on the test's own thread.
class TestContext final : public StageContext {
 public:
  explicit TestContext(std::string id = "test", std::string type = "test");
  ~TestContext() override;

  ManualClock& manual_clock() { return clock_; }
  CapturedLog& captured_log() { return log_; }
  CapturedMetrics& captured_metrics() { return metrics_; }
  // Runs posted functions and background work until neither is left.
  void run_pending();
  // Moves the clock, firing timers at their times, in order.
  void advance(std::chrono::nanoseconds by);
  // Runs what is pending until done() holds, for stages with threads of their own. False after `limit` of real time.
  bool wait_until(const std::function<bool()>& done, std::chrono::milliseconds limit = std::chrono::seconds(5));
  // Forgets what is pending, as the host does when a stage is gone.
  void forget_pending();
  std::size_t timers() const;
  std::string degraded_reason() const;  // the last one told, empty: none
  void set_close_time(std::chrono::nanoseconds time) { close_time_ = time.count(); }

  const std::string& id() const override { return id_; }
  const std::string& type() const override { return type_; }
  Logger& log() override { return log_; }
  Metrics& metrics() override { return metrics_; }
  Clock& clock() override { return clock_; }
  TextTable& texts() override { return texts_; }
  Text host() const override { return host_; }
  Text run_id() const override { return run_id_; }
  Result<std::filesystem::path> state_directory() override;  // a temporary one, removed with the context
  void post(std::function<void()> function) override;
  std::unique_ptr<Timer> every(std::chrono::nanoseconds period, std::function<void()> function) override;
  void background(std::function<void()> work) override;
  Formatter format(std::string_view name) override;
  void degraded(std::string_view reason) override;
  std::chrono::nanoseconds close_time() const override { return std::chrono::nanoseconds(close_time_); }

 private:
  struct Tick;
  class TickTimer;
  std::shared_ptr<Tick> next_tick(std::chrono::nanoseconds until) const;
  bool run_one();

  std::string id_;
  std::string type_;
  ManualClock clock_;
  CapturedLog log_;
  CapturedMetrics metrics_;
  TextTable texts_;
  Text host_;
  Text run_id_;
  std::filesystem::path state_;
  std::atomic<std::int64_t> close_time_{0};
  std::string degraded_;
  mutable std::mutex mutex_;
  std::deque<std::function<void()>> posted_;
  std::deque<std::function<void()>> background_;
  std::vector<std::weak_ptr<Tick>> ticks_;
};

}  // namespace fffa::testing
