// SPDX-License-Identifier: MIT
// Amounts of flow data, and accounts of them.
#pragma once

#include <atomic>
#include <cstdint>

#include "fffa/batch.h"
#include "fffa/context.h"

namespace fffa::core {

// Signed, because accounts are also subtracted.
struct Tally {
  std::int64_t records = 0;
  std::int64_t packets = 0;
  std::int64_t bytes = 0;
  Tally& operator+=(const Tally& o) noexcept {
    records += o.records;
    packets += o.packets;
    bytes += o.bytes;
    return *this;
  }
  friend Tally operator+(Tally a, const Tally& b) noexcept { return a += b; }
  friend Tally operator-(const Tally& a, const Tally& b) noexcept {
    return {a.records - b.records, a.packets - b.packets, a.bytes - b.bytes};
  }
  friend Tally operator*(std::int64_t n, const Tally& t) noexcept {
    return {n * t.records, n * t.packets, n * t.bytes};
  }
  friend bool operator==(const Tally&, const Tally&) = default;
  bool empty() const noexcept { return *this == Tally{}; }
};

inline Tally tally_of(const Volume& volume) noexcept {
  return {0, static_cast<std::int64_t>(volume.packets), static_cast<std::int64_t>(volume.bytes)};
}
inline Tally tally_of(const Batch& batch) noexcept {
  Tally tally = tally_of(batch.volume());
  tally.records = static_cast<std::int64_t>(batch.size());
  return tally;
}

// Something that comes and goes: a queue. Any thread.
class Level {
 public:
  void add(const Tally& t) noexcept {
    records_ += t.records;
    packets_ += t.packets;
    bytes_ += t.bytes;
  }
  void remove(const Tally& t) noexcept { add(Tally{} - t); }
  Tally value() const noexcept { return {records_.load(), packets_.load(), bytes_.load()}; }

 private:
  std::atomic<std::int64_t> records_{0}, packets_{0}, bytes_{0};
};

// Three exported counters that count together, from what they stand at now on. Any thread.
class Account {
 public:
  Account(Counter& records, Counter& packets, Counter& bytes) noexcept
      : records_(&records), packets_(&packets), bytes_(&bytes) {
    before_ = value();
  }
  void add(const Tally& t) noexcept {
    records_->add(static_cast<std::uint64_t>(t.records));
    packets_->add(static_cast<std::uint64_t>(t.packets));
    bytes_->add(static_cast<std::uint64_t>(t.bytes));
  }
  Tally value() const noexcept {
    return Tally{static_cast<std::int64_t>(records_->value()), static_cast<std::int64_t>(packets_->value()),
                 static_cast<std::int64_t>(bytes_->value())} -
           before_;
  }

 private:
  Tally before_;
  Counter* records_;
  Counter* packets_;
  Counter* bytes_;
};

}  // namespace fffa::core
