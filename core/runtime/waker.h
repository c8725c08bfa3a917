// SPDX-License-Identifier: MIT
// Waker: one thread sleeps, any thread wakes it; it can sleep on a file descriptor too.
#pragma once

#include <atomic>
#include <chrono>

namespace fffa::core {

// A signal that comes before the sleep is not lost: change what the sleeper checks, then signal().
class Waker {
 public:
  Waker();  // throws std::system_error without a file descriptor
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  void signal() noexcept;
  // Sleeps until signalled, until `fd` (-1: none) is readable or for `limit` (negative: for ever). True if `fd` is
  // readable. One thread.
  bool sleep(std::chrono::nanoseconds limit, int fd = -1) noexcept;

 private:
  int event_;
  std::atomic<bool> signalled_{false};
};

}  // namespace fffa::core
