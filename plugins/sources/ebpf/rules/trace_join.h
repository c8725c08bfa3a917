// SPDX-License-Identifier: MIT
// Trace messages of one packet, joined: which base chains it ran through and how each of them ended.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "rule_tracer.h"

namespace fffa::ebpf {

// One message, as the kernel sends it.
struct TraceEvent {
  enum class Type : std::uint8_t { other, policy, return_, rule };
  std::uint32_t id = 0;
  Type type = Type::other;
  std::uint8_t family = 0;  // NFPROTO_* of the table
  std::string table;
  std::string chain;
  std::optional<std::uint64_t> handle;
  std::int32_t verdict = -1;       // negative: the packet goes on within the base chain
  std::optional<TracedFlow> flow;  // from the headers: only in the first message of a base chain, if complete
  bool headers = false;            // the first message of a base chain
};

// One base chain.
struct TraceRun {
  std::uint8_t family = 0;
  std::string table;
  std::string base_chain;
  // how it ended; no chain: it did not, as far as is known
  std::string chain;
  std::optional<std::uint64_t> handle;  // none: the policy
  std::uint32_t verdict = 0;            // NF_DROP, ...; the queue's number is left out
};

struct TracedPacket {
  TracedFlow flow;
  std::vector<TraceRun> runs;
};

// Messages have no end mark: a packet is done when it was dropped, when its id comes up anew, or after `quiet`. More
// messages of the same id then make it done once more, with all its runs, until `forget_after`: a queued packet may
// come back late. Bounded: at most kMaxPackets are joined at a time, of at most kMaxRuns base chains each.
class TraceJoin {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kMaxPackets = 4096;
  static constexpr std::size_t kMaxRuns = 32;
  static constexpr std::chrono::milliseconds quiet{10};
  static constexpr std::chrono::milliseconds forget_after{2000};

  // `is_ours`: whether a table is fffa's own (the name of an inet table).
  // `done` is called from add() and settle().
  TraceJoin(std::function<bool(const TraceEvent&)> is_ours, std::function<void(const TracedPacket&)> done)
      : is_ours_(std::move(is_ours)), done_(std::move(done)) {}

  void add(const TraceEvent& event, TimePoint now);
  void settle(TimePoint now);
  // Something waits for settle().
  bool waiting() const noexcept { return waiting_ > 0; }
  std::size_t size() const noexcept { return order_.size(); }
  // Messages were lost: what is half known is given up.
  void clear();
  // Likewise of the packets for which `which` holds.
  void give_up(const std::function<bool(const TracedPacket&)>& which);

 private:
  struct Packet {
    std::uint32_t id = 0;
    TracedPacket packet;
    TimePoint last;
    bool told = true;
  };
  using Order = std::list<Packet>;

  void tell(Packet& packet);
  Order::iterator begin(const TraceEvent& event, TimePoint now);
  void erase(Order::iterator at);
  void note(Packet& packet, const TraceEvent& event);

  std::function<bool(const TraceEvent&)> is_ours_;
  std::function<void(const TracedPacket&)> done_;
  Order order_;  // oldest message first
  std::unordered_map<std::uint32_t, Order::iterator> by_id_;
  std::size_t waiting_ = 0;
};

}  // namespace fffa::ebpf
