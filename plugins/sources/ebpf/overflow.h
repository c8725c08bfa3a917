// SPDX-License-Identifier: MIT
// Packets that found no place in the kernel's table, merged per connection until they can be reported.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "fffa_bpf/types.h"

namespace fffa::ebpf {

struct FlowKeyHash {
  std::size_t operator()(const fffa_flow_key& key) const noexcept;
};
struct FlowKeyEqual {
  bool operator()(const fffa_flow_key& a, const fffa_flow_key& b) const noexcept;
};

// Bounded. One thread.
class Overflow {
 public:
  explicit Overflow(std::size_t max_flows) : max_flows_(max_flows) {}

  // An event for which there is no room must stay in the ring.
  bool full() const noexcept { return flows_.size() >= max_flows_; }
  bool empty() const noexcept { return pending_ == 0; }
  std::size_t flows() const noexcept { return flows_.size(); }

  // Takes an FFFA_EVENT_PACKET in. Takes it in any case: check full() before.
  void add(const fffa_event& event);

  // Moves what is held of this connection into `record`, which the table reported: one flow, one record.
  void fold_into(fffa_drain_record& record);

  // Calls visit(record, partial) for every flow with something to report, and empties it; forgets those that had
  // nothing. `partial`: the kernel's table knows the connection too, and what state it is in.
  template <typename Visit>
  void drain(Visit visit) {
    for (auto it = flows_.begin(); it != flows_.end();) {
      auto& flow = it->second;
      if (!flow.active) {
        it = flows_.erase(it);
        continue;
      }
      visit(static_cast<const fffa_drain_record&>(flow.record), flow.partial);
      reset(flow);
      ++it;
    }
    pending_ = 0;
  }

 private:
  struct Flow {
    fffa_drain_record record{};
    bool active = false;  // has packets to report
    bool partial = true;  // every packet was diverted because the entry was busy
  };
  static void reset(Flow& flow) noexcept;

  std::unordered_map<fffa_flow_key, Flow, FlowKeyHash, FlowKeyEqual> flows_;
  std::size_t max_flows_;
  std::size_t pending_ = 0;  // flows with something to report
};

}  // namespace fffa::ebpf
