// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

#include "fffa/batch.h"

namespace fffa::common {

// Tells whether a batch is the one that could not be written before. Lines are made once per batch (formats have a
// memory) and kept until they are written.
class BatchMark {
 public:
  explicit BatchMark(const Batch& batch)
      : watermark_(batch.watermark),
        size_(batch.size()),
        sequence_(batch.empty() ? 0 : batch.records.front().sequence),
        first_seen_(batch.empty() ? 0 : batch.records.front().first_seen),
        window_(batch.window) {}
  friend bool operator==(const BatchMark&, const BatchMark&) = default;

 private:
  TimeNs watermark_;
  std::size_t size_;
  std::uint64_t sequence_;
  TimeNs first_seen_;
  Window window_;
};

}  // namespace fffa::common
