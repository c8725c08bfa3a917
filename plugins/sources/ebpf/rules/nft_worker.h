// SPDX-License-Identifier: MIT
// A thread that lists the ruleset and runs commands: with many rules either takes seconds.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "fffa/context.h"
#include "fffa/detail/descriptor.h"
#include "nft_context.h"
#include "ruleset.h"

namespace fffa::ebpf {

// The thread begins with the first request, in the network namespace of the one that makes it, and with its privileges.
class NftWorker {
 public:
  struct Listing {
    Result<std::vector<ListedTable>> tables;
    std::chrono::steady_clock::duration taken{};
  };

  // Both outlive it.
  NftWorker(Lister& lister, NftContext& commands, Logger& log);
  // Waits for what is running.
  ~NftWorker();
  NftWorker(const NftWorker&) = delete;
  NftWorker& operator=(const NftWorker&) = delete;

  Result<void> begin();
  // Readable when there is a listing to take.
  int fd() const noexcept { return ready_.get(); }
  void ask_listing();
  std::optional<Listing> take_listing();
  // False: the last ones have not been run yet, and these are not taken.
  bool run(std::string commands);

 private:
  void ensure_thread();
  void work();

  Lister& lister_;
  NftContext& nft_;
  Logger& log_;
  Descriptor ready_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  bool list_ = false;
  std::string commands_;
  std::optional<Listing> listing_;
  std::thread thread_;
};

}  // namespace fffa::ebpf
