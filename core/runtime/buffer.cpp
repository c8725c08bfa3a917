// SPDX-License-Identifier: MIT
#include "buffer.h"

#include "disk_buffer.h"
#include "memory_buffer.h"

namespace fffa::core {

Result<std::shared_ptr<Buffer>> Buffer::make(const StageSpec& spec, Host& host, std::shared_ptr<Services> services,
                                             std::shared_ptr<Waker> intake) {
  if (spec.buffer.type == BufferSpec::Type::disk) return DiskBuffer::open(spec, host, services, std::move(intake));
  return std::shared_ptr<Buffer>(std::make_shared<MemoryBuffer>(spec, host, std::move(services), std::move(intake)));
}

void Buffer::start(std::shared_ptr<void> keep) {
  begin();
  thread_.start([self = shared_from_this(), keep = std::move(keep)] { self->main(); });
}

void Buffer::stop() noexcept {
  stopping_ = true;
  intake_->signal();
}

void Buffer::main() {
  while (!stopping_ && !end_taken_ && !services_->abandoned) {
    if (const auto pause = fill(); pause != kNow && !end_taken_) intake_->sleep(pause);
  }
  // The run is given up: what still waits in the inbox is saved, if it can be at once.
  if (keeps() && services_->abandoned)
    for (const auto by = Monotonic::now() + services_->tuning.leave_behind / 2;
         Monotonic::now() < by && fill() == kNow;) {
    }
  if (end_taken_) host_.trouble({}, LogLevel::info);  // nothing is to come that could be in any
  ended_ = true;
  host_.has_more();
}

}  // namespace fffa::core
