// SPDX-License-Identifier: MIT
// The engine's flow table in user space (fffa_bpf/host_table.h), made to lose nothing: it grows, and beyond its limit
// it reports and forgets the connections that were silent the longest. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fffa/result.h"
#include "fffa_bpf/host_table.h"

namespace fffa::pcap {

// Takes what is read out.
class RecordTaker {
 public:
  virtual ~RecordTaker() = default;
  virtual void take(const fffa_drain_record& record) = 0;
};

// Zeroed memory that is taken from the system as it is touched.
class LazyMemory {
 public:
  LazyMemory() = default;
  LazyMemory(const LazyMemory&) = delete;
  LazyMemory& operator=(const LazyMemory&) = delete;
  ~LazyMemory() { release(); }
  Result<void> reserve(std::size_t bytes, bool huge_pages);
  void release() noexcept;
  void swap(LazyMemory& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(bytes_, other.bytes_);
  }
  void* get() const noexcept { return memory_; }

 private:
  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

class Table {
 public:
  static constexpr std::size_t kBatch = 64;  // packets at most that count() takes

  struct Options {
    std::uint32_t entries = 1048576;  // at most
    bool tunnels = true;
    std::uint64_t idle_ns = 300'000'000'000;
  };

  explicit Table(const Options& options) : options_(options) {}
  Result<void> start();

  // Counts packets in the order given; their time_ns may go backwards. `taker` gets what must be reported early.
  void count(std::span<fffa_packet> packets, RecordTaker& taker);
  // Reports everything that was counted since the last time. `now`: what is idle or over is seen from there.
  void read_out(std::uint64_t now, RecordTaker& taker);

  std::size_t in_use() const noexcept { return in_use_; }
  std::uint64_t evicted() const noexcept { return evicted_; }  // connections forgotten for want of room, so far

 private:
  void prefetch_entry(std::uint32_t index) const noexcept;
  std::uint32_t place(const fffa_packet& packet, RecordTaker& taker);
  std::uint32_t insert(const fffa_packet& packet, RecordTaker& taker);
  void track(std::uint32_t index, fffa_packet& packet, RecordTaker& taker);
  void track_late(std::uint32_t index, fffa_packet& packet, RecordTaker& taker);
  void note_dirty(std::uint32_t index);
  void note_late(std::uint32_t index, unsigned side, std::uint64_t time);
  void note_latest(std::uint32_t index, unsigned side);
  void tell_late(fffa_drain_record& record);
  void drain(std::uint32_t index, const fffa_drain_request& request, std::uint64_t now, RecordTaker& taker);
  void forget(std::uint32_t index, RecordTaker& taker);
  bool grow_buckets();
  void evict(RecordTaker& taker);
  void sweep(std::uint64_t now, RecordTaker& taker);
  std::uint32_t touched() const noexcept;  // entries that were ever used
  fffa_tunnel* tunnel(std::uint32_t index) const noexcept { return tunnels_ ? tunnels_ + index : nullptr; }

  Options options_;
  fffa_table table_{};
  fffa_tunnel* tunnels_ = nullptr;
  LazyMemory flow_memory_;
  LazyMemory tunnel_memory_;
  LazyMemory bucket_memory_;
  std::vector<std::uint32_t> dirty_;  // entries with something to report
  // Where all packets of the next record are older than the latest that the flow remembers: the latest of them.
  std::unordered_map<std::uint64_t, std::uint64_t> late_;  // by 2 * index + direction
  std::size_t in_use_ = 0;
  std::uint64_t counted_since_sweep_ = 0;
  std::uint64_t last_sweep_ = 0;
  std::uint64_t evicted_ = 0;
};

}  // namespace fffa::pcap
