// SPDX-License-Identifier: MIT
// Reload: from one running graph to another, without losing anything on the way.
//
// Sources wait (a kernel table goes on merging meanwhile). First all is built that shares no resource with an old stage
// that changes or goes, and new sources are started: where that fails, nothing of the old graph was touched. Then old
// sources end and what is on its way runs dry; aggregators that change put out what they hold; stages that change are
// closed and destroyed. Last come those that had to wait, so that two owners of one resource never overlap, and
// sources that changed are started. Batches that wait for a sink wait for the sink's successor of the same id. Where a
// late step fails, the old stages are built again. A source that reads its input once is not touched while it runs.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "graph_state.h"
#include "services.h"

namespace fffa::core {

// True where a stage may keep running: equal but for places in files. Inputs are compared by the ids of their stages.
bool same_stage(const Pipeline& a, std::size_t i, const Pipeline& b, std::size_t j);

struct Reload {
  std::shared_ptr<Services> services;
  Graph& graph;
  Ledger& ledger;
  std::mutex& mutex;                  // of graph and ledger
  std::function<void()> after_start;  // for the threads of new sources
  // --- the plan
  struct Step {
    std::shared_ptr<Node> node;
    StageSpec before, after;  // removed: no after; added: no before
    bool removed = false, added = false;
    bool down = false;   // its old stage is gone
    bool early = false;  // its new stage is built while the old graph is whole
    bool spent = false;  // removed, a source that has read its input: it stays until all has gone well
    std::optional<Node::Made> made = std::nullopt;
    Monotonic::time_point left{};                // a source: when it was told to stop
    AckChannels brought = {};                    // and what it had emitted by then
    Error failed(const std::string& how) const;  // located: where the stage stands now, or stood
  };
  std::vector<Step> steps;  // what changes, in topological order
  Graph next;

  // What was done, for the log; or why it was not, and then the old graph runs on.
  Result<std::string> run(Pipeline pipeline);

 private:
  void plan(Pipeline pipeline);  // sources are paused
  Result<void> permitted();
  Result<void> prepare();
  Result<void> launch(const std::function<bool(const Step&)>& which);  // sources, as far as start()
  Result<void> come_to_rest();
  Result<void> take_down();
  Result<void> take_down_sink(Step& step);
  Result<void> bring_up();
  void commit();
  void restore();
  void resume(const Graph& running);
  void tell_gap(const Step& step);
  std::string summary() const;
};

}  // namespace fffa::core
