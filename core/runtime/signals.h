// SPDX-License-Identifier: MIT
// Signals, on a thread that does nothing else: they work whatever the rest of the process is stuck in.
#pragma once

#include <functional>
#include <memory>

namespace fffa::core {

class Signals {
 public:
  struct Handlers {
    std::function<void()> stop;    // first SIGTERM or SIGINT
    std::function<void()> reload;  // SIGHUP
    std::function<void()> leave;   // second SIGTERM or SIGINT: the process exits (128 + signal) when it returns
  };
  // Blocks the three signals for this thread and those it makes from now on: call it before any other thread is there.
  // Ignores SIGPIPE.
  explicit Signals(Handlers handlers);
  ~Signals();
  void perform(const std::function<void()>& function);  // on the signals' thread; returns when it is done
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  struct Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace fffa::core
