// SPDX-License-Identifier: MIT
// One pass over the kernel's table after the other: what was measured since the last one becomes records.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "config.h"
#include "fffa/context.h"
#include "fffa/stage.h"
#include "kernel_table.h"
#include "netfilter.h"
#include "overflow.h"
#include "ports.h"
#include "wall_clock.h"

namespace fffa::ebpf {

// A pass is made in steps, between which the source looks after interfaces and the ring buffer. One thread.
class Readout {
 public:
  Readout(const Config& config, StageContext& context, KernelTable& table, Ports& ports);

  // Who knows what verdicts mean; null: there are none.
  void tell(Netfilter* netfilter) noexcept { netfilter_ = netfilter; }

  bool active() const noexcept { return active_; }
  void begin();
  // Goes on with the pass. May emit; the last step emits what completes the pass, at least an empty batch. False: the
  // run is abandoned; all that is left to do is a last pass, which tells what is not told yet.
  Result<bool> step(Output& output);

  // Between passes: reads out connections that ended a while ago, so that a filling table has room again. May emit.
  // False: the run is abandoned.
  Result<bool> drain_ended(Output& output);

  // Merges what is in the ring buffer, as far as there is room.
  void read_ring();
  // The ring buffer has more than there is room for: it waits until a pass has made some.
  bool ring_waits() const noexcept { return overflow_.full(); }

  const WallClock& clock() const noexcept { return clock_; }
  // The wall clock was set: call once everything captured before is read out.
  void adopt_clock(ClockPair now) noexcept { clock_.adopt(now); }

 private:
  void take(const fffa_event& event);
  Result<void> drain_chunk();
  Result<fffa_drain_result> drain(fffa_drain_request request, std::span<const std::uint32_t> list = {});
  bool finish(Output& output);
  bool emit(Output& output);
  void append(const fffa_drain_record& record);
  void take_overflow(Output& output);
  void account();
  void count_reasons();
  void count(std::string_view interface, const fffa_interface_counters& delta);

  const Config& config_;
  StageContext& context_;
  KernelTable& table_;
  Ports& ports_;
  Netfilter* netfilter_ = nullptr;
  WallClock clock_;
  Overflow overflow_;
  Batch batch_;
  struct Ended {
    std::uint64_t time_ns = 0;
    std::uint32_t index = 0;
  };
  std::deque<Ended> ended_;  // about in order of time; an entry may be another flow's by now
  std::vector<std::uint32_t> list_;

  bool active_ = false;
  bool abandoned_ = false;
  ClockPair began_;
  std::uint32_t next_ = 0;  // entry to look at
  std::uint32_t end_ = 0;
  std::uint32_t in_use_ = 0;
  std::uint64_t idle_ns_;
  bool complete_ = true;  // every entry could be read
  TimeNs watermark_ = 0;
  engine::Origin origin_;  // of the interface looked up last
};

}  // namespace fffa::ebpf
