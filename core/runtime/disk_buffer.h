// SPDX-License-Identifier: MIT
// A buffer on disk: what it has taken in is acknowledged, and outlives the process. Batches that come while a sync is
// under way share the next one.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "buffer.h"
#include "spool/batch_codec.h"
#include "spool/store.h"

namespace fffa::core {

class DiskBuffer final : public Buffer {
 public:
  static Result<std::shared_ptr<Buffer>> open(const StageSpec& spec, Host& host,
                                              const std::shared_ptr<Services>& services, std::shared_ptr<Waker> intake);
  DiskBuffer(const StageSpec& spec, Host& host, const std::shared_ptr<Services>& services,
             std::shared_ptr<Waker> intake, std::unique_ptr<Store> store);
  void set_limits(const BufferSpec& spec) override;
  Result<std::optional<Taken>> next() override;
  void done(const Taken& taken) override;
  bool empty() const override { return !store_->unread(); }
  bool drained() const override;
  bool keeps() const noexcept override { return true; }
  Level level() const override;
  std::uint64_t max_size() const override { return max_size_; }

 private:
  std::unique_ptr<Store> store_;
  std::atomic<std::uint64_t> max_size_;
  std::atomic<bool> drops_;                 // when it is full
  std::atomic<bool> short_of_room_{false};  // the intake waits, or has waited and there is not much yet
  Counter& syncs_;
  Counter& errors_;
  Counter& damaged_;
  Counter& deleted_;
  // --- the intake's
  BatchEncoder encoder_;
  std::deque<Message> waiting_;  // taken in, and not on disk
  std::string payload_;          // of the first of them; empty: not encoded yet
  std::deque<Message> group_;    // written, and not synced
  int failures_ = 0;             // in a row
  Monotonic::time_point next_try_{};
  // --- the sink's thread
  BatchDecoder decoder_;
  std::uint64_t outstanding_ = 0;  // octets of records that are with the sink
  TimeNs watermark_ = 0;           // of the last batch
  std::uint64_t noted_damage_ = 0;
  std::string refused_;  // why a record was, as it was said last

  void begin() override;
  std::chrono::nanoseconds fill() override;
  bool write_next();  // into the group; false: there is none, or no room
  bool find_room();
  void relieve();
  std::chrono::nanoseconds failed(const Error& error);
  void give_up(const char* reason, const Tally& tally);
  std::optional<Taken> read(const Store::Frame& frame);
  void note_damage();
};

}  // namespace fffa::core
