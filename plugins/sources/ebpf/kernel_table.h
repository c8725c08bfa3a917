// SPDX-License-Identifier: MIT
// The flow engine in the kernel: its programs, its table, its ring buffer, its counters.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "attach.h"
#include "fffa/detail/descriptor.h"
#include "fffa/record.h"
#include "fffa/result.h"
#include "fffa_bpf/types.h"

struct flow_bpf;     // the skeleton
struct ring_buffer;  // libbpf's

namespace fffa::ebpf {

struct TableOptions {
  std::uint32_t entries = 0;
  std::uint64_t ring_bytes = 0;  // rounded up to a power of two
  bool open_geneve = true;
  bool netfilter = false;  // room for verdicts

  // From so many entries on the table counts as filling: the ring buffer then carries ends of connections too. Those
  // that ended before keep their entries until the next pass, so it begins well before the table is full.
  std::uint32_t filling() const noexcept { return entries / 8; }
};

// One, whatever the number of interfaces. Not thread-safe. Everything in the kernel goes when this goes: nothing is
// pinned.
class KernelTable {
 public:
  // The table and what reads it out. Errors are `unavailable`: they name what the kernel or the privileges lack.
  static Result<std::unique_ptr<KernelTable>> load(const TableOptions& options);
  ~KernelTable();
  KernelTable(const KernelTable&) = delete;
  KernelTable& operator=(const KernelTable&) = delete;

  // The program's descriptor. Loads it when it is first asked for: the verifier takes its time over each, and few
  // machines attach them all. Errors as above.
  Result<int> program(Program which);
  std::uint32_t entries() const noexcept { return entries_; }

  // Entries from here on were never in use.
  std::uint32_t entries_touched() const noexcept;
  // The table has been filling: ends of connections come through the ring buffer, without making it readable.
  bool tells_ends() const noexcept { return entries_touched() >= filling_; }

  // What one run of the read-out program found. `records` is valid until the next run.
  struct Drained {
    std::span<const fffa_drain_record> records;
    fffa_drain_result result{};
  };
  // At most FFFA_DRAIN_CHUNK entries; `list`, if given, goes in place of request.start and .count.
  Result<Drained> drain(fffa_drain_request request, std::span<const std::uint32_t> list = {});

  // Readable when the ring buffer has packets.
  int ring_fd() const noexcept;
  // Hands at most `limit` events to `take`, until it returns false (that event counts as taken). How many there were.
  std::size_t read_ring(std::size_t limit, const std::function<bool(const fffa_event&)>& take);
  // Events that the ring buffer can hold.
  std::size_t ring_capacity() const noexcept { return ring_bytes_ / sizeof(fffa_event); }

  struct InterfaceDelta {
    std::uint32_t ifindex = 0;  // 0: interfaces that found no counters of their own
    fffa_interface_counters counters{};
  };
  // What the counters rose by since the last call.
  std::vector<InterfaceDelta> take_interface_deltas();
  std::array<fffa_reason_counters, FFFA_REASONS> take_reason_deltas();

  // The interfaces of whose flows netfilter's verdicts are counted, with their directions (1 << enum fffa_direction);
  // FFFA_INTERFACES at most. Returns how many found no place.
  std::size_t set_monitored(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& interfaces) noexcept;
  // Counts verdicts of each hook, too.
  void count_hooks() noexcept;
  // Packets are going to be noted from hook to hook; when all that are under way have been, take_notes().
  void begin_notes() noexcept;
  void take_notes() noexcept;
  // Verdicts since the last call that belong to no flow, by enum fffa_unattributed; and of each hook, by enum
  // fffa_hook.
  std::array<std::uint64_t, FFFA_UNATTRIBUTED> take_unattributed();
  std::array<fffa_hook_counters, FFFA_HOOKS> take_hook_deltas();

  // The interface is gone and its last deltas were taken: its place may go to another.
  void release_interface(std::uint32_t ifindex) noexcept;

 private:
  struct Skeleton {
    void operator()(flow_bpf* skeleton) const noexcept;
  };
  struct Ring {
    void operator()(ring_buffer* ring) const noexcept;
  };
  using SkeletonPtr = std::unique_ptr<flow_bpf, Skeleton>;
  KernelTable(SkeletonPtr skeleton, const TableOptions& options);
  static Result<void> configure(flow_bpf& skeleton, const TableOptions& options);
  Result<void> map_records();
  Result<void> open_ring();
  bool read_place(std::uint32_t place, fffa_interface_counters& sum);
  static int on_event(void* context, void* data, std::size_t size);

  Result<Descriptor> load_program(Program which);

  SkeletonPtr skeleton_;
  std::array<Descriptor, static_cast<std::size_t>(Program::count)> programs_;  // by Program; none until it is asked for
  std::unique_ptr<ring_buffer, Ring> ring_;
  struct RingReader {
    const std::function<bool(const fffa_event&)>* take = nullptr;
    std::size_t limit = 0;
    std::size_t taken = 0;
  };
  RingReader reader_;  // of the read_ring() under way
  std::uint32_t entries_;
  std::uint32_t filling_;
  std::uint64_t ring_bytes_;
  const fffa_drain_record* records_ = nullptr;
  std::vector<fffa_interface_counters> per_cpu_;  // room for one look-up
  std::vector<fffa_reason_counters> reasons_per_cpu_;
  std::array<fffa_interface_counters, FFFA_INTERFACES + 1> interfaces_{};
  std::array<fffa_reason_counters, FFFA_REASONS> reasons_{};
  std::vector<fffa_hook_counters> hooks_per_cpu_;
  std::array<fffa_hook_counters, FFFA_HOOKS> hooks_{};
  std::array<std::uint64_t, FFFA_UNATTRIBUTED> unattributed_{};
};

}  // namespace fffa::ebpf
