// SPDX-License-Identifier: MIT
// Reading out more often changes no total: however a sequence of packets is cut by read-outs, and in whatever order the
// records of its parts are merged, the result is that of one read-out at the end, in every field of the field table.
//
// Two things are outside that promise, and not made here. "Not there" is no value that could win over an earlier one:
// a tag or an id that stops, or a connection that begins anew and is not answered, keeps what was known before. And
// what both directions share (state, handshake, scale) is as of a direction's last record, so that here both send at
// the end. Where a read-out comes between the last packets (and round trips may come after them), it is the totals that
// are promised: counters, extremes and flags.
#include <fffa_bpf/host_table.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fffa/fields.h"
#include "fffa_engine/records.h"

namespace fffa::engine {
namespace {

constexpr std::uint32_t kFlows = 6, kEntries = 16;
enum Kind : std::uint32_t { tcp, tcp6_tagged, tcp_in_tunnel, udp, tcp_from_its_middle, icmp };
enum Flag : std::uint8_t { fin = 1, syn = 2, rst = 4, psh = 8, ack = 16, urg = 32, ece = 64, cwr = 128 };

// Packets of several flows, interleaved; no two at the same time.
class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {
    for (auto& flow : next_)
      for (auto& next : flow) next = static_cast<std::uint32_t>(random_());
  }

  std::vector<fffa_packet> body() {
    for (const std::uint32_t flow : {tcp, tcp6_tagged, tcp_in_tunnel}) handshake(flow);
    while (packets_.size() < 400) {
      const std::uint32_t flow = below(kFlows);
      const int direction = static_cast<int>(below(2));
      if (!is_tcp(flow) || below(40) != 0) {
        any(flow, direction);
      } else if (flow != tcp_from_its_middle) {
        send(flow, direction, below(2) ? fin | ack : rst);
        if (below(2)) handshake(flow);  // the tuple is used again
      }
    }
    return std::move(packets_);
  }
  // The last that every direction sends.
  std::vector<fffa_packet> end() {
    packets_.clear();
    for (std::uint32_t flow = 0; flow < kFlows; ++flow)
      for (const int direction : {0, 1}) send(flow, direction, ack);
    return std::move(packets_);
  }
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  std::mt19937& random() { return random_; }

 private:
  std::mt19937 random_;
  std::uint64_t now_ = 1'000'000'000;
  std::array<std::array<std::uint32_t, 2>, kFlows> next_{};
  std::vector<fffa_packet> packets_;

  static bool is_tcp(std::uint32_t flow) { return flow != udp && flow != icmp; }

  static fffa_flow_key key_of(std::uint32_t flow) {
    fffa_flow_key key{};
    key.family = flow == tcp6_tagged ? 6 : 4;
    key.proto = flow == udp ? IPPROTO_UDP : flow == icmp ? IPPROTO_ICMP : IPPROTO_TCP;
    key.remote_addr.v4 = 0x0100000a;
    key.local_addr.v4 = 0x0200000a;
    if (key.family == 6) key.remote_addr.words[1] = key.local_addr.words[1] = 0x2;
    key.ifindex = 3;
    key.remote_port = static_cast<std::uint16_t>(40000 + flow);
    key.local_port = 443;
    if (flow == tcp_in_tunnel) {
      key.encap = FFFA_ENCAP_GENEVE;
      key.encap_depth = 1;
      key.vni = 77;
    }
    return key;
  }

  void add_tunnel(fffa_packet& p) {
    p.outer_bytes = p.bytes + 68;
    p.outer.family = 4;
    p.outer.src.v4 = static_cast<std::uint32_t>(random_());  // the latest packet's counts
    p.outer.dst.v4 = static_cast<std::uint32_t>(random_());
    p.outer.src_port = static_cast<std::uint16_t>(random_());
    p.outer.dst_port = 6081;
    p.outer.gwlb = FFFA_GWLB_ENDPOINT | FFFA_GWLB_ATTACHMENT | FFFA_GWLB_COOKIE;
    p.outer.gwlb_endpoint = random_();
    p.outer.gwlb_attachment = random_();
    p.outer.gwlb_cookie = static_cast<std::uint32_t>(random_());
  }

  fffa_packet& add(std::uint32_t flow, int direction, std::uint32_t payload) {
    constexpr std::uint64_t kGaps[] = {1'000, 20'000, 300'000, 4'000'000, 250'000'000};
    now_ += 1 + random_() % kGaps[below(std::size(kGaps))];
    fffa_packet& p = packets_.emplace_back();
    p = {};
    p.key = key_of(flow);
    p.time_ns = now_;
    p.direction = static_cast<std::uint8_t>(direction);
    p.packets = 1 + (below(10) == 0 ? below(4) : 0);
    p.payload = payload;
    p.bytes = p.packets * 40 + payload;
    p.ecn = below(4) == 0 ? static_cast<std::uint8_t>(below(4)) : 0;
    p.at_sender = below(8) == 0;
    if (flow == tcp6_tagged) p.vlan = static_cast<std::uint16_t>(FFFA_VLAN_PRESENT | (1 + below(4)));
    if (flow == tcp_in_tunnel) add_tunnel(p);
    return p;
  }

  // Sends `payload` bytes that begin `before` the end of what was sent, and acknowledges all but `missing` bytes.
  void send(std::uint32_t flow, int direction, int flags, std::uint32_t payload = 0, std::uint32_t before = 0,
            std::uint32_t missing = 0) {
    fffa_packet& p = add(flow, direction, payload);
    if (!is_tcp(flow)) return;
    std::uint32_t& next = next_[flow][static_cast<unsigned>(direction)];
    p.tcp = 1;
    p.flags = static_cast<std::uint8_t>(flags);
    p.seq = next - before;
    p.ack = next_[flow][static_cast<unsigned>(1 - direction)] - missing;
    p.window = static_cast<std::uint16_t>((flow == tcp ? 0 : 500) + below(3) * 1000);
    p.scale = FFFA_NO_OFFER;
    if ((flags & syn) != 0) p.scale = static_cast<std::uint8_t>(below(8));
    if (payload == 0 && below(8) == 0) p.sack = static_cast<std::uint16_t>(1 + below(3));
    const std::uint32_t end = p.seq + payload + ((flags & (syn | fin)) != 0);
    if (static_cast<std::int32_t>(end - next) > 0) next = end;
  }

  void handshake(std::uint32_t flow) {
    for (auto& next : next_[flow]) next += 1'000'000 + below(1'000'000);
    send(flow, 0, syn | (below(4) == 0 ? ece | cwr : 0));
    if (below(4) == 0) send(flow, 0, syn, 0, 1);  // again
    send(flow, 1, syn | ack);
    send(flow, 0, ack);
  }

  void any(std::uint32_t flow, int direction) {
    constexpr int kFlags[] = {ack, ack, ack, ack | psh, ack | psh, ack | ece, ack | cwr, ack | urg};
    const int flags = kFlags[below(std::size(kFlags))];
    const std::uint32_t payload = below(3) == 0 ? 0 : 100 * (1 + below(3));
    const std::uint32_t missing = below(3) == 0 ? 100 * below(4) : 0;
    switch (below(6)) {
      case 0: return send(flow, direction, flags, payload, 100 * below(6), missing);       // again
      case 1: return send(flow, direction, flags, payload, 0u - 100 * below(4), missing);  // a hole
      case 2: return send(flow, direction, ack, 0, 0, 100);                                // a duplicate
      default: return send(flow, direction, flags, payload, 0, missing);
    }
  }
};

// The engine over a table of its own.
class Engine {
 public:
  Engine() {
    table_.flows = flows_.data();
    table_.buckets = buckets_.data();
    table_.entries = kEntries;
    table_.bucket_mask = fffa_bucket_count(kEntries) - 1;
    for (std::uint32_t i = 0; i < FFFA_HASH_SEEDS; ++i) table_.seeds[i] = 0x9e3779b9u * (i + 1);
  }

  void count(const fffa_packet& p) {
    const int inserted = fffa_table_insert(&table_, &p.key, p.direction);  // finds it too
    ASSERT_GE(inserted, 0);
    const auto index = static_cast<std::size_t>(inserted);
    fffa_track(&flows_[index], &p, p.direction);
    if (p.key.encap != 0) fffa_track_tunnel(&tunnels_[index], &p, p.direction);
  }

  // Of the entries whose bit is set.
  void read_out(std::uint32_t which, std::vector<FlowRecord>& out) {
    fffa_drain_request request{};
    request.flags = FFFA_DRAIN_NO_DELETE;
    constexpr TimeNs kOffset = 1'700'000'000'000'000'000;
    for (std::uint32_t i = 0; i < kEntries; ++i) {
      if ((which >> i & 1) == 0) continue;
      fffa_drain_record record;
      const int drained = fffa_drain_flow(&table_, i, &flows_[i], &tunnels_[i], nullptr, &request, 0, &record);
      if ((drained & FFFA_DRAINED_RECORD) != 0) append_records(record, {Text{1}, Text{2}, 3}, kOffset, out);
    }
  }

 private:
  std::array<fffa_flow, kEntries> flows_{};
  std::array<fffa_bucket, kEntries> buckets_{};
  std::array<fffa_tunnel, kEntries> tunnels_{};
  fffa_table table_{};
};

// The records of each flow merged, always two that chance picks.
std::vector<FlowRecord> merged(std::vector<FlowRecord> records, Generator& chance) {
  std::vector<FlowRecord> flows;
  while (!records.empty()) {
    const FlowKey key = identity(records.back());
    const auto rest =
        std::partition(records.begin(), records.end(), [&](const FlowRecord& r) { return !(identity(r) == key); });
    std::vector<FlowRecord> parts(rest, records.end());
    records.erase(rest, records.end());
    while (parts.size() > 1) {
      std::swap(parts[chance.below(static_cast<std::uint32_t>(parts.size()))], parts.back());
      const FlowRecord other = parts.back();
      parts.pop_back();
      merge(parts[chance.below(static_cast<std::uint32_t>(parts.size()))], other);
    }
    flows.push_back(parts[0]);
  }
  return flows;
}

std::string show(const Value& value) {
  std::string text = std::to_string(static_cast<int>(value.kind)) + ":" + std::to_string(value.number) + ":" +
                     std::string(value.name) + ":" + std::to_string(static_cast<std::uint32_t>(value.handle));
  if (value.address != nullptr)
    for (const std::uint8_t byte : *value.address) text += "." + std::to_string(byte);
  return text;
}

// Sums are in whole microseconds, of each record its own: how far one may be off, and the mean that is made of it.
std::uint64_t rounding(std::string_view name, const FlowRecord& whole) {
  if (name == "rtt_sum_us") return whole.rtt_samples;
  if (name == "jitter_sum_us") return whole.jitter_samples;
  return name == "avg_rtt_us" || name == "avg_jitter_us" ? 1 : 0;
}

bool is_total(const Field& field) {
  switch (field.merge) {
    case MergeRule::key:
    case MergeRule::add:
    case MergeRule::bit_or:
    case MergeRule::minimum:
    case MergeRule::maximum: return true;
    default: return field.name == "avg_rtt_us" || field.name == "avg_jitter_us";
  }
}

void expect_same(const FlowRecord& parts, const FlowRecord& whole, bool totals, std::set<std::string_view>& told) {
  for (const Field& field : fields()) {
    if (totals && !is_total(field)) continue;
    const Value mine = field.get(parts), expected = field.get(whole);
    if (const auto off = rounding(field.name, whole); off != 0 && mine.kind == Value::Kind::number) {
      EXPECT_EQ(mine.kind, expected.kind) << field.name;
      EXPECT_LE(mine.number, expected.number + off) << field.name;
      EXPECT_GE(mine.number + off, expected.number) << field.name;
    } else {
      EXPECT_EQ(show(mine), show(expected)) << field.name;
    }
    if (expected.kind != Value::Kind::null && (expected.number != 0 || expected.kind == Value::Kind::name))
      told.insert(field.name);
  }
}

// What the test says something of: all that this engine measures.
void expect_told(const std::set<std::string_view>& told) {
  const std::set<std::string_view> elsewhere = {"cumulative",      "incomplete",  "sequence",
                                                "flow_end_reason", "drop_reason", "drops"};
  for (const Field& field : fields()) {
    const bool measured = field.merge == MergeRule::add || field.merge == MergeRule::bit_or ||
                          field.merge == MergeRule::minimum || field.merge == MergeRule::maximum;
    const bool other =
        elsewhere.contains(field.name) || field.name.starts_with("netfilter_") || field.name.starts_with("refused_");
    if (!measured || other) continue;
    EXPECT_TRUE(told.contains(field.name)) << field.name << " was never anything but 0";
  }
  for (const char* name : {"conn_state", "handshake_latency_us", "last_window_size", "window_scale", "initiator",
                           "vlan_id", "gwlb_endpoint_id", "gwlb_attachment_id", "gwlb_flow_cookie", "src_port"})
    EXPECT_TRUE(told.contains(name)) << name;
}

// One sequence of packets. What it was that the fields told of goes to `told`.
void cut_and_merge(unsigned seed, std::set<std::string_view>& told) {
  Generator generator(seed);
  std::vector<fffa_packet> packets = generator.body();
  const std::size_t body = packets.size();
  const bool cut_end = generator.below(3) == 0;
  for (const auto& packet : generator.end()) packets.push_back(packet);
  const std::uint32_t cuts = generator.below(3) == 0 ? 1 : generator.below(60);
  std::vector<std::uint32_t> at(packets.size() + 1);  // how often it is read out before this packet
  const auto places = static_cast<std::uint32_t>(cut_end ? at.size() : body + 1);
  for (std::uint32_t i = 0; i < cuts; ++i) ++at[generator.below(places)];
  if (cut_end) at[body + generator.below(2 * kFlows)] = 1;

  auto cut = std::make_unique<Engine>(), uncut = std::make_unique<Engine>();
  std::vector<FlowRecord> parts, wholes;
  for (std::size_t i = 0; i <= packets.size(); ++i) {
    for (; at[i] != 0; --at[i]) cut->read_out(generator.below(2) ? ~0u : generator.below(1u << kEntries), parts);
    if (i == packets.size()) break;
    cut->count(packets[i]);
    uncut->count(packets[i]);
  }
  cut->read_out(~0u, parts);
  uncut->read_out(~0u, wholes);
  ASSERT_EQ(wholes.size(), 2 * kFlows);

  for (int order = 0; order < 3; ++order) {
    const auto flows = merged(parts, generator);
    ASSERT_EQ(flows.size(), wholes.size());
    for (const auto& whole : wholes) {
      const auto same =
          std::find_if(flows.begin(), flows.end(), [&](const FlowRecord& r) { return identity(r) == identity(whole); });
      ASSERT_NE(same, flows.end());
      expect_same(*same, whole, cut_end, told);
    }
  }
}

TEST(Mergeable, CutsAndOrderChangeNoTotal) {
  std::set<std::string_view> told;
  for (unsigned seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    cut_and_merge(seed, told);
    if (HasFailure()) return;
  }
  expect_told(told);
}

}  // namespace
}  // namespace fffa::engine
