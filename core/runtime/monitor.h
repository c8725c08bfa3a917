// SPDX-License-Identifier: MIT
// The watchdog, and the gauges that are read off the running graph.
#pragma once

#include <map>
#include <memory>

#include "graph_state.h"
#include "services.h"

namespace fffa::core {

// Names, once per occurrence, a stage whose call lasts longer than Tuning::slow_call, and says when it came back. One
// thread.
class Watchdog {
 public:
  explicit Watchdog(std::shared_ptr<Services> services) : services_(std::move(services)) {}
  void look(const Graph& graph);

 private:
  std::shared_ptr<Services> services_;
  std::map<std::string, std::int64_t> named_;  // by stage: since when the call that was named goes on
};

// Refreshes the gauges: queues, watermark lag, unacknowledged batches, balances, text table.
void refresh_gauges(Services& services, const Graph& graph, const Ledger& ledger);

}  // namespace fffa::core
