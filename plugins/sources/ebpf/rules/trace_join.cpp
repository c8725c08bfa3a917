// SPDX-License-Identifier: MIT
#include "trace_join.h"

#include <linux/netfilter.h>

namespace fffa::ebpf {

void TraceJoin::tell(Packet& packet) {
  if (packet.told) return;
  packet.told = true;
  --waiting_;
  done_(packet.packet);
}

void TraceJoin::erase(Order::iterator at) {
  tell(*at);
  by_id_.erase(at->id);
  order_.erase(at);
}

// A packet is known by the first message of fffa's chain: it has the headers before any translation. Another one such
// means that the id is used anew, or that the packet came back by the loopback interface.
TraceJoin::Order::iterator TraceJoin::begin(const TraceEvent& event, TimePoint now) {
  if (const auto known = by_id_.find(event.id); known != by_id_.end()) erase(known->second);
  if (!event.flow) return order_.end();
  if (order_.size() >= kMaxPackets) erase(order_.begin());
  order_.push_back({event.id, {*event.flow, {}}, now, true});
  return by_id_[event.id] = std::prev(order_.end());
}

void TraceJoin::note(Packet& packet, const TraceEvent& event) {
  auto& runs = packet.packet.runs;
  if (event.headers) {
    if (runs.size() >= kMaxRuns) runs.erase(runs.begin());
    runs.push_back({event.family, event.table, event.chain, {}, {}, 0});
  }
  // without the run's first message its base chain is not known
  if (runs.empty() || runs.back().table != event.table || runs.back().family != event.family) return;
  if (event.verdict < 0 || (event.type != TraceEvent::Type::rule && event.type != TraceEvent::Type::policy)) return;
  auto& run = runs.back();
  if (event.type == TraceEvent::Type::rule && !event.handle) return;
  run.chain = event.chain;
  run.handle = event.type == TraceEvent::Type::rule ? event.handle : std::nullopt;
  run.verdict = static_cast<std::uint32_t>(event.verdict) & NF_VERDICT_MASK;
  if (packet.told) ++waiting_;
  packet.told = false;
}

void TraceJoin::add(const TraceEvent& event, TimePoint now) {
  if (is_ours_(event)) {
    if (event.headers) begin(event, now);
    return;
  }
  const auto known = by_id_.find(event.id);
  if (known == by_id_.end()) return;
  const auto at = known->second;
  order_.splice(order_.end(), order_, at);
  at->last = now;
  note(*at, event);
  const auto& runs = at->packet.runs;
  const bool dropped = !runs.empty() && !runs.back().chain.empty() && runs.back().verdict == NF_DROP;
  if (dropped) erase(at);
}

void TraceJoin::settle(TimePoint now) {
  for (auto at = order_.begin(); at != order_.end() && now - at->last >= quiet;) {
    const auto next = std::next(at);
    tell(*at);
    if (now - at->last >= forget_after) erase(at);
    at = next;
  }
}

void TraceJoin::give_up(const std::function<bool(const TracedPacket&)>& which) {
  for (auto at = order_.begin(); at != order_.end();) {
    const auto next = std::next(at);
    if (which(at->packet)) {
      if (!at->told) --waiting_;
      at->told = true;
      erase(at);
    }
    at = next;
  }
}

void TraceJoin::clear() {
  order_.clear();
  by_id_.clear();
  waiting_ = 0;
}

}  // namespace fffa::ebpf
