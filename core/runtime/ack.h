// SPDX-License-Identifier: MIT
// Acknowledgements: what became of a batch, gathered from every place that it went to.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "fffa/stage.h"
#include "waker.h"

namespace fffa::core {

// One batch on its way. Shared by everything that still has to do with it; the last one to let go completes it with the
// worst outcome.
class Ack final : public Ticket::State {
 public:
  using Complete = std::function<void(Outcome)>;  // any thread; must not throw
  explicit Ack(Complete complete) : complete_(std::move(complete)) {}
  Ack(const Ack&) = delete;
  Ack& operator=(const Ack&) = delete;
  ~Ack() override { complete_(worst_.load(std::memory_order_acquire)); }
  void worsen(Outcome outcome) noexcept override {
    auto seen = worst_.load(std::memory_order_relaxed);
    while (seen < outcome && !worst_.compare_exchange_weak(seen, outcome, std::memory_order_acq_rel)) {
    }
  }

 private:
  std::atomic<Outcome> worst_{Outcome::delivered};
  Complete complete_;
};
using AckPtr = std::shared_ptr<Ack>;

// An acknowledgement for what an aggregator made of several inputs: hands its outcome to each.
inline AckPtr combine(std::vector<Ticket> tickets) {
  std::erase_if(tickets, [](const Ticket& ticket) { return !ticket; });
  if (tickets.empty()) return {};
  return std::make_shared<Ack>([tickets = std::move(tickets)](Outcome outcome) {
    for (const auto& ticket : tickets) ticket.worsen(outcome);
  });
}

// Takes a source's acknowledgements from any thread to the source's own.
class AckChannel : public std::enable_shared_from_this<AckChannel> {
 public:
  explicit AckChannel(std::shared_ptr<Waker> waker) : waker_(std::move(waker)) {}

  // An acknowledgement that comes back through run().
  AckPtr open(Output::Acknowledge acknowledge) {
    open_.fetch_add(1);
    return std::make_shared<Ack>([channel = shared_from_this(), acknowledge = std::move(acknowledge)](
                                     Outcome outcome) mutable { channel->complete(std::move(acknowledge), outcome); });
  }
  // Calls back what has completed. The source's thread.
  void run() {
    std::vector<std::pair<Output::Acknowledge, Outcome>> done;
    {
      const std::lock_guard lock(mutex_);
      done.swap(done_);
    }
    for (auto& [acknowledge, outcome] : done) acknowledge(outcome);
  }
  std::size_t unacknowledged() const noexcept { return open_.load(); }
  // From now on nothing counts as better than held: the run was given up, and what completes was let go of.
  void abandon() noexcept { abandoned_ = true; }

 private:
  std::shared_ptr<Waker> waker_;
  std::mutex mutex_;
  std::vector<std::pair<Output::Acknowledge, Outcome>> done_;
  std::atomic<std::size_t> open_{0};
  std::atomic<bool> abandoned_{false};

  void complete(Output::Acknowledge acknowledge, Outcome outcome) {
    if (abandoned_) outcome = Outcome::held;
    const bool call = static_cast<bool>(acknowledge);
    if (call) {
      const std::lock_guard lock(mutex_);
      done_.emplace_back(std::move(acknowledge), outcome);
    }
    const bool last = open_.fetch_sub(1) == 1;
    if (last || call) waker_->signal();
  }
};
using AckChannels = std::vector<std::shared_ptr<AckChannel>>;
inline void forget_acknowledged(AckChannels& channels) {
  std::erase_if(channels, [](const auto& channel) { return channel->unacknowledged() == 0; });
}

}  // namespace fffa::core
