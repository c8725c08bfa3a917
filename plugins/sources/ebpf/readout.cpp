// SPDX-License-Identifier: MIT
#include "readout.h"

#include <sched.h>

#include <algorithm>
#include <string>

#include "fffa_engine/records.h"

namespace fffa::ebpf {
namespace {

constexpr std::size_t kBatchRecords = 4096;
constexpr std::size_t kOverflowFlows = 65536;
constexpr std::uint64_t kLingerNs = 1'000'000'000;        // a closed connection's last ACKs come within this time
constexpr std::uint64_t kCrowdedIdleNs = 10'000'000'000;  // in place of table_timeout, while the table is nearly full
// While the table is filling, a closed connection makes room earlier: its last packet is this long ago, which is looked
// at this long after the end.
constexpr std::uint64_t kFillingLingerNs = 500'000'000;
constexpr std::uint64_t kEndedNs = 750'000'000;
constexpr int kBusyTries = 5;

Volume volume(const fffa_count (&sides)[2]) {
  return {sides[0].packets + sides[1].packets, sides[0].bytes + sides[1].bytes};
}

}  // namespace

Readout::Readout(const Config& config, StageContext& context, KernelTable& table, Ports& ports)
    : config_(config),
      context_(context),
      table_(table),
      ports_(ports),
      clock_(read_clocks()),
      overflow_(kOverflowFlows),
      idle_ns_(static_cast<std::uint64_t>(config.table_timeout.count())) {}

void Readout::take(const fffa_event& event) {
  if (event.type == FFFA_EVENT_PACKET) overflow_.add(event);
  // what is forgotten here, a pass will find
  if (event.type == FFFA_EVENT_END && ended_.size() < table_.entries()) ended_.push_back({event.time_ns, event.index});
}

void Readout::read_ring() {
  if (overflow_.full()) return;
  table_.read_ring(table_.ring_capacity(), [&](const fffa_event& event) {
    take(event);
    return !overflow_.full();
  });
}

void Readout::begin() {
  ports_.read_out_begins();
  began_ = read_clocks();
  read_ring();
  active_ = true;
  complete_ = true;
  next_ = 0;
  end_ = table_.entries_touched();
  in_use_ = 0;
}

void Readout::append(const fffa_drain_record& record) {
  if (origin_.ifindex != record.key.ifindex) origin_ = ports_.origin(record.key.ifindex);
  const std::size_t first = batch_.size();
  engine::append_records(record, origin_, clock_.offset(), batch_.records);
  for (std::size_t i = first; netfilter_ != nullptr && i < batch_.size(); ++i)
    netfilter_->complete(record, batch_.records, i);
}

Result<fffa_drain_result> Readout::drain(fffa_drain_request request, std::span<const std::uint32_t> list) {
  request.idle_ns = idle_ns_;
  for (int tries = 0;; ++tries) {
    auto drained = table_.drain(request, list);
    if (!drained) return drained.error();
    for (const auto& record : drained->records) {
      if (overflow_.empty()) {
        append(record);
        continue;
      }
      fffa_drain_record whole = record;
      overflow_.fold_into(whole);
      append(whole);
    }
    if (drained->result.busy == 0 || tries == kBusyTries) return drained->result;
    ::sched_yield();  // somebody was interrupted while he held an entry: once more, the others have nothing to say now
  }
}

Result<void> Readout::drain_chunk() {
  fffa_drain_request request{};
  request.linger_ns = kLingerNs;
  request.start = next_;
  request.count = std::min<std::uint32_t>(end_ - next_, FFFA_DRAIN_CHUNK);
  auto result = drain(request);
  if (!result) return result.error();
  complete_ = complete_ && result->busy == 0;
  in_use_ += result->in_use;
  next_ += request.count;
  return {};
}

Result<bool> Readout::drain_ended(Output& output) {
  const auto now = static_cast<std::uint64_t>(read_clocks().monotonic);
  while (batch_.size() < kBatchRecords) {
    list_.clear();
    while (!ended_.empty() && list_.size() < FFFA_DRAIN_CHUNK && ended_.front().time_ns + kEndedNs <= now) {
      list_.push_back(ended_.front().index);
      ended_.pop_front();
    }
    if (list_.empty()) break;
    fffa_drain_request request{};
    request.linger_ns = kFillingLingerNs;
    if (auto result = drain(request, list_); !result) return result.error();
  }
  return batch_.size() < kBatchRecords || !output.ready() || emit(output);
}

Result<bool> Readout::step(Output& output) {
  while (next_ < end_ && batch_.size() < kBatchRecords) {
    if (auto done = drain_chunk(); !done) return done.error();
  }
  if (next_ < end_) return emit(output);
  active_ = false;
  return finish(output);
}

bool Readout::emit(Output& output) {
  batch_.watermark = watermark_;
  if (netfilter_ != nullptr) netfilter_->settle(batch_.records, began_.monotonic);
  Batch next;
  next.records.reserve(batch_.records.size());
  std::swap(next, batch_);
  if (!output.emit(std::move(next))) abandoned_ = true;
  return !abandoned_;
}

void Readout::take_overflow(Output& output) {
  // what was captured before the pass began is in the ring by now, and no more than it can hold
  std::size_t left = table_.ring_capacity();
  for (bool again = true; again;) {
    const std::size_t got = table_.read_ring(left, [&](const fffa_event& event) {
      take(event);
      return !overflow_.full();
    });
    left -= std::min(left, got);
    again = overflow_.full() && left > 0;
    overflow_.drain([&](const fffa_drain_record& record, bool partial) {
      const std::size_t first = batch_.size();
      append(record);
      for (std::size_t i = first; partial && i < batch_.size(); ++i) batch_.records[i].conn_state = ConnState::none;
      if (batch_.size() >= kBatchRecords) emit(output);
    });
  }
}

bool Readout::finish(Output& output) {
  take_overflow(output);
  account();
  count_reasons();
  if (netfilter_ != nullptr) netfilter_->count();
  if (complete_) watermark_ = std::max(watermark_, clock_.to_wall(static_cast<std::uint64_t>(began_.monotonic)));
  emit(output);
  for (const auto ifindex : ports_.read_out_complete()) table_.release_interface(ifindex);
  const bool crowded = in_use_ > table_.entries() / 4 * 3;
  const auto timeout = static_cast<std::uint64_t>(config_.table_timeout.count());
  idle_ns_ = crowded ? std::min(timeout, kCrowdedIdleNs) : timeout;
  origin_ = {};
  context_.metrics().gauge("fffa_ebpf_table_entries", "connections in the kernel's table").set(in_use_);
  context_.metrics()
      .gauge("fffa_ebpf_read_out_seconds", "time that the last read-out of the kernel's table took")
      .set(static_cast<double>(read_clocks().monotonic - began_.monotonic) * 1e-9);
  return !abandoned_;
}

void Readout::count(std::string_view interface, const fffa_interface_counters& delta) {
  constexpr std::string_view packets =
      "packets at the hooks: seen, and of these filtered (no IP flow), diverted (by the ring buffer), lost";
  constexpr std::string_view bytes = "IP-level bytes at the hooks, likewise";
  const std::array<std::pair<std::string_view, const fffa_count(*)[2]>, 4> kinds = {
      {{"seen", &delta.seen}, {"filtered", &delta.filtered}, {"diverted", &delta.diverted}, {"lost", &delta.lost}}};
  for (const auto& [outcome, sides] : kinds) {
    for (int side = 0; side < 2; ++side) {
      const fffa_count& count = (*sides)[side];
      if (count.packets == 0) continue;
      const MetricLabels labels = {
          {"interface", interface}, {"direction", side == 0 ? "ingress" : "egress"}, {"outcome", outcome}};
      context_.metrics().counter("fffa_ebpf_packets_total", packets, labels).add(count.packets);
      context_.metrics().counter("fffa_ebpf_bytes_total", bytes, labels).add(count.bytes);
    }
  }
}

void Readout::account() {
  batch_.interfaces = ports_.statuses();
  for (const auto& [ifindex, delta] : table_.take_interface_deltas()) {
    const Text name = ports_.origin(ifindex).interface;
    count(context_.texts().view(name), delta);
    auto status = std::find_if(batch_.interfaces.begin(), batch_.interfaces.end(),
                               [place = ifindex](const InterfaceStatus& s) { return s.ifindex == place; });
    if (status == batch_.interfaces.end()) {
      if (volume(delta.seen).packets == 0) continue;
      status = batch_.interfaces.insert(batch_.interfaces.end(), InterfaceStatus{});
      status->interface = name;
      status->ifindex = ifindex;
    }
    // the counters of one interface may stand at two places: the second is taken when the first one's owner is gone
    status->seen += volume(delta.seen);
    status->filtered += volume(delta.filtered);
    status->lost += volume(delta.lost);
  }
}

void Readout::count_reasons() {
  const auto deltas = table_.take_reason_deltas();
  for (std::size_t reason = FFFA_OK + 1; reason < FFFA_REASONS; ++reason) {
    for (int side = 0; side < 2; ++side) {
      const auto packets = deltas[reason].side[side].packets;
      if (packets == 0) continue;
      context_.metrics()
          .counter("fffa_ebpf_reasons_total",
                   "packets that took another way than into the table, or whose headers were damaged",
                   {{"reason", engine::reason_name(reason)}, {"direction", side == 0 ? "ingress" : "egress"}})
          .add(packets);
    }
  }
}

}  // namespace fffa::ebpf
