// SPDX-License-Identifier: MIT
// Pool: the threads that enrichers, aggregators and timers run on. Asio stays behind this header.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

namespace fffa::core {

// Runs functions one at a time, in order, on whatever thread of the pool is free.
class Strand {
 public:
  virtual ~Strand() = default;
  virtual void post(std::function<void()> function) = 0;  // any thread; `function` must not throw
};

class Pool {
 public:
  Pool();
  ~Pool();  // stop()ped before
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Nothing runs before start(): privileges are dropped in between, and threads inherit them.
  // Throws std::system_error where a thread cannot be made; stop() ends those that were.
  void start(std::size_t threads);
  std::shared_ptr<Strand> make_strand();
  // Calls `tick` every `period` on a thread of the pool until the handle is gone; at most one more call may be under
  // way then. Periods are not made up for. `tick` must be short and must not throw.
  std::shared_ptr<void> every(std::chrono::nanoseconds period, std::function<void()> tick);
  // Lets go of what is queued and waits for the threads. False if one did not end by `limit`: then they are let go of,
  // and the pool must not be destroyed.
  bool stop(std::chrono::nanoseconds limit);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fffa::core
