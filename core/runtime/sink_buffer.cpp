// SPDX-License-Identifier: MIT
// SinkNode, as far as it is the host of a buffer.
#include "sink_node.h"

namespace fffa::core {

std::shared_ptr<Buffer> SinkNode::buffer() const {
  const std::lock_guard lock(buffer_mutex_);
  return buffer_;
}

Tally SinkNode::kept() const {
  const auto buffer = this->buffer();
  return buffer && buffer->keeps() ? buffer->level().tally : Tally{};
}

bool SinkNode::drained() const {
  const auto buffer = this->buffer();
  return idle() && (!buffer || buffer->drained());
}

Result<void> SinkNode::open_buffer() {
  if (buffer_ && same_place(buffer_->spec(), spec_.buffer)) {
    buffer_->set_limits(spec_.buffer);
    return {};
  }
  close_buffer();
  if (spec_.buffer.type == BufferSpec::Type::none) return {};
  auto made = Buffer::make(spec_, *this, services_, intake_);
  if (!made) {
    auto error = made.error();
    error.message = "buffer: " + error.message;
    return error;
  }
  {
    const std::lock_guard lock(buffer_mutex_);
    buffer_ = std::move(*made);
  }
  if (running_) buffer_->start(shared_from_this());
  return {};
}

void SinkNode::close_buffer() {
  if (!buffer_) return;
  buffer_->stop();
  if (!buffer_->join(std::chrono::seconds(10))) buffer_->let_go();
  trouble({}, LogLevel::info);
  const std::lock_guard lock(buffer_mutex_);
  buffer_.reset();
}

void SinkNode::accepted(Message message) {
  message.ack.reset();
  --pending_;
}

void SinkNode::note_restored(const Tally& tally) {
  restored_.add(tally);
  holding_.add(tally);
}

// One line when trouble starts or changes, and one when it is over.
void SinkNode::trouble(const std::string& what, LogLevel level) {
  const auto key = buffer_of(id());
  const std::lock_guard lock(trouble_mutex_);
  if (what == buffer_trouble_) return;
  if (what.empty()) {
    services_->health.recover(key);
    say(LogLevel::info, "takes batches again");
  } else {
    services_->health.degrade(key, placed(what));
    say(level, what);
  }
  buffer_trouble_ = what;
}

}  // namespace fffa::core
