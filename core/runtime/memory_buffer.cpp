// SPDX-License-Identifier: MIT
#include "memory_buffer.h"

namespace fffa::core {

std::uint64_t MemoryBuffer::size_of(const Batch& batch) noexcept {
  return sizeof(Message) + sizeof(Batch) + batch.size() * sizeof(FlowRecord) +
         batch.interfaces.size() * sizeof(InterfaceStatus);
}

void MemoryBuffer::set_limits(const BufferSpec& spec) {
  {
    const std::lock_guard lock(mutex_);
    spec_ = spec;
  }
  intake_->signal();
}

// One batch is over the bound at most: its size is known only once it was taken.
std::chrono::nanoseconds MemoryBuffer::fill() {
  {
    const std::lock_guard lock(mutex_);
    full_ = level_.size >= spec_.max_size && spec_.when_full == WhenFull::block;
    if (full_) return kForever;
  }
  auto message = host_.take_in();
  if (!message) return kForever;
  note_end(*message);
  std::vector<Message> dropped;
  {
    const std::lock_guard lock(mutex_);
    level_.tally += message->tally;
    level_.size += size_of(*message->batch);
    waiting_.push_back(std::move(*message));
    while (spec_.when_full == WhenFull::drop_oldest && level_.size > spec_.max_size && waiting_.size() > 1)
      dropped.push_back(*pop());
  }
  for (const auto& old : dropped) {
    host_.note_lost("buffer_full", old.tally);
    if (old.ack && old.tally.records > 0) old.ack->worsen(Outcome::lost);
    host_.settled(old);
  }
  host_.has_more();
  return kNow;
}

std::optional<Message> MemoryBuffer::pop() {
  if (waiting_.empty()) return {};
  std::optional<Message> message = std::move(waiting_.front());
  waiting_.pop_front();
  level_.tally = level_.tally - message->tally;
  level_.size -= size_of(*message->batch);
  return message;
}

Result<std::optional<Buffer::Taken>> MemoryBuffer::next() {
  const std::lock_guard lock(mutex_);
  auto message = pop();
  if (!message) return std::optional<Taken>{};
  if (full_) intake_->signal();
  return std::optional(Taken{std::move(*message)});
}

bool MemoryBuffer::empty() const {
  const std::lock_guard lock(mutex_);
  return waiting_.empty();
}

Buffer::Level MemoryBuffer::level() const {
  const std::lock_guard lock(mutex_);
  return level_;
}
std::uint64_t MemoryBuffer::max_size() const {
  const std::lock_guard lock(mutex_);
  return spec_.max_size;
}

}  // namespace fffa::core
