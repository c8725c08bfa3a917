// SPDX-License-Identifier: MIT
// A bounded map by flow: the entry that was used longest ago makes room.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <list>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "rule_tracer.h"

namespace fffa::ebpf {

struct TracedFlowHash {
  std::size_t operator()(const TracedFlow& flow) const noexcept {
    const auto& t = flow.tuple;
    std::array<char, 42> bytes{};
    std::memcpy(bytes.data(), t.src.data(), 16);
    std::memcpy(bytes.data() + 16, t.dst.data(), 16);
    std::memcpy(bytes.data() + 32, &t.src_port, 2);
    std::memcpy(bytes.data() + 34, &t.dst_port, 2);
    std::memcpy(bytes.data() + 36, &flow.in_ifindex, 4);
    bytes[40] = static_cast<char>(t.protocol);
    bytes[41] = static_cast<char>(t.family);
    return std::hash<std::string_view>()({bytes.data(), bytes.size()});
  }
};

template <typename Value>
class FlowMemory {
 public:
  explicit FlowMemory(std::size_t limit) : limit_(limit) {}

  Value* find(const TracedFlow& flow) {
    const auto found = index_.find(flow);
    if (found == index_.end()) return nullptr;
    order_.splice(order_.end(), order_, found->second);
    return &found->second->second;
  }
  void put(const TracedFlow& flow, Value value) {
    if (Value* known = find(flow)) {
      *known = std::move(value);
      return;
    }
    if (order_.size() >= limit_ && !order_.empty()) erase(order_.front().first);
    order_.emplace_back(flow, std::move(value));
    index_[flow] = std::prev(order_.end());
  }
  void erase(const TracedFlow& flow) {
    const auto found = index_.find(flow);
    if (found == index_.end()) return;
    const auto at = found->second;
    index_.erase(found);
    order_.erase(at);
  }
  std::size_t size() const noexcept { return order_.size(); }

 private:
  using Order = std::list<std::pair<TracedFlow, Value>>;
  std::size_t limit_;
  Order order_;
  std::unordered_map<TracedFlow, typename Order::iterator, TracedFlowHash> index_;
};

}  // namespace fffa::ebpf
