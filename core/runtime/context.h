// SPDX-License-Identifier: MIT
// The StageContext of one built stage, and the thread that its blocking work runs on.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "services.h"

namespace fffa::core {

// Functions that wait for a node to run them, between two calls of its stage.
class Tasks {
 public:
  // False once closed: the function was not taken.
  bool push(std::function<void()> function);
  void run();    // those there are; the node's thread or strand
  void close();  // drops what waits
  bool empty() const;

 private:
  mutable std::mutex mutex_;
  std::deque<std::function<void()>> waiting_;
  bool closed_ = false;
};

// One thread, made when it is first needed, for work that blocks. Closed before the stage is destroyed.
class Background {
 public:
  explicit Background(std::function<void(std::string_view)> report) : report_(std::move(report)) {}
  ~Background();  // finish()ed before
  void push(std::function<void()> work);
  void open();  // work that came before waits for this: threads inherit what privileges are left
  // Drops what waits and lets the work under way end. False if it did not by `limit`.
  bool finish(std::chrono::nanoseconds limit);

 private:
  std::function<void(std::string_view)> report_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  std::thread thread_;
  bool opened_ = false;
  bool closed_ = false;
  bool ended_ = true;

  void start_if_needed();
  void loop();
};

class Context final : public StageContext {
 public:
  // `post` hands a function to the node; false: the node takes none any more.
  using Post = std::function<void(std::function<void()>)>;
  Context(std::shared_ptr<Services> services, std::string id, std::string type, Post post);

  const std::string& id() const override { return id_; }
  const std::string& type() const override { return type_; }
  Logger& log() override;
  Metrics& metrics() override;
  Clock& clock() override { return *services_->clock; }
  TextTable& texts() override { return services_->texts; }
  Text host() const override { return services_->host; }
  Text run_id() const override { return services_->run_id; }
  Result<std::filesystem::path> state_directory() override;
  void post(std::function<void()> function) override;
  std::unique_ptr<Timer> every(std::chrono::nanoseconds period, std::function<void()> function) override;
  void background(std::function<void()> work) override { background_.push(std::move(work)); }
  Formatter format(std::string_view name) override;
  void degraded(std::string_view reason) override;
  std::chrono::nanoseconds close_time() const override;

  void open() { background_.open(); }
  // close() may take until then (and until the run's deadline) from now on.
  void let_close_take_until(Monotonic::time_point time) { close_by_ = time.time_since_epoch().count(); }
  bool is_degraded() const noexcept { return degraded_; }   // by its own word
  bool uses_state() const noexcept { return uses_state_; }  // it has asked for its state directory
  // Before the stage is destroyed, on its thread or strand: nothing of it is called any more. False: background work
  // does not end.
  bool close(std::chrono::nanoseconds limit);

 private:
  class StageLogger;
  class StageMetrics;
  // Whether the stage is there; shared with what was posted for it.
  using Alive = std::shared_ptr<std::atomic<bool>>;

  std::shared_ptr<Services> services_;
  std::string id_;
  std::string type_;
  std::shared_ptr<Post> post_;
  Alive alive_ = std::make_shared<std::atomic<bool>>(true);
  std::shared_ptr<Logger> log_;
  std::unique_ptr<Metrics> metrics_;
  std::atomic<bool> uses_state_{false};
  std::atomic<bool> degraded_{false};
  std::atomic<std::int64_t> close_by_{0};  // of Monotonic
  Background background_;
};

}  // namespace fffa::core
