// SPDX-License-Identifier: MIT
#include "context.h"

#include <algorithm>
#include <stdexcept>
#include <system_error>

namespace fffa::core {

// ---- Tasks

bool Tasks::push(std::function<void()> function) {
  const std::lock_guard lock(mutex_);
  if (!closed_) waiting_.push_back(std::move(function));
  return !closed_;
}

void Tasks::run() {
  std::deque<std::function<void()>> now;
  {
    const std::lock_guard lock(mutex_);
    now.swap(waiting_);
  }
  for (auto& function : now) function();
}

void Tasks::close() {
  std::deque<std::function<void()>> dropped;  // destroyed outside the lock: a function may own anything
  const std::lock_guard lock(mutex_);
  closed_ = true;
  dropped.swap(waiting_);
}

bool Tasks::empty() const {
  const std::lock_guard lock(mutex_);
  return waiting_.empty();
}

// ---- Background

Background::~Background() {
  if (thread_.joinable()) thread_.detach();
}

void Background::push(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  waiting_.push_back(std::move(work));
  start_if_needed();
  changed_.notify_all();
}

void Background::open() {
  const std::lock_guard lock(mutex_);
  opened_ = true;
  start_if_needed();
}

void Background::start_if_needed() {
  if (!opened_ || closed_ || waiting_.empty() || thread_.joinable()) return;
  try {
    thread_ = std::thread([this] { loop(); });  // waits for mutex_
    ended_ = false;
  } catch (const std::system_error& error) {
    report_(std::string("no thread for background work, it waits: ") + error.what());
  }
}

void Background::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return closed_ || !waiting_.empty(); });
    if (closed_) break;
    auto work = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    try {
      work();
      work = nullptr;
    } catch (const std::exception& e) {
      report_(std::string("background work threw: ") + e.what());
    } catch (...) {
      report_("background work threw something that is no std::exception");
    }
    lock.lock();
  }
  ended_ = true;
  changed_.notify_all();
}

bool Background::finish(std::chrono::nanoseconds limit) {
  std::deque<std::function<void()>> dropped;
  {
    std::unique_lock lock(mutex_);
    closed_ = true;
    dropped.swap(waiting_);
    changed_.notify_all();
    if (!changed_.wait_for(lock, limit, [this] { return ended_; })) return false;
  }
  if (thread_.joinable()) thread_.join();
  return true;
}

// ---- Context

class Context::StageLogger final : public Logger {
 public:
  StageLogger(std::shared_ptr<LogTarget> target, std::string id) : target_(std::move(target)), id_(std::move(id)) {}
  void log(LogLevel level, std::string_view message) override { target_->write(level, id_, message); }
  bool enabled(LogLevel level) const override { return target_->enabled(level); }

 private:
  std::shared_ptr<LogTarget> target_;
  std::string id_;
};

class Context::StageMetrics final : public Metrics {
 public:
  StageMetrics(Registry& registry, const Context& context) : registry_(registry), context_(context) {}
  Counter& counter(std::string_view name, std::string_view help, MetricLabels labels) override {
    return registry_.counter(name, help, with_stage(labels));
  }
  Gauge& gauge(std::string_view name, std::string_view help, MetricLabels labels) override {
    return registry_.gauge(name, help, with_stage(labels));
  }

 private:
  Registry& registry_;
  const Context& context_;

  Labels with_stage(MetricLabels labels) const {
    Labels all{{"stage", context_.id_}, {"type", context_.type_}};
    for (const auto& [name, value] : labels) all.emplace_back(name, value);
    return all;
  }
};

namespace {

class ContextTimer final : public Timer {
 public:
  struct State {
    std::atomic<bool> cancelled{false};
    std::atomic<bool> posted{false};  // a tick waits for the stage: further ones are left out
  };
  ContextTimer(std::shared_ptr<State> state, std::shared_ptr<void> ticker)
      : state_(std::move(state)), ticker_(std::move(ticker)) {}
  ~ContextTimer() override { state_->cancelled = true; }

 private:
  std::shared_ptr<State> state_;
  std::shared_ptr<void> ticker_;
};

}  // namespace

Context::Context(std::shared_ptr<Services> services, std::string id, std::string type, Post post)
    : services_(std::move(services)),
      id_(std::move(id)),
      type_(std::move(type)),
      post_(std::make_shared<Post>(std::move(post))),
      log_(std::make_shared<StageLogger>(services_->log, id_)),
      metrics_(std::make_unique<StageMetrics>(services_->metrics, *this)),
      background_([log = log_](std::string_view message) { log->error(message); }) {}

Logger& Context::log() {
  return *log_;
}
Metrics& Context::metrics() {
  return *metrics_;
}

Result<std::filesystem::path> Context::state_directory() {
  if (id_.empty() || id_ == "." || id_ == ".." || id_.find('/') != std::string::npos)
    return fail("no state directory for a stage called `" + id_ + "`");
  uses_state_ = true;
  const auto path = services_->state_root / id_;
  std::error_code error;
  const bool made = std::filesystem::create_directories(path, error);
  if (error) return system_error("make state directory " + path.string(), error.value());
  if (made) std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
  if (error) return system_error("set permissions of " + path.string(), error.value());
  return path;
}

void Context::post(std::function<void()> function) {
  (*post_)([alive = alive_, log = log_, function = std::move(function)] {
    if (!*alive) return;
    try {
      function();
    } catch (const std::exception& e) {
      log->error(std::string("a posted function threw: ") + e.what());
    } catch (...) {
      log->error("a posted function threw something that is no std::exception");
    }
  });
}

std::unique_ptr<Timer> Context::every(std::chrono::nanoseconds period, std::function<void()> function) {
  auto state = std::make_shared<ContextTimer::State>();
  auto shared = std::make_shared<std::function<void()>>(std::move(function));
  auto tick = [state, shared, alive = alive_, post = post_, log = log_] {
    if (state->cancelled || !*alive || state->posted.exchange(true)) return;
    (*post)([state, shared, alive, log] {
      state->posted = false;
      if (state->cancelled || !*alive) return;
      try {
        (*shared)();
      } catch (const std::exception& e) {
        log->error(std::string("a timer threw: ") + e.what());
      } catch (...) {
        log->error("a timer threw something that is no std::exception");
      }
    });
  };
  return std::make_unique<ContextTimer>(state, services_->pool.every(period, std::move(tick)));
}

Formatter Context::format(std::string_view name) {
  if (name == "json") return Formatter(make_json_format(services_->texts));
  if (name == "ecs") return Formatter(make_ecs_format(services_->texts));
  VpcFormatOptions options;
  if (name.starts_with("vpc:")) {
    options.log_format = name.substr(4);
  } else if (name != "vpc") {
    throw std::invalid_argument("unknown format `" + std::string(name) + "`");
  }
  auto format = make_vpc_format(services_->texts, std::move(options));
  if (!format) throw std::invalid_argument(format.error().message);
  return Formatter(std::move(*format));
}

// Beside what the host itself finds wrong with the stage.
void Context::degraded(std::string_view reason) {
  const auto key = id_ + " (itself)";
  degraded_ = !reason.empty();
  if (reason.empty()) {
    services_->health.recover(key);
  } else {
    services_->health.degrade(key, services_->log->placed(id_, reason));
  }
}

std::chrono::nanoseconds Context::close_time() const {
  if (services_->abandoned) return {};
  const auto now = Monotonic::now().time_since_epoch().count();
  return std::chrono::nanoseconds(
      std::max<std::int64_t>(0, std::min(close_by_.load(), services_->stop_by.load()) - now));
}

bool Context::close(std::chrono::nanoseconds limit) {
  *alive_ = false;
  const bool ended = background_.finish(limit);
  degraded({});
  return ended;
}

}  // namespace fffa::core
