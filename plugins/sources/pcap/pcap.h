// SPDX-License-Identifier: MIT
// The source `pcap`: flows of a capture file, as the kernel would have reported them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config.h"
#include "fffa/plugin.h"
#include "fffa_engine/records.h"
#include "input.h"
#include "orient.h"
#include "progress.h"
#include "reader.h"
#include "table.h"

namespace fffa::pcap {

// Every packet that was read is in a record, or counted as filtered. The capture's time drives everything.
class Pcap final : public Source, private RecordTaker {
 public:
  Pcap(Config config, StageContext& context);

  // Opens the file and, unless there may be nothing to read yet, looks what it is.
  Result<void> start() override;
  Result<void> run(Output& output) override;

  static std::vector<Resource> resources(const Config& config);
  static constexpr bool reads_once = true;  // begun anew it would count every packet again; a pipe has no beginning

 private:
  void take(const fffa_drain_record& record) override;
  void count(const Packet& packet);
  void account(const Packet& packet, const Framed& framed, int reason);
  void track_pending();
  void heed_time(TimeNs time);
  void read_out(TimeNs watermark);
  void emit(TimeNs watermark);
  void emit_statuses();
  void count_metrics();
  bool await(TimeNs time);
  bool may_read(int fd);
  bool await_input(int fd);
  bool goes_on() const;
  bool going() const { return !abandoned_ && !output_->stopping(); }
  Result<void> finish(Reader::Next why);
  std::size_t status_of(std::uint32_t interface);
  const engine::Origin& origin_of(std::uint32_t path);

  Config config_;
  StageContext& context_;
  std::string name_;
  FileInput* file_ = nullptr;  // input_ ends in it
  std::unique_ptr<Input> input_;
  std::optional<Reader> reader_;
  Orienter orient_;
  Table table_;
  Output* output_ = nullptr;
  bool abandoned_ = false;
  bool ended_early_ = false;  // the input was not read to its end, because stop was requested

  std::array<fffa_packet, Table::kBatch> pending_;  // parsed, not tracked yet
  std::size_t pending_size_ = 0;
  Batch batch_;
  std::vector<engine::Origin> origins_;        // by path
  std::vector<std::size_t> interface_status_;  // by interface of the capture: place in statuses_
  std::vector<InterfaceStatus> statuses_;      // one for each name
  struct Counts {
    std::uint64_t packets = 0;
    std::array<std::uint64_t, FFFA_REASONS> reasons{};
    std::uint64_t evicted = 0;
  };
  Counts counts_;    // since the beginning
  Counts exported_;  // what the metrics know of them

  TimeNs next_edge_ = 0;  // 0: no packet yet
  TimeNs newest_ = 0;
  // pace: realtime. Packet time less the clock.
  std::optional<TimeNs> lag_;
};

}  // namespace fffa::pcap
