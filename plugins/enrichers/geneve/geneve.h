// SPDX-License-Identifier: MIT
// The enricher `geneve`: how records of encapsulated flows look, and names for the ids of their tunnels.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "config.h"
#include "fffa/plugin.h"

namespace fffa::geneve {

class Geneve final : public Enricher {
 public:
  Geneve(const Config& config, StageContext& context);
  static void check(const Config& config, Checker& checker);
  Result<void> enrich(Batch& batch) override;

 private:
  // Names of one kind of id, and the label that they go to.
  struct Table {
    Text label{};
    std::unordered_map<std::uint64_t, Text> names;
    void name(std::uint64_t id, FlowRecord& record) const noexcept;
  };
  View view_;
  Tunnel tunnel_;
  Table vni_, gwlb_endpoint_, gwlb_attachment_;

  void name(FlowRecord& record) const noexcept;
};

}  // namespace fffa::geneve
