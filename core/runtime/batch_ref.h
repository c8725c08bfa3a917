// SPDX-License-Identifier: MIT
// BatchRef: one owner's hold on a shared batch, with its volume, which is counted once.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <iterator>
#include <memory>
#include <utility>

#include "tally.h"

namespace fffa::core {

// Owners on several threads read; own() gives write access, to the original where this is the only owner. Not
// std::shared_ptr, whose use_count() does not order the other owners' reads before our writes.
class BatchRef {
 public:
  BatchRef() = default;
  explicit BatchRef(Batch batch) : body_(new Body{std::move(batch), {}, {1}}) { body_->tally = tally_of(body_->batch); }
  BatchRef(const BatchRef& other) noexcept : body_(other.body_) {
    if (body_) body_->owners.fetch_add(1, std::memory_order_relaxed);
  }
  BatchRef(BatchRef&& other) noexcept : body_(std::exchange(other.body_, nullptr)) {}
  BatchRef& operator=(BatchRef other) noexcept {
    std::swap(body_, other.body_);
    return *this;
  }
  ~BatchRef() {
    if (body_ && body_->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) delete body_;
  }

  const Batch& operator*() const noexcept { return body_->batch; }
  const Batch* operator->() const noexcept { return &body_->batch; }
  const Tally& tally() const noexcept { return body_->tally; }
  Batch& own() {
    if (body_->owners.load(std::memory_order_acquire) != 1) {
      BatchRef copy;
      copy.body_ = new Body{body_->batch, body_->tally, {1}};
      *this = std::move(copy);
    }
    return body_->batch;
  }
  // Takes out the records that `keep` refuses, and says what they were. Where others have the batch too, only what
  // stays is copied.
  template <typename Keep>
  Tally retain(Keep&& keep) {
    const Tally before = tally();
    const auto& records = body_->batch.records;
    const auto first = std::find_if_not(records.begin(), records.end(), keep);
    if (first == records.end()) return {};
    if (body_->owners.load(std::memory_order_acquire) == 1) {
      auto& own = body_->batch.records;
      own.erase(std::remove_if(own.begin() + (first - records.begin()), own.end(), std::not_fn(keep)), own.end());
      recount();
    } else {
      Batch rest;
      rest.window = body_->batch.window;
      rest.watermark = body_->batch.watermark;
      rest.interfaces = body_->batch.interfaces;
      rest.records.assign(records.begin(), first);
      std::copy_if(first + 1, records.end(), std::back_inserter(rest.records), keep);
      *this = BatchRef(std::move(rest));
    }
    return before - tally();
  }
  // After own() changed the number of records.
  void recount() noexcept { body_->tally = tally_of(body_->batch); }
  std::shared_ptr<const Batch> share() const {
    return {&body_->batch, [ref = *this](const Batch*) {}};
  }

 private:
  struct Body {
    Batch batch;
    Tally tally;
    std::atomic<unsigned> owners;
  };
  Body* body_ = nullptr;
};

}  // namespace fffa::core
