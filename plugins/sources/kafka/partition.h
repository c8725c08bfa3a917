// SPDX-License-Identifier: MIT
// An assigned partition: which of its messages are accounted for, and how far its time has come. No I/O, no threads.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fffa/record.h"

namespace fffa::kafka_source {

// One object for one assignment: what is still on its way when the partition is revoked holds a weak_ptr, so that a
// late acknowledgement does not count for the next assignment of the same partition.
class Partition {
 public:
  using Id = std::uint64_t;  // of a span: messages that are acknowledged together
  static constexpr Id kNoSpan = ~Id{0};
  static constexpr std::int64_t kNone = -1;

  Partition(std::string topic, std::int32_t number) : topic_(std::move(topic)), number_(number) {}

  const std::string& topic() const noexcept { return topic_; }
  std::int32_t number() const noexcept { return number_; }
  std::string name() const { return topic_ + "[" + std::to_string(number_) + "]"; }

  // --- offsets. Those of a partition rise, with gaps (transactions, compaction).
  // Adds the message to span `open` if that is the newest, else to one of its own; the span.
  Id add(std::int64_t offset, Id open = kNoSpan);
  void acknowledge(Id span);
  // The offset to commit: every message before it is acknowledged. kNone: no message was read yet.
  std::int64_t safe() const noexcept { return safe_; }
  // Up to where the partition was read, by former owners too: the next one reads again what lies between safe() and it.
  std::int64_t reached() const noexcept { return std::max(position_, told_); }
  // The partition has no message from `offset` on: whoever said that it was read further was wrong.
  void ends(std::int64_t offset) noexcept { told_ = told_ > offset ? kNone : told_; }
  // What Kafka knows: the offset, and beside it reached().
  std::int64_t committed() const noexcept { return committed_; }
  void commit(std::int64_t offset, std::int64_t reached) noexcept { committed_ = offset, told_ = reached; }
  // Lower than what Kafka knows, too: a topic that was made anew begins with 0 again.
  bool to_commit() const noexcept { return safe_ != kNone && (safe_ != committed_ || reached() != told_); }
  // Behind the last message that was read.
  std::int64_t position() const noexcept { return position_; }
  // Messages that were read, and that whoever reads the partition next would read again.
  std::int64_t uncommitted() const noexcept;
  bool acknowledged() const noexcept { return spans_.empty(); }  // all that was read

  // --- time
  using Monotonic = std::chrono::nanoseconds;
  void heard(TimeNs newest, Monotonic now) noexcept;          // a message; newest 0: it says nothing of time
  void at_end(Monotonic now) noexcept;                        // there is no further message now
  void awake(Monotonic now) noexcept { quiet_since_ = now; }  // it is read again: there may be messages
  bool idle(Monotonic now) const noexcept;
  TimeNs newest() const noexcept { return newest_; }

 private:
  struct Span {
    std::int64_t next;  // behind its last message
    bool acknowledged = false;
  };

  std::string topic_;
  std::int32_t number_;
  std::deque<Span> spans_;  // from the oldest that is not acknowledged
  Id first_ = 0;            // of spans_
  std::int64_t start_ = kNone;
  std::int64_t safe_ = kNone;
  std::int64_t committed_ = kNone;
  std::int64_t told_ = kNone;
  std::int64_t position_ = kNone;
  TimeNs newest_ = 0;
  bool at_end_ = false;
  bool was_at_end_ = false;
  Monotonic quiet_since_{0};
};

// reached() as it stands beside a committed offset, in its metadata, which whoever may commit for the group can write.
// kNone: that says something else, nothing, or more than any partition has.
inline constexpr std::int64_t kFurthest = std::int64_t{1} << 53;
std::string metadata_of(std::int64_t reached);
std::int64_t reached_in(std::string_view metadata) noexcept;

using Partitions = std::vector<std::shared_ptr<Partition>>;

// Up to when all partitions have told what there is: the least of those that are not idle, or, where all are, the wall
// clock less the time for which they have been silent. 0: not known.
TimeNs watermark(const Partitions& partitions, TimeNs wall, std::chrono::nanoseconds now) noexcept;

inline constexpr std::chrono::nanoseconds kIdle = std::chrono::seconds(10);
// Hosts' clocks may be wrong. Nothing is taken to be newer than the wall clock by more than this.
inline constexpr TimeNs kAhead = 5'000'000'000;

}  // namespace fffa::kafka_source
