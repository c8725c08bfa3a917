// SPDX-License-Identifier: MIT
#include "fffa/testing/context.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace fffa::testing {

void CapturedLog::log(LogLevel level, std::string_view message) {
  const std::lock_guard lock(mutex_);
  lines_.push_back({level, std::string(message)});
}

std::vector<LogLine> CapturedLog::lines() const {
  const std::lock_guard lock(mutex_);
  return lines_;
}

bool CapturedLog::contains(std::string_view part) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(lines_.begin(), lines_.end(),
                     [&](const LogLine& line) { return line.message.find(part) != std::string::npos; });
}

namespace {

class TestCounter final : public Counter {
 public:
  void add(std::uint64_t n) override { value_.fetch_add(n, std::memory_order_relaxed); }
  std::uint64_t value() const override { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class TestGauge final : public Gauge {
 public:
  void set(double value) override { value_.store(value, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

std::string series_name(std::string_view name, MetricLabels labels) {
  std::string text(name);
  const char* before = "{";
  for (const auto& [label, value] : labels) {
    text.append(before).append(label).append("=\"").append(value).append("\"");
    before = ",";
  }
  return labels.size() == 0 ? text : text + "}";
}

}  // namespace

struct CapturedMetrics::Impl {
  mutable std::mutex mutex;
  std::map<std::string, std::unique_ptr<TestCounter>, std::less<>> counters;
  std::map<std::string, std::unique_ptr<TestGauge>, std::less<>> gauges;
};

CapturedMetrics::CapturedMetrics() : impl_(std::make_unique<Impl>()) {}
CapturedMetrics::~CapturedMetrics() = default;

Counter& CapturedMetrics::counter(std::string_view name, std::string_view, MetricLabels labels) {
  const std::lock_guard lock(impl_->mutex);
  auto& counter = impl_->counters[series_name(name, labels)];
  if (!counter) counter = std::make_unique<TestCounter>();
  return *counter;
}

Gauge& CapturedMetrics::gauge(std::string_view name, std::string_view, MetricLabels labels) {
  const std::lock_guard lock(impl_->mutex);
  auto& gauge = impl_->gauges[series_name(name, labels)];
  if (!gauge) gauge = std::make_unique<TestGauge>();
  return *gauge;
}

double CapturedMetrics::value(std::string_view series) const {
  const std::lock_guard lock(impl_->mutex);
  if (const auto found = impl_->counters.find(series); found != impl_->counters.end())
    return static_cast<double>(found->second->value());
  const auto found = impl_->gauges.find(series);
  return found == impl_->gauges.end() ? 0 : found->second->value();
}

std::vector<std::string> CapturedMetrics::series() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<std::string> names;
  for (const auto& [name, counter] : impl_->counters) names.push_back(name);
  for (const auto& [name, gauge] : impl_->gauges) names.push_back(name);
  return names;
}

struct TestContext::Tick {
  std::chrono::nanoseconds period;
  std::chrono::nanoseconds due;
  std::function<void()> function;
};

class TestContext::TickTimer final : public Timer {
 public:
  explicit TickTimer(std::shared_ptr<Tick> tick) : tick_(std::move(tick)) {}

 private:
  std::shared_ptr<Tick> tick_;  // the context knows it weakly: gone with the timer
};

TestContext::TestContext(std::string id, std::string type)
    : id_(std::move(id)),
      type_(std::move(type)),
      host_(texts_.intern("test-host")),
      run_id_(texts_.intern("00000000-0000-4000-8000-000000000000")) {}

TestContext::~TestContext() {
  std::error_code ignored;
  if (!state_.empty()) std::filesystem::remove_all(state_, ignored);
}

Result<std::filesystem::path> TestContext::state_directory() {
  const std::lock_guard lock(mutex_);
  if (state_.empty()) {
    std::string name = (std::filesystem::temp_directory_path() / "fffa-test-XXXXXX").string();
    if (!mkdtemp(name.data())) return system_error("mkdtemp " + name);
    state_ = name;
  }
  return state_;
}

void TestContext::post(std::function<void()> function) {
  const std::lock_guard lock(mutex_);
  posted_.push_back(std::move(function));
}

void TestContext::background(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  background_.push_back(std::move(work));
}

std::unique_ptr<Timer> TestContext::every(std::chrono::nanoseconds period, std::function<void()> function) {
  if (period.count() <= 0) throw std::invalid_argument("StageContext::every: the period must be positive");
  auto tick = std::make_shared<Tick>(Tick{period, clock_.monotonic() + period, std::move(function)});
  const std::lock_guard lock(mutex_);
  std::erase_if(ticks_, [](const auto& each) { return each.expired(); });
  ticks_.push_back(tick);
  return std::make_unique<TickTimer>(std::move(tick));
}

void TestContext::degraded(std::string_view reason) {
  const std::lock_guard lock(mutex_);
  degraded_ = reason;
}

std::string TestContext::degraded_reason() const {
  const std::lock_guard lock(mutex_);
  return degraded_;
}

Formatter TestContext::format(std::string_view name) {
  if (name == "json") return Formatter(make_json_format(texts_));
  if (name == "ecs") return Formatter(make_ecs_format(texts_));
  if (name == "vpc" || name.starts_with("vpc:")) {
    VpcFormatOptions options;
    if (name.starts_with("vpc:")) options.log_format = name.substr(4);
    auto format = make_vpc_format(texts_, std::move(options));
    if (!format.ok()) throw std::invalid_argument(format.error().message);
    return Formatter(std::move(*format));
  }
  throw std::invalid_argument("no such format: " + std::string(name));
}

bool TestContext::run_one() {
  std::function<void()> function;
  {
    const std::lock_guard lock(mutex_);
    auto& queue = posted_.empty() ? background_ : posted_;
    if (queue.empty()) return false;
    function = std::move(queue.front());
    queue.pop_front();
  }
  function();
  return true;
}

void TestContext::run_pending() {
  while (run_one()) {
  }
}

void TestContext::forget_pending() {
  const std::lock_guard lock(mutex_);
  posted_.clear();
  background_.clear();
}

std::size_t TestContext::timers() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(ticks_.begin(), ticks_.end(), [](const auto& tick) { return !tick.expired(); }));
}

std::shared_ptr<TestContext::Tick> TestContext::next_tick(std::chrono::nanoseconds until) const {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Tick> first;
  for (const auto& weak : ticks_) {
    auto tick = weak.lock();
    if (tick && tick->due <= until && (!first || tick->due < first->due)) first = std::move(tick);
  }
  return first;
}

void TestContext::advance(std::chrono::nanoseconds by) {
  run_pending();
  const auto until = clock_.monotonic() + by;
  while (const auto tick = next_tick(until)) {
    clock_.advance(tick->due - clock_.monotonic());
    tick->due += tick->period;
    tick->function();
    run_pending();
  }
  clock_.advance(until - clock_.monotonic());
}

bool TestContext::wait_until(const std::function<bool()>& done, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    run_pending();
    if (done()) return true;
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace fffa::testing
