// SPDX-License-Identifier: MIT
// The running graph: its nodes, how they are wired, and the balance of every sink.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "graph/pipeline.h"
#include "node.h"
#include "source_node.h"

namespace fffa::core {

// Of one sink: seen (+ restored) = delivered + filtered + lost + held, in packets and bytes of everything that its
// sources saw, and in records of those that the last aggregator (or source) before it made. Where a stage reaches the
// sink on several ways, each way counts.
struct Balance {
  Tally seen, delivered, filtered, lost, held;
  Tally restored;  // what an earlier run left in the sink's buffer: beside what was seen
  Tally kept;      // of what is held: on disk, for the next start
  Tally again;     // of what else is held: its sources read it again (StageType::reads_again)
  Tally unaccounted() const noexcept { return seen + restored - delivered - filtered - lost - held; }
  bool complete() const noexcept { return lost.empty() && held == kept + again; }
};
std::string to_string(const Balance& balance);

struct Graph {
  Pipeline pipeline;
  std::vector<std::shared_ptr<Node>> nodes;  // one a stage, in the same order

  template <typename T, typename F>
  void each(F&& function) const {
    for (const auto& node : nodes)
      if (auto* found = dynamic_cast<T*>(node.get())) function(*found);
  }
};

bool is_sink(StageKind kind) noexcept;
std::shared_ptr<Node> make_node(StageSpec spec, std::shared_ptr<Services> services);
// Where its stages and their buffers stand.
StageLog::Places places_of(const Pipeline& pipeline);
// The error of a stage that does not get as far as to speak for itself: says which it is, and its place.
Error located(const StageSpec& spec, Error error);
Result<void> build(Node& node);  // opens a sink's buffer as well, unless it has it; errors are located
// Connects the nodes as the pipeline says. Edges that were there stay, with what is queued; a new edge from a node that
// has ended brings its end, and so does the loss of the last input that had not. `fresh` producers begin anew. Nothing
// flows meanwhile.
void wire(const Graph& graph, const std::vector<const Node*>& fresh = {});

// The balances over the life of the run, through changes of the graph. Not thread-safe.
class Ledger {
 public:
  // The graph is now this one. Meanwhile sources and everything between them and the sinks rest; sinks may go on. Call
  // before old nodes go. `former`: of sources that were removed or changed.
  void change(const Graph& graph, const AckChannels& former = {});
  // Of the sinks of the graph of the last change().
  std::map<std::string, Balance> balances() const;

 private:
  struct Entry {  // what a node counted
    Tally seen, made, delivered, filtered, lost, held, restored, kept;
  };
  using Snapshot = std::map<const Node*, Entry>;
  Graph graph_;
  Snapshot baseline_;                       // at the last change
  std::map<std::string, Balance> carried_;  // up to the last change, by sink
  AckChannels former_;                      // of what sinks may still hold, though no source before them reads it again

  static Entry entry_of(const Node& node);
  static Snapshot snapshot(const Graph& graph);
  Balance since(std::size_t sink, const Snapshot& now) const;
  bool reads_again(const std::vector<std::int64_t>& ways_to_sink) const;
  // A sink that the graph has in another place, `now`, may hold what came from sources that do not reach it any more.
  void part(const Graph& graph, std::size_t before, std::size_t now);
  // What waits before the sink, but for what waits at it.
  static Tally on_the_way(const Graph& graph, std::size_t sink, const Snapshot& now);
};

}  // namespace fffa::core
