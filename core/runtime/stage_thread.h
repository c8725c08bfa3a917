// SPDX-License-Identifier: MIT
// The thread of a source or a sink, which may be stuck in a call of its stage for good.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "services.h"

namespace fffa::core {

// All calls but ended() from one thread, or from the thread itself if it is the last owner. `body` keeps the owner.
class StageThread {
 public:
  StageThread() = default;
  StageThread(const StageThread&) = delete;
  StageThread& operator=(const StageThread&) = delete;
  ~StageThread() { let_go(); }  // join()ed before, unless the thread is the last owner

  // Throws std::system_error where there are no more threads. The one before was joined.
  template <typename Body>
  void start(Body body) {
    ended_ = false;
    thread_ = std::thread([this, body = std::move(body)] {
      body();
      ended_ = true;
    });
  }
  bool ended() const noexcept { return ended_; }
  // False if it did not end by `limit`.
  bool join(std::chrono::nanoseconds limit) {
    if (!thread_.joinable()) return true;
    for (const auto deadline = Monotonic::now() + limit; !ended_;) {
      if (Monotonic::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    thread_.join();
    return true;
  }
  void let_go() {  // join() failed for good: nobody waits for it any more
    if (thread_.joinable()) thread_.detach();
  }

 private:
  std::thread thread_;
  std::atomic<bool> ended_{false};
};

}  // namespace fffa::core
