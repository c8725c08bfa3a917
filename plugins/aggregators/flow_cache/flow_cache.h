// SPDX-License-Identifier: MIT
// FlowCache: merges the deltas of each flow over windows of time. Knows nothing of threads, configuration or metrics;
// plugin.cpp adds those.
//
// A delta is merged into the record of its flow in the window of its first_seen. When the watermark says that the
// window is complete, the window is closed: in interval mode its records go out; in cumulative mode they are merged
// into the flows' totals, and the totals of every live flow go out. All that happens at a closing is decided by the
// window's end, never by how far the watermark or the wall clock has got: so a replay and a live run agree.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "fffa/stage.h"
#include "flow_table.h"
#include "interfaces.h"

namespace fffa::flow_cache {

inline constexpr std::size_t kBatchRecords = 512;  // at most, of an output batch

struct Options {  // times in nanoseconds
  TimeNs interval = 5'000'000'000;
  TimeNs lateness = 5'000'000'000;
  TimeNs idle_timeout = 60'000'000'000;  // 0: never
  TimeNs active_timeout = 0;             // 0: never
  bool cumulative = false;
  std::size_t max_memory = std::size_t{1} << 30;  // of records and index; batches that were emitted are not counted
};

// True for a record of round trips alone: their packets are in an earlier record.
bool has_no_packets(const FlowRecord& record) noexcept;

// Makes a total of a flow's first delta.
void begin_total(FlowRecord& delta) noexcept;

class FlowCache {
 public:
  explicit FlowCache(const Options& options);

  void add(const Batch& batch, const Ticket& ticket, Emitter& emitter);
  void resume(Emitter& emitter) { advance(emitter); }

  // Since the beginning.
  std::uint64_t late_records() const noexcept { return late_records_; }  // emitted for a window that was closed already
  std::uint64_t early_records() const noexcept { return early_records_; }  // emitted for want of memory
  // Now.
  std::size_t records() const noexcept;  // held, totals included
  std::size_t memory() const noexcept;   // bytes

 private:
  using Index = std::int64_t;  // of a window: its start / interval
  static constexpr Index kNone = std::numeric_limits<Index>::min();
  struct Pending {  // a window that is not closed yet
    FlowTable records;
    std::vector<InterfaceStatus> statuses;
    std::vector<Ticket> tickets;
    std::uint64_t touched_by = 0;  // the last input batch whose ticket is in tickets
  };
  struct Closing {  // the window that is being emitted
    Index index;
    Window window;
    Pending pending;
    bool late;                // it was closed before
    bool last;                // the input has ended, and no window comes after it
    std::vector<Index> told;  // open windows that hold its tickets too
    std::vector<Text> lossy;  // interfaces that lost packets in it
  };

  Options options_;
  ChunkPool pool_;
  std::map<Index, Pending> windows_;
  std::vector<FlowTable> spare_;  // empty tables whose index is worth keeping
  FlowTable totals_;              // cumulative mode or active timeout: what is known of each live flow
  FlowTable survivors_;           // those of totals_ that live on, while a window is being closed
  std::optional<Closing> closing_;
  Interfaces interfaces_;
  Index open_from_ = kNone;  // windows before this one are closed
  TimeNs watermark_ = 0;     // of the input
  TimeNs reported_ = 0;      // watermark of the output
  TimeNs newest_ = 0;        // last_seen of any record
  bool ended_ = false;       // the input is at its end
  std::uint64_t batches_ = 0;
  std::uint64_t late_records_ = 0;
  std::uint64_t early_records_ = 0;

  // Input.
  void take_statuses(const Batch& batch, const Ticket& ticket, Emitter& emitter);
  void take_records(const Batch& batch, const Ticket& ticket, Emitter& emitter);
  void merge_into(FlowTable& table, std::span<const FlowRecord> records);
  Index merge_round_trips(const FlowRecord& record);
  Pending& pending(Index index, const Ticket& ticket);
  Index index_of(const FlowRecord& record) const noexcept;
  Window window(Index index) const noexcept { return {index * options_.interval, (index + 1) * options_.interval}; }
  TimeNs now() const noexcept;  // time that the input has reached

  // Output.
  void advance(Emitter& emitter);
  bool begin_closing();
  Index closable() const noexcept;
  void start_closing(Index index, bool late, bool last);
  bool emit_closing(Emitter& emitter, bool wait_for_room);
  void finish_closing();
  std::vector<FlowRecord> next_records();
  bool move_on(const FlowRecord& record);
  void fold_totals();
  void track_age(FlowRecord& record);
  void forget_ages();
  FlowEndReason end_reason(const FlowRecord& record) noexcept;
  bool comes_again(const FlowRecord& record) noexcept;
  // Memory.
  void make_room(Emitter& emitter);
  void emit_early(Index index, std::vector<FlowRecord> records, const std::vector<Ticket>& tickets, Emitter& emitter);
  std::vector<FlowRecord> evict_totals();
  bool keeps_totals() const noexcept { return options_.cumulative || options_.active_timeout > 0; }
};

}  // namespace fffa::flow_cache
