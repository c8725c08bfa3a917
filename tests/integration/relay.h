// SPDX-License-Identifier: MIT
// A path between two namespaces through a third one, whose forwarder (user space, whole frames) delays them, lets some
// be overtaken and loses some. It knows the truth about what it delivered.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <thread>

#include "netns.h"

namespace fffa::integration {

struct RelayOptions {
  std::chrono::microseconds delay{0};        // each way
  std::chrono::microseconds held_longer{0};  // for every `hold_every`th frame with TCP payload from `here`
  unsigned hold_every = 0;                   // 0: none
  double loss = 0;                           // of frames with TCP payload from `here`
};

// What was delivered from `here` to `there`, by sequence numbers (one connection at a time).
struct RelayTruth {
  std::uint64_t late = 0;       // segments that began below the highest sequence number delivered before
  std::uint64_t overtaken = 0;  // those of them that had been held
  std::uint64_t lost = 0;       // frames that were not delivered, either way
};

// Addressed as VethPair: `here` has veth0, `there` has peer0. No offloads.
class RelayedPair {
 public:
  explicit RelayedPair(RelayOptions options);
  ~RelayedPair();
  RelayedPair(const RelayedPair&) = delete;
  RelayedPair& operator=(const RelayedPair&) = delete;
  Netns here;
  Netns there;

  // Ends the forwarder. Call when the traffic is over.
  RelayTruth stop();

 private:
  struct Frame;
  void forward(int left, int right);
  bool loses(const Frame& frame);
  bool holds(const Frame& frame);
  void note_delivery(const Frame& frame);

  RelayOptions options_;
  Netns middle_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
  std::minstd_rand random_{42};
  std::uint64_t data_frames_ = 0;
  std::uint32_t highest_ = 0;
  bool begun_ = false;
  RelayTruth truth_;
};

}  // namespace fffa::integration
