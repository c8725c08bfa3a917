// SPDX-License-Identifier: MIT
// Buffer: what waits for a sink beyond its inbox. A thread of its own, the intake, takes batches out of the inbox as
// they come; the sink's thread takes them from here, in order.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "edge.h"
#include "spool/store.h"
#include "stage_thread.h"
#include "waker.h"

namespace fffa::core {

class Buffer : public std::enable_shared_from_this<Buffer> {
 public:
  // The sink's node, as a buffer sees it. Any thread, but for take_in(): the intake's alone.
  class Host {
   public:
    virtual std::optional<Message> take_in() = 0;                        // the inbox's next; from then on it is held
    virtual void accepted(Message message) = 0;                          // it is on disk: acknowledged, and still held
    virtual void settled(const Message& message) = 0;                    // it is neither held nor waited for any more
    virtual void note_restored(const Tally& tally) = 0;                  // an earlier run left it: it is held
    virtual void released(const Tally& tally) = 0;                       // of what was accepted: it is held no longer
    virtual void note_lost(const char* reason, const Tally& tally) = 0;  // counted only
    virtual void has_more() = 0;                                         // next() has something, or ended() has changed
    virtual void trouble(const std::string& what, LogLevel level) = 0;   // with the buffer; empty: it is over
    virtual void say(LogLevel level, const std::string& message) = 0;
    virtual ~Host() = default;
  };
  // A batch on its way from the buffer to the sink.
  struct Taken {
    Message message;
    // --- on disk
    Store::Place place{};
    Part content{};
  };
  // What there is to be shown.
  struct Level {
    Tally tally;
    std::uint64_t size = 0;  // octets
  };

  // Opens what is on disk. An error says what cannot be used.
  static Result<std::shared_ptr<Buffer>> make(const StageSpec& spec, Host& host, std::shared_ptr<Services> services,
                                              std::shared_ptr<Waker> intake);
  virtual ~Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // --- life, by the node
  // Tells the host what was restored, and starts the intake. `keep` and this live until it ends.
  void start(std::shared_ptr<void> keep);
  void stop() noexcept;  // the intake ends after what it is at
  bool join(std::chrono::nanoseconds limit) { return thread_.join(limit); }
  void let_go() { thread_.let_go(); }
  const BufferSpec& spec() const noexcept { return spec_; }
  virtual void set_limits(const BufferSpec& spec) = 0;  // of the same place

  // --- the sink's thread
  virtual Result<std::optional<Taken>> next() = 0;  // nullopt: nothing for now
  virtual void done(const Taken& taken) = 0;        // delivered, or lost for good

  // --- any thread
  virtual bool empty() const = 0;                   // next() has taken everything
  virtual bool drained() const { return empty(); }  // and all of it is done
  // The intake has seen the end of the input, or was stopped, and takes nothing any more.
  bool ended() const noexcept { return ended_; }
  virtual bool keeps() const noexcept { return false; }  // over the end of the process
  virtual Level level() const = 0;
  virtual std::uint64_t max_size() const = 0;

 protected:
  Buffer(const StageSpec& spec, Host& host, std::shared_ptr<Services> services, std::shared_ptr<Waker> intake)
      : spec_(spec.buffer), host_(host), services_(std::move(services)), intake_(std::move(intake)) {}

  static constexpr std::chrono::nanoseconds kNow{0};
  static constexpr std::chrono::nanoseconds kForever{-1};
  // Takes in what there is, and what has room. How long to sleep until there may be more.
  virtual std::chrono::nanoseconds fill() = 0;
  virtual void begin() {}
  void note_end(const Message& message) noexcept { end_taken_ = end_taken_ || message.batch->watermark == kEndOfInput; }

  BufferSpec spec_;
  Host& host_;
  std::shared_ptr<Services> services_;
  std::shared_ptr<Waker> intake_;

 private:
  StageThread thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> ended_{false};
  bool end_taken_ = false;  // the intake's

  void main();
};

}  // namespace fffa::core
