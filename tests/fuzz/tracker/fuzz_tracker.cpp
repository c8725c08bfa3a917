// SPDX-License-Identifier: MIT
// Conversations through the table, the tracker and read-outs. The input: one byte (entries of the table, less one, 2
// bits), then steps (steps.h). A twin of every connection is tracked without read-outs: what the read-outs said must
// add up to what the twin says, and reading out must not change what is remembered of the connection.
#include <cstddef>

#include "account.h"
#include "steps.h"

using namespace fffa::fuzz;

namespace {

struct Connection {
  fffa_flow_key key{};
  Side sides[2];
  Account unread[2];      // sent since the last read-out
  bool in_table = false;  // the twin follows an entry
  fffa_flow twin{};
  fffa_slot read[2]{};  // what read-outs said since the entry was made
  std::uint64_t sent_packets = 0, sent_bytes = 0, accounted_packets = 0, accounted_bytes = 0;
};

class World {
 public:
  explicit World(std::uint32_t entries) {
    table_.flows = flows_;
    table_.buckets = buckets_;
    table_.entries = entries;
    table_.bucket_mask = fffa_bucket_count(entries) - 1;
    for (std::uint32_t i = 0; i < FFFA_HASH_SEEDS; ++i) table_.seeds[i] = 0x9e3779b9u * (i + 1);
    for (int i = 0; i < kConnections; ++i) {
      auto& key = connections_[i].key;
      key.family = 4;
      key.proto = FFFA_PROTO_TCP;
      key.remote_port = static_cast<std::uint16_t>(1000 + i);
      key.local_port = 443;
      if (i != 3) continue;
      key.encap = FFFA_ENCAP_GENEVE;
      key.encap_depth = 1;
      key.vni = 9;
    }
  }

  void step(const Step& step) {
    now_ += static_cast<std::uint64_t>(step.time());
    earliest_ = std::min(earliest_, now_);
    latest_ = std::max(latest_, now_);
    if (step.is_readout()) {
      read_out(step);
    } else {
      send(step);
    }
  }

  // Reads out everything: nothing of what was sent may be missing.
  void finish() {
    read_out({3, 1, 0, 0, 0});
    for (const auto& c : connections_)
      require(c.accounted_packets == c.sent_packets && c.accounted_bytes == c.sent_bytes);
  }

 private:
  fffa_table table_{};
  fffa_flow flows_[4]{};
  fffa_bucket buckets_[1]{};
  fffa_tunnel tunnels_[4]{};
  Connection connections_[kConnections];
  std::uint64_t now_ = 1'000'000'000'000, earliest_ = now_, latest_ = now_;

  fffa_packet packet(const Step& step, Connection& c) const {
    const int direction = step.direction();
    Side& mine = c.sides[direction];
    fffa_packet p{};
    p.key = c.key;
    p.time_ns = now_;
    p.direction = static_cast<std::uint8_t>(direction);
    p.packets = step.packets();
    p.payload = step.payload();
    p.bytes = 40 * p.packets + p.payload;
    if (c.key.encap) {
      p.outer_bytes = p.bytes + 36 * p.packets;
      p.outer.family = 4;
      p.outer.gwlb_cookie = step.flags;
    }
    p.vlan = step.vlan();
    p.ecn = step.ecn();
    p.at_sender = step.at_sender();
    p.tcp = step.has_tcp();
    if (!p.tcp) return p;
    p.flags = step.flags;
    p.seq = sequence(step, mine);
    p.ack = acknowledgement(step, c.sides[!direction]);
    p.window = step.window();
    p.scale = p.flags & FFFA_SYN ? step.scale() : static_cast<std::uint8_t>(FFFA_NO_OFFER);
    p.sack = step.sack();
    if (p.flags & FFFA_SYN) mine.initial = p.seq;
    mine.last_seq = p.seq;
    mine.last_length = p.payload + ((p.flags & FFFA_SYN) != 0) + ((p.flags & FFFA_FIN) != 0);
    const std::uint32_t end = p.seq + mine.last_length;
    if (fffa_seq_diff(end, mine.next) > 0 || (p.flags & FFFA_SYN)) mine.next = end;
    return p;
  }

  // As the programs do it, without others that delete meanwhile.
  fffa_flow* entry_of(const fffa_packet& p, std::uint32_t& index, bool& made) {
    std::uint32_t place = fffa_table_find(&table_, &p.key);
    made = !place;
    if (!place) {
      const int inserted = fffa_table_insert(&table_, &p.key, p.direction);
      if (inserted < 0) {
        require(inserted == -FFFA_TABLE_FULL && used() == table_.entries);
        return nullptr;
      }
      place = static_cast<std::uint32_t>(inserted) + 1;
    }
    index = place - 1;
    require(index < table_.entries && fffa_same_key(&flows_[index].key, &p.key));
    return &flows_[index];
  }

  std::uint32_t used() const {
    std::uint32_t used = 0;
    for (std::uint32_t i = 0; i < table_.entries; ++i) used += flows_[i].key.family != 0;
    return used;
  }

  void send(const Step& step) {
    Connection& c = connections_[step.connection()];
    const fffa_packet p = packet(step, c);
    c.sent_packets += p.packets;
    c.sent_bytes += p.bytes;
    std::uint32_t index = 0;
    bool made = false;
    fffa_flow* f = entry_of(p, index, made);
    if (!f) {  // to the ring buffer
      c.accounted_packets += p.packets;
      c.accounted_bytes += p.bytes;
      return;
    }
    require(made != c.in_table);
    if (made) {
      c.in_table = true;
      c.twin = {};
      fffa_begin_flow(&c.twin, p.direction);
      c.twin.key = c.key;
      c.read[0] = c.read[1] = {};
    }
    require(fffa_lock(&f->lock));
    if (p.direction == FFFA_INGRESS) {
      fffa_track(f, &p, FFFA_INGRESS);
    } else {
      fffa_track(f, &p, FFFA_EGRESS);
    }
    if (p.key.encap) fffa_track_tunnel(&tunnels_[index], &p, p.direction);
    fffa_unlock(&f->lock);
    fffa_track(&c.twin, &p, p.direction);
    c.unread[p.direction].add(p);
    check(*f, c);
  }

  void check(const fffa_flow& f, const Connection& c) const {
    for (int d = 0; d < 2; ++d) {
      check_slot(f.slot[d], c.unread[d], c.unread[!d]);
      check_half(f.half[d]);
    }
    require(std::memcmp(f.half, c.twin.half, sizeof f.half) == 0);
    require(f.handshake_us == c.twin.handshake_us && f.syn_ns == c.twin.syn_ns);
    require(f.handshake_us <= (latest_ - earliest_) / 1000 + 1);
  }

  void read_out(const Step& step) {
    fffa_drain_request request{};
    request.flags = step.flags & 1 ? FFFA_DRAIN_NO_DELETE : 0;
    request.idle_ns = step.flags & 2 ? 300'000'000'000 : 0;
    request.linger_ns = step.flags & 4 ? 1'000'000'000 : 0;
    for (std::uint32_t i = 0; i < table_.entries; ++i) {
      if (step.flags & 8 && i != (step.numbers & 3u)) continue;
      fffa_drain_record record;
      const std::uint8_t family = flows_[i].key.family;
      const int drained = fffa_drain_flow(&table_, i, &flows_[i], &tunnels_[i], nullptr, &request, now_, &record);
      require(!(drained & FFFA_DRAINED_BUSY) && (family || !drained));
      require(!(drained & FFFA_DRAINED_DELETED) || !flows_[i].key.family);
      require(!(request.flags & FFFA_DRAIN_NO_DELETE) || !(drained & FFFA_DRAINED_DELETED));
      if (drained & (FFFA_DRAINED_RECORD | FFFA_DRAINED_DELETED)) take(record, drained);
    }
  }

  // What was read out is what the twin has measured, and nothing is left.
  static void check_sum(const Connection& c, int d, const fffa_slot& left) {
    constexpr fffa_slot nothing{};
    require(std::memcmp(&left, &nothing, sizeof left) == 0);
    require(std::memcmp(&c.read[d], &c.twin.slot[d], sizeof left) == 0);
  }

  void take(const fffa_drain_record& record, int drained) {
    Connection& c = connections_[record.key.remote_port - 1000];
    require(fffa_same_key(&record.key, &c.key) && c.in_table);
    for (int d = 0; d < 2; ++d) {
      check_slot(record.slot[d], c.unread[d], c.unread[!d]);
      if (c.key.encap) require(record.tunnel.side[d].bytes == c.unread[d].outer_bytes);
      require(record.last_ns[d] == c.twin.half[d].last_ns && record.seen[d] == c.twin.half[d].seen);
      require(record.window_scale[d] == fffa_window_scale(&c.twin, d));
      require(!record.slot[d].packets || record.slot[d].first_ns <= record.last_ns[d]);
      c.accounted_packets += record.slot[d].packets;
      c.accounted_bytes += record.slot[d].bytes;
      merge(c.read[d], record.slot[d]);
      check_sum(c, d, flows_[record.index].slot[d]);
    }
    c.unread[0] = c.unread[1] = {};
    require(record.handshake_us == c.twin.handshake_us && (!record.handshake_us || c.twin.syn_ns));
    require(((record.flags & FFFA_RECORD_ENDED) != 0) == (fffa_has_ended(&c.twin) != 0));
    require(((record.flags & FFFA_RECORD_DELETED) != 0) == ((drained & FFFA_DRAINED_DELETED) != 0));
    if (drained & FFFA_DRAINED_DELETED) c.in_table = false;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  World world((data[0] & 3) + 1u);
  for (++data, --size; size >= kStepSize; data += kStepSize, size -= kStepSize)
    world.step({data[0], data[1], data[2], data[3], data[4]});
  world.finish();
  return 0;
}
