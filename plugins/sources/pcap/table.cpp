// SPDX-License-Identifier: MIT
#include "table.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "seeds.h"

namespace fffa::pcap {
namespace {

constexpr std::uint64_t kLingerNs = 1'000'000'000;  // a closed connection's last ACKs come within this time
// A packet that is older than its connection's latest by no more than this comes late; else the clock was set.
constexpr std::uint64_t kDisorderNs = 1'000'000'000;
// With fewer entries than these, nothing is forgotten: a connection that goes on after its end, or after a long
// silence, is judged by what is known of it.
constexpr std::size_t kFew = 65536;
constexpr std::uint32_t kFirstBuckets = 1024;
constexpr std::size_t kAhead = 4;     // entries that are prefetched while others are read out
constexpr std::size_t kSamples = 63;  // of the table, to learn which entries are old

std::uint64_t last_of(const fffa_flow& flow) {
  return std::max(flow.half[0].last_ns, flow.half[1].last_ns);
}

fffa_drain_request request_of(std::uint64_t idle_ns, std::uint64_t linger_ns) {
  fffa_drain_request request{};
  request.idle_ns = idle_ns;
  request.linger_ns = linger_ns;
  return request;
}

// Makes `time` the latest that a flow knows of, where it knows of later ones: the clock that stamped its packets was
// set. What is being measured starts afresh.
void rebase(fffa_flow& flow, std::uint64_t time) {
  const std::uint32_t tick = fffa_tick(time);
  flow.syn_ns = std::min<std::uint64_t>(flow.syn_ns, time);
  for (auto& half : flow.half) {
    half.last_ns = std::min<std::uint64_t>(half.last_ns, time);
    half.seen = static_cast<std::uint16_t>(half.seen & ~(FFFA_SEEN_INTERVAL | FFFA_SEEN_RTT));
    half.sent_tick = tick;
    half.third_dup_tick = tick;
    for (auto& hole : half.holes) hole.opened = tick;
  }
}

}  // namespace

Result<void> LazyMemory::reserve(std::size_t bytes, bool huge_pages) {
  release();
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    return system_error("reserve " + std::to_string(bytes >> 20) +
                        " MiB of address space for the flow table (a smaller table_size needs less)");
  }
  if (huge_pages) ::madvise(memory, bytes, MADV_HUGEPAGE);
  memory_ = memory;
  bytes_ = bytes;
  return {};
}

void LazyMemory::release() noexcept {
  if (memory_ != nullptr) ::munmap(memory_, bytes_);
  memory_ = nullptr;
}

Result<void> Table::start() {
  if (auto done = flow_memory_.reserve(std::size_t{options_.entries} * sizeof(fffa_flow), true); !done) return done;
  if (options_.tunnels) {
    if (auto done = tunnel_memory_.reserve(std::size_t{options_.entries} * sizeof(fffa_tunnel), false); !done)
      return done;
  }
  const std::uint32_t buckets = std::min(kFirstBuckets, fffa_bucket_count(options_.entries));
  if (auto done = bucket_memory_.reserve(buckets * sizeof(fffa_bucket), true); !done) return done;
  table_.flows = static_cast<fffa_flow*>(flow_memory_.get());
  tunnels_ = static_cast<fffa_tunnel*>(tunnel_memory_.get());
  table_.buckets = static_cast<fffa_bucket*>(bucket_memory_.get());
  table_.entries = options_.entries;
  table_.bucket_mask = buckets - 1;
  draw_seeds(table_.seeds);
  return {};
}

std::uint32_t Table::touched() const noexcept {
  return std::min(table_.state.next_index, table_.entries);
}

// ---- counting

// Nearly all the time goes into waiting for memory: entries of 512 bytes, hit at random. So the whole batch's buckets
// are asked for first, then its entries, before any of them is needed.
void Table::count(std::span<fffa_packet> packets, RecordTaker& taker) {
  std::array<fffa_address, kBatch> addresses;
  std::array<std::uint32_t, kBatch> places;
  for (std::size_t i = 0; i < packets.size(); ++i) {
    addresses[i] = fffa_locate(&table_, &packets[i].key);
    __builtin_prefetch(&table_.buckets[addresses[i].first]);
    __builtin_prefetch(&table_.buckets[addresses[i].second]);
  }
  for (std::size_t i = 0; i < packets.size(); ++i) {
    places[i] = fffa_find_tag(&table_.buckets[addresses[i].first], addresses[i].tag);
    if (places[i] == 0) places[i] = fffa_find_tag(&table_.buckets[addresses[i].second], addresses[i].tag);
    if (places[i] != 0) prefetch_entry(places[i] - 1);
  }
  for (std::size_t i = 0; i < packets.size(); ++i) {
    // What was found may be another flow by now, and what was not there an earlier packet may have made.
    std::uint32_t index = places[i] - 1;
    if (places[i] == 0 || !fffa_same_key(&table_.flows[index].key, &packets[i].key)) index = place(packets[i], taker);
    track(index, packets[i], taker);
  }
  counted_since_sweep_ += packets.size();
}

void Table::prefetch_entry(std::uint32_t index) const noexcept {
  const auto* lines = reinterpret_cast<const char*>(&table_.flows[index]);
  for (std::size_t line = 0; line < sizeof(fffa_flow); line += 64) __builtin_prefetch(lines + line, 1);
}

// The entry of the packet's flow.
std::uint32_t Table::place(const fffa_packet& packet, RecordTaker& taker) {
  const std::uint32_t found = fffa_table_find(&table_, &packet.key);
  if (found != 0 && fffa_same_key(&table_.flows[found - 1].key, &packet.key)) return found - 1;
  return insert(packet, taker);
}

std::uint32_t Table::insert(const fffa_packet& packet, RecordTaker& taker) {
  if (in_use_ >= std::size_t{table_.bucket_mask + 1} * 4) static_cast<void>(grow_buckets());
  for (;;) {
    const fffa_table_state before = table_.state;
    const int index = fffa_table_insert(&table_, &packet.key, packet.direction);
    if (index >= 0) {
      const bool made = before.free_head != table_.state.free_head || before.next_index != table_.state.next_index;
      if (made) {
        ++in_use_;
        if (auto* side = tunnel(static_cast<std::uint32_t>(index)); side != nullptr && packet.key.encap != 0)
          *side = {};
      }
      return static_cast<std::uint32_t>(index);
    }
    // No entry is free, or both buckets are full.
    if (in_use_ < table_.entries && grow_buckets()) continue;
    evict(taker);
  }
}

void Table::track(std::uint32_t index, fffa_packet& packet, RecordTaker& taker) {
  fffa_flow& flow = table_.flows[index];
  if (fffa_unlikely(!fffa_is_active(&flow))) note_dirty(index);
  if (fffa_unlikely(packet.time_ns < last_of(flow))) return track_late(index, packet, taker);
  if (fffa_unlikely(!late_.empty())) note_latest(index, packet.direction);
  if (packet.direction == FFFA_INGRESS)
    fffa_track(&flow, &packet, FFFA_INGRESS);
  else
    fffa_track(&flow, &packet, FFFA_EGRESS);
  if (fffa_unlikely(packet.key.encap != 0) && tunnels_ != nullptr)
    fffa_track_tunnel(&tunnels_[index], &packet, packet.direction);
}

void Table::note_dirty(std::uint32_t index) {
  if (dirty_.size() >= 4096 + 4 * in_use_) {  // a flow can be reported, and so get here, many times
    std::sort(dirty_.begin(), dirty_.end());
    dirty_.erase(std::unique(dirty_.begin(), dirty_.end()), dirty_.end());
  }
  dirty_.push_back(index);
}

// A packet that is stamped before the flow's latest one. A little is disorder of the capture: to the tracker no time
// has passed, whether or not there was a read-out meanwhile; but jitter is of the direction's own stamps. More is a
// clock that was set, and what lies before is reported on its own. Either way the record's times are those of its
// packets.
void Table::track_late(std::uint32_t index, fffa_packet& packet, RecordTaker& taker) {
  fffa_flow& flow = table_.flows[index];
  const int side = packet.direction;
  const std::uint64_t time = packet.time_ns;
  if (last_of(flow) - time > kDisorderNs) {
    if (fffa_is_active(&flow)) {
      drain(index, request_of(UINT64_MAX, UINT64_MAX), 0, taker);
      note_dirty(index);
    }
    rebase(flow, time);
  }
  if (flow.half[side].last_ns > time)
    note_late(index, packet.direction, time);
  else
    note_latest(index, packet.direction);
  const std::uint64_t own_latest = std::max<std::uint64_t>(flow.half[side].last_ns, time);
  packet.time_ns = std::max(time, last_of(flow));
  // Only jitter reads this, as an interval of one direction's own: it stays as it was.
  if (flow.half[side].last_ns != 0) flow.half[side].last_ns += packet.time_ns - time;
  fffa_track(&flow, &packet, side);
  flow.slot[side].first_ns = std::min<std::uint64_t>(flow.slot[side].first_ns, time);
  flow.half[side].last_ns = own_latest;
  if (packet.key.encap != 0 && tunnels_ != nullptr) fffa_track_tunnel(&tunnels_[index], &packet, side);
}

// The latest packet that the flow remembers may be in a record already.
void Table::note_late(std::uint32_t index, unsigned side, std::uint64_t time) {
  const fffa_flow& flow = table_.flows[index];
  const std::uint64_t key = std::uint64_t{index} * 2 + side;
  if (flow.slot[side].packets == 0) {
    late_[key] = time;
  } else if (const auto found = late_.find(key); found != late_.end()) {
    found->second = std::max(found->second, time);
  }
}

// The latest packet of its direction, or another one with that stamp: this one is in the next record.
void Table::note_latest(std::uint32_t index, unsigned side) {
  late_.erase(std::uint64_t{index} * 2 + side);
}

void Table::tell_late(fffa_drain_record& record) {
  for (const unsigned side : {0u, 1u}) {
    const auto found = late_.find(std::uint64_t{record.index} * 2 + side);
    if (found == late_.end()) continue;
    record.last_ns[side] = found->second;
    late_.erase(found);
  }
}

// ---- reading out

void Table::drain(std::uint32_t index, const fffa_drain_request& request, std::uint64_t now, RecordTaker& taker) {
  fffa_drain_record record;
  const int drained =
      fffa_drain_flow(&table_, index, &table_.flows[index], tunnel(index), nullptr, &request, now, &record);
  if ((drained & FFFA_DRAINED_DELETED) != 0) --in_use_;
  if ((drained & FFFA_DRAINED_RECORD) == 0) return;
  if (fffa_unlikely(!late_.empty())) tell_late(record);
  taker.take(record);
}

void Table::read_out(std::uint64_t now, RecordTaker& taker) {
  const auto request = request_of(UINT64_MAX, UINT64_MAX);  // deletes nothing
  // An entry may stand there twice, or be another flow's by now: then there is nothing, or something to report.
  for (std::size_t i = 0; i < dirty_.size(); ++i) {
    if (i + kAhead < dirty_.size()) prefetch_entry(dirty_[i + kAhead]);
    drain(dirty_[i], request, now, taker);
  }
  dirty_.clear();
  sweep(now, taker);
}

// Forgets what is idle or over, where there is much of it; not more often than it is worth.
void Table::sweep(std::uint64_t now, RecordTaker& taker) {
  if (in_use_ <= std::min<std::size_t>(kFew, options_.entries / 2)) return;
  if (counted_since_sweep_ < touched() / 8 || (now >= last_sweep_ && now - last_sweep_ < kLingerNs)) return;
  counted_since_sweep_ = 0;
  last_sweep_ = now;
  const auto request = request_of(options_.idle_ns, kLingerNs);
  const std::uint32_t end = touched();
  for (std::uint32_t index = 0; index < end; ++index) drain(index, request, now, taker);
}

// ---- room

void Table::forget(std::uint32_t index, RecordTaker& taker) {
  const auto now = UINT64_MAX;
  drain(index, request_of(0, UINT64_MAX), now, taker);  // reports, if there is something
  if (table_.flows[index].key.family != 0) drain(index, request_of(0, 0), now, taker);
}

// The table is full: the quarter of it that was silent the longest goes.
void Table::evict(RecordTaker& taker) {
  const std::uint32_t end = touched();
  std::array<std::uint64_t, kSamples> ages{};
  for (std::size_t i = 0; i < ages.size(); ++i) ages[i] = last_of(table_.flows[i * end / ages.size()]);
  std::sort(ages.begin(), ages.end());
  const std::size_t before = in_use_;
  for (const std::uint64_t limit : {ages[ages.size() / 4], UINT64_MAX}) {
    for (std::uint32_t index = 0; index < end; ++index) {
      if (table_.flows[index].key.family != 0 && last_of(table_.flows[index]) <= limit) forget(index, taker);
    }
    if (in_use_ < before) break;  // else only free entries are that old
  }
  evicted_ += before - in_use_;
}

// Doubles the buckets. False if there is no memory for it, or there are more than enough of them.
bool Table::grow_buckets() {
  const std::size_t buckets = (std::size_t{table_.bucket_mask} + 1) * 2;
  if (buckets > std::size_t{fffa_bucket_count(table_.entries)} * 2) return false;
  LazyMemory memory;
  if (!memory.reserve(buckets * sizeof(fffa_bucket), true)) return false;
  auto* const made = static_cast<fffa_bucket*>(memory.get());
  fffa_table grown = table_;
  grown.buckets = made;
  grown.bucket_mask = static_cast<__u32>(buckets - 1);
  const std::uint32_t end = touched();
  for (std::uint32_t index = 0; index < end; ++index) {
    const fffa_flow& flow = table_.flows[index];
    if (flow.key.family == 0) continue;
    const fffa_address at = fffa_locate(&grown, &flow.key);
    fffa_bucket &first = made[at.first], &second = made[at.second];
    const std::uint64_t word = std::uint64_t{at.tag} << 32 | (index + 1);
    const bool prefer_second = fffa_count_used(&second) < fffa_count_used(&first);
    if (fffa_put_in(prefer_second ? &second : &first, word) == 0 &&
        fffa_put_in(prefer_second ? &first : &second, word) == 0)
      return false;  // twice the room and still none: stay as it is
  }
  table_ = grown;
  bucket_memory_.swap(memory);
  return true;
}

}  // namespace fffa::pcap
