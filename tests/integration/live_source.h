// SPDX-License-Identifier: MIT
// The source `ebpf` on a thread of its own in a namespace, with an output that a test can block.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "fffa/plugin.h"
#include "fffa/testing/context.h"
#include "netns.h"

namespace fffa::integration {

// What everything reported so far adds up to.
struct Account {
  Volume records;
  std::map<Direction, Volume> by_direction;
  Volume seen, filtered, lost;
};

class LiveSource {
 public:
  // Starts it and returns when it has attached (or failed to: see error()).
  LiveSource(const Netns& netns, std::string_view options);
  ~LiveSource();

  // Stops it and waits for its last batch.
  void stop();
  // Why start() or run() failed; empty: they did not.
  std::string error() const;
  Disposition disposition() const { return failure_.disposition; }

  // While blocked the output is not ready, and emit() does not return.
  void block(bool blocked);
  // Waits until `count` more batches have come.
  void wait_for_batches(std::size_t count);
  // Waits until a log line contains `part`; false after 15 s.
  bool logged(std::string_view part);

  std::vector<Batch> batches() const;
  Account account() const;
  fffa::testing::TestContext& context() { return context_; }
  std::string text(Text handle) { return std::string(context_.texts().view(handle)); }

 private:
  class LiveOutput;
  void live(const Netns& netns, ConfigNode node);

  fffa::testing::TestContext context_{"capture", "ebpf"};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Batch> batches_;
  bool blocked_ = false;
  bool started_ = false;
  std::atomic<bool> stop_{false};
  Error failure_;
  std::thread thread_;
};

}  // namespace fffa::integration
