// SPDX-License-Identifier: MIT
// A program that decides what NFQUEUE hands it, over netlink alone.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "netns.h"

namespace fffa::integration {

class QueueListener {
 public:
  enum class Answer { accept, drop, none };  // none: the packets stay queued until the listener is gone
  // Bound to queue `number` of the namespace when it returns.
  QueueListener(const Netns& netns, std::uint16_t number, Answer answer);
  // Unbinds: the kernel drops what is still queued.
  ~QueueListener();
  QueueListener(const QueueListener&) = delete;
  QueueListener& operator=(const QueueListener&) = delete;

  // Packets that were handed over so far.
  std::uint64_t received() const { return received_; }

 private:
  void answer_all();
  void command(std::uint8_t what);
  void handle(const char* data, std::size_t size);
  void decide(std::uint32_t id);

  int fd_ = -1;
  std::uint16_t number_;
  Answer answer_;
  std::atomic<std::uint64_t> received_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace fffa::integration
