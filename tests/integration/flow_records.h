// SPDX-License-Identifier: MIT
// JSON records of a run, gathered by flow: what several of them say of one flow, added up.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "probes.h"

namespace fffa::integration {

// The records of one flow, on one interface, in one direction, as they were emitted.
class FlowRecords {
 public:
  void add(nlohmann::json record) { records_.push_back(std::move(record)); }
  bool empty() const { return records_.empty(); }
  const std::vector<nlohmann::json>& all() const { return records_; }
  // Of a counter; null counts nothing.
  std::uint64_t sum(const char* field) const;
  // The last one that is not null, or null.
  nlohmann::json last(const char* field) const;
  // All that are not null.
  std::set<nlohmann::json> values(const char* field) const;

 private:
  std::vector<nlohmann::json> records_;
};

class RunRecords {
 public:
  // Throws if a line is not JSON in UTF-8, or lacks the fields that identify its flow.
  explicit RunRecords(const std::string& lines);
  // `proto` as records name it. ICMP: the tuple's destination port is type * 256 + code.
  FlowRecords of(std::string_view proto, const Tuple& flow, std::string_view direction,
                 std::string_view interface) const;
  const std::map<std::string, FlowRecords>& by_flow() const { return by_flow_; }
  // Over all flows seen on an interface in a direction.
  std::uint64_t sum(const char* field, std::string_view direction, std::string_view interface) const;

 private:
  std::map<std::string, FlowRecords> by_flow_;
};

}  // namespace fffa::integration
