// SPDX-License-Identifier: MIT
#include "nft_worker.h"

#include <sys/eventfd.h>

#include <csignal>
#include <cstdint>

namespace fffa::ebpf {

NftWorker::NftWorker(Lister& lister, NftContext& commands, Logger& log) : lister_(lister), nft_(commands), log_(log) {}

NftWorker::~NftWorker() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

Result<void> NftWorker::begin() {
  ready_ = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  return ready_ ? Result<void>() : system_error("make an event descriptor");
}

// Not before there is something to do: whoever asks has given up the privileges that the start alone needs, and so has
// this thread and every program that it starts.
void NftWorker::ensure_thread() {
  if (thread_.joinable()) return;
  // signals are for the threads that were there before
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { work(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void NftWorker::ask_listing() {
  ensure_thread();
  {
    const std::lock_guard lock(mutex_);
    list_ = true;
  }
  wake_.notify_one();
}

bool NftWorker::run(std::string commands) {
  ensure_thread();
  {
    const std::lock_guard lock(mutex_);
    if (!commands_.empty()) return false;
    commands_ = std::move(commands);
  }
  wake_.notify_one();
  return true;
}

std::optional<NftWorker::Listing> NftWorker::take_listing() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(ready_.get(), &count, sizeof count);
  const std::lock_guard lock(mutex_);
  return std::exchange(listing_, std::nullopt);
}

void NftWorker::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || list_ || !commands_.empty(); });
    if (stop_) return;
    if (!commands_.empty()) {
      const std::string commands = commands_;
      lock.unlock();
      const auto done = nft_.run(commands);
      if (!done) log_.debug("netfilter: ask for refused flows' rules: " + done.error().message);
      lock.lock();
      commands_.clear();
    }
    if (!list_ || stop_) continue;
    list_ = false;
    lock.unlock();
    const auto begin = std::chrono::steady_clock::now();
    Listing listing{lister_.list(log_), {}};
    listing.taken = std::chrono::steady_clock::now() - begin;
    lock.lock();
    listing_ = std::move(listing);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(ready_.get(), &one, sizeof one);
  }
}

}  // namespace fffa::ebpf
