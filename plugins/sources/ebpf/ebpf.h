// SPDX-License-Identifier: MIT
// The source `ebpf`: flows of this machine's interfaces, live.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config.h"
#include "fffa/detail/descriptor.h"
#include "fffa/plugin.h"
#include "kernel_table.h"
#include "netfilter.h"
#include "ports.h"
#include "readout.h"

namespace fffa::ebpf {

// Best effort, loss-accounted: every packet that a hook sees is in a record, or counted as filtered or lost. Nothing is
// pinned: SIGKILL loses the interval that was not read out.
class Ebpf final : public Source {
 public:
  Ebpf(Config config, StageContext& context)
      : config_(std::move(config)), context_(context), ports_(config_, context) {}

  // Loads the programs and attaches them.
  Result<void> start() override;
  Result<void> run(Output& output) override;

  static std::vector<Resource> resources(const Config& config);
  static void check(const Config& config, Checker& checker);
  static Probe probe();

 private:
  Result<void> watch();
  bool wants_netfilter() const;
  void start_netfilter();
  void look_after();
  void heed_clock();
  bool due() const;
  std::chrono::nanoseconds patience() const;
  void pass_ended();
  Result<void> final_pass(Output& output);

  Config config_;
  StageContext& context_;
  std::unique_ptr<KernelTable> table_;  // goes after the ports: detach, then unload
  Ports ports_;
  std::unique_ptr<Netfilter> netfilter_;  // none: not wanted, or not allowed
  std::unique_ptr<Readout> readout_;
  Descriptor clock_alarm_;  // readable when the wall clock was set
  Descriptor events_;       // readable when anything has happened: interfaces, ring buffer, clock
  TimeNs next_edge_ = 0;
  std::int64_t next_check_ = 0;  // CLOCK_MONOTONIC
  std::int64_t step_ = 0;   // the wall clock was set by this much, which a pass that begins from now on will cut off
  bool cuts_step_ = false;  // the pass under way does
};

// The hooks that an interface has, for people. `tcx`: as has_tcx() says.
std::string describe_hooks(const Link& link, const std::string& foreign_xdp, std::optional<bool> tcx);

}  // namespace fffa::ebpf
