// SPDX-License-Identifier: MIT
#include "pcap.h"

#include <poll.h>

#include <algorithm>

namespace fffa::pcap {
namespace {

constexpr std::size_t kBatchRecords = 1024;
constexpr std::uint64_t kProgressPackets = 16384;  // between looks whether it is time to show progress
constexpr std::size_t kQuietStatuses = 256;        // more interfaces than these are named only when they have news
constexpr auto kPatience = std::chrono::seconds(1);
// Read-outs and pace are of the capture as a whole, and follow its time forwards only: back, if it goes back by more
// than this. (Connections are stricter, each for itself: kDisorderNs of table.cpp.)
constexpr std::int64_t kScheduleSetBackNs = 60'000'000'000;
constexpr std::uint64_t kStopPackets = 64;  // between looks whether to stop

Table::Options table_options(const Config& config, bool tunnels) {
  Table::Options options;
  options.entries = config.table_size;
  options.tunnels = tunnels;
  options.idle_ns = static_cast<std::uint64_t>(config.table_timeout.count());
  return options;
}

std::uint32_t opened(const Config& config) {
  const auto& tunnels = config.tunnels;
  return std::find(tunnels.begin(), tunnels.end(), Tunnel::geneve) != tunnels.end() ? FFFA_OPEN_GENEVE : 0;
}

// Of every record of the path; none: the packets have theirs.
std::optional<Direction> direction_of(const Path& path) {
  if (path.kind == Path::directed) return std::nullopt;
  if (path.way == Way::unknown) return Direction::unknown;
  return path.way == Way::in ? Direction::ingress : Direction::egress;
}

bool readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, 0) != 0;
}

}  // namespace

Pcap::Pcap(Config config, StageContext& context)
    : config_(std::move(config)),
      context_(context),
      name_(config_.path == "-" ? "standard input" : config_.path.string()),
      orient_(opened(config_)),
      table_(table_options(config_, opened(config_) != 0)) {}

std::vector<Resource> Pcap::resources(const Config& config) {
  if (config.path == "-") return {{"standard input", "stdin"}};
  return {};
}

Result<void> Pcap::start() {
  auto file = FileInput::open(config_.path.string());
  if (!file) return file.error();
  file_ = file->get();
  input_ = decompressed(std::move(*file));
  reader_.emplace(*input_, name_);
  file_->before_read([this](int fd) { return may_read(fd); });
  if (!file_->may_block()) {
    if (auto opened = reader_->open(); !opened) return opened;
  }
  return table_.start();
}

Result<void> Pcap::run(Output& output) {
  output_ = &output;
  Progress progress(name_, file_->size());
  Packet packet;
  auto next = Reader::Next::packet;
  while (goes_on()) {
    next = reader_->next(packet);
    if (next != Reader::Next::packet) break;
    if (config_.pace == Pace::realtime && !await(packet.time)) break;
    count(packet);
    if (counts_.packets % kProgressPackets == 0) progress.show(file_->consumed(), counts_.packets);
  }
  progress.clear();
  return finish(next);
}

bool Pcap::goes_on() const {
  return counts_.packets % kStopPackets != 0 || going();
}

Result<void> Pcap::finish(Reader::Next why) {
  track_pending();
  read_out(newest_ == 0 ? 0 : newest_ + 1);  // the newest packet is before it; 0: there is none
  const bool stopped = why == Reader::Next::packet || ended_early_;
  const std::string kept =
      counts_.packets == 0 ? "" : "; the " + std::to_string(counts_.packets) + " packets before it are counted";
  if (!stopped && why == Reader::Next::error) return fail(reader_->error() + kept);
  if (!stopped && !reader_->cut().empty()) context_.log().warning(reader_->cut() + kept);
  if (!stopped && !input_->complaint().empty()) context_.log().warning(name_ + ": " + input_->complaint());
  context_.log().info(name_ + ": " + std::to_string(counts_.packets) + " packets read");
  return {};
}

// ---- packets

void Pcap::count(const Packet& packet) {
  heed_time(packet.time);
  const std::uint16_t link_type = reader_->interfaces()[packet.interface].link_type;
  Framed framed;
  fffa_packet& parsed = pending_[pending_size_];
  const int reason = orient_(packet, link_type, parsed, framed);
  ++counts_.packets;
  account(packet, framed, reason);
  if (reason != FFFA_OK) return;
  if (++pending_size_ == pending_.size()) track_pending();
}

void Pcap::track_pending() {
  table_.count(std::span(pending_).first(pending_size_), *this);
  pending_size_ = 0;
}

void Pcap::account(const Packet& packet, const Framed& framed, int reason) {
  InterfaceStatus& status = statuses_[status_of(packet.interface)];
  if (reason == FFFA_OK) {
    const fffa_packet& parsed = pending_[pending_size_];
    status.seen += {1, parsed.bytes};
    if (parsed.note != FFFA_OK) ++counts_.reasons[parsed.note];
    return;
  }
  const std::uint64_t bytes = packet.length > framed.header ? packet.length - framed.header : 0;
  status.seen += {1, bytes};
  status.filtered += {1, bytes};
  ++counts_.reasons[static_cast<std::size_t>(reason)];
}

std::size_t Pcap::status_of(std::uint32_t interface) {
  if (interface < interface_status_.size()) return interface_status_[interface];
  while (interface_status_.size() <= interface) {
    const Text name = context_.texts().intern(reader_->interfaces()[interface_status_.size()].name);
    const auto found = std::find_if(statuses_.begin(), statuses_.end(),
                                    [&](const InterfaceStatus& known) { return known.interface == name; });
    interface_status_.push_back(static_cast<std::size_t>(found - statuses_.begin()));
    if (found == statuses_.end()) statuses_.emplace_back().interface = name;
  }
  return interface_status_[interface];
}

// ---- time

void Pcap::heed_time(TimeNs time) {
  const std::int64_t interval = config_.drain_interval.count();
  const auto edge_after = [&](TimeNs t) { return (t / interval + 1) * interval; };
  if (time < next_edge_ && time >= next_edge_ - interval - kScheduleSetBackNs) {
    newest_ = std::max(newest_, time);
    return;
  }
  const TimeNs due = next_edge_;
  next_edge_ = edge_after(time);
  newest_ = std::max(newest_, time);
  if (due == 0) return;
  track_pending();
  read_out(time < due ? batch_.watermark : due);
  // Nothing happened since `due`: what was counted before it is not of the pause.
  if (next_edge_ - interval > due) read_out(next_edge_ - interval);
}

// Waits until the packet's time has come (at once for the first one, and where the clock was set back). Meanwhile edges
// may pass.
bool Pcap::await(TimeNs time) {
  for (;;) {
    const TimeNs now = context_.clock().monotonic().count();
    if (!lag_ || time < now + *lag_ - kScheduleSetBackNs) lag_ = time - now;
    const TimeNs reached = now + *lag_;
    if (time <= reached) return true;
    track_pending();
    if (next_edge_ != 0 && next_edge_ <= reached) heed_time(reached);
    const TimeNs until = next_edge_ != 0 ? std::min(time, next_edge_) : time;
    if (until > reached && !output_->wait(std::chrono::nanoseconds(until - reached))) return false;
  }
}

// Before every read: a capture may have any number of bytes and no packet in them.
bool Pcap::may_read(int fd) {
  if (output_ == nullptr) return true;  // start()
  if (going() && (!file_->may_block() || await_input(fd))) return true;
  ended_early_ = true;
  return false;
}

// What is there is counted first.
bool Pcap::await_input(int fd) {
  track_pending();
  while (!readable(fd)) {
    if (!output_->wait(kPatience, fd)) return false;
  }
  return going();
}

// ---- records

const engine::Origin& Pcap::origin_of(std::uint32_t path) {
  while (origins_.size() < path) {
    const Path& known = orient_.paths()[static_cast<std::uint32_t>(origins_.size() + 1)];
    const Text interface = statuses_[status_of(known.interface)].interface;
    origins_.push_back({context_.host(), interface, known.ifindex, direction_of(known)});
  }
  return origins_[path - 1];
}

void Pcap::take(const fffa_drain_record& record) {
  engine::append_records(record, origin_of(record.key.ifindex), 0, batch_.records);
  if (batch_.size() >= kBatchRecords) emit(batch_.watermark);
}

void Pcap::read_out(TimeNs watermark) {
  table_.read_out(static_cast<std::uint64_t>(std::max(watermark, newest_ - config_.drain_interval.count())), *this);
  emit_statuses();
  emit(std::max(watermark, batch_.watermark));
  count_metrics();
}

// A batch's watermark is that of the one before until the read-out is complete. An abandoned run still takes what there
// is to tell, and accounts for it.
void Pcap::emit(TimeNs watermark) {
  Batch next;
  next.watermark = watermark;
  next.records.reserve(batch_.records.size());
  std::swap(next, batch_);
  next.watermark = watermark;
  if (!output_->emit(std::move(next))) abandoned_ = true;
}

void Pcap::emit_statuses() {
  for (auto& status : statuses_) {
    if (statuses_.size() > kQuietStatuses && status.seen == Volume{}) continue;
    batch_.interfaces.push_back(status);
    status.seen = {};
    status.filtered = {};
  }
}

void Pcap::count_metrics() {
  auto& metrics = context_.metrics();
  metrics.counter("fffa_pcap_packets_total", "packets read").add(counts_.packets - exported_.packets);
  for (std::size_t reason = 0; reason < counts_.reasons.size(); ++reason) {
    if (const auto more = counts_.reasons[reason] - exported_.reasons[reason]; more != 0) {
      metrics
          .counter("fffa_pcap_reasons_total", "packets that are in no flow, or whose headers were damaged",
                   {{"reason", engine::reason_name(reason)}})
          .add(more);
    }
  }
  counts_.evicted = table_.evicted();
  metrics.counter("fffa_pcap_evicted_total", "connections forgotten early, for want of room in the table")
      .add(counts_.evicted - exported_.evicted);
  metrics.gauge("fffa_pcap_table_entries", "connections in the table").set(static_cast<double>(table_.in_use()));
  exported_ = counts_;
}

}  // namespace fffa::pcap
