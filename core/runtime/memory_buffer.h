// SPDX-License-Identifier: MIT
// A buffer in memory: a longer queue, bounded by what it takes. Acknowledgements wait for delivery.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "buffer.h"

namespace fffa::core {

class MemoryBuffer final : public Buffer {
 public:
  MemoryBuffer(const StageSpec& spec, Host& host, std::shared_ptr<Services> services, std::shared_ptr<Waker> intake)
      : Buffer(spec, host, std::move(services), std::move(intake)) {}
  void set_limits(const BufferSpec& spec) override;
  Result<std::optional<Taken>> next() override;
  void done(const Taken& taken) override { host_.settled(taken.message); }
  bool empty() const override;
  Level level() const override;
  std::uint64_t max_size() const override;

 private:
  mutable std::mutex mutex_;
  std::deque<Message> waiting_;
  Level level_;  // of what waits
  bool full_ = false;

  std::chrono::nanoseconds fill() override;
  static std::uint64_t size_of(const Batch& batch) noexcept;
  std::optional<Message> pop();  // under the lock
};

}  // namespace fffa::core
