// SPDX-License-Identifier: MIT
#include "graph_state.h"

#include <algorithm>

#include "sink_node.h"
#include "strand_nodes.h"

namespace fffa::core {

bool is_sink(StageKind kind) noexcept {
  return kind == StageKind::sink || kind == StageKind::async_sink;
}

std::shared_ptr<Node> make_node(StageSpec spec, std::shared_ptr<Services> services) {
  switch (spec.kind) {
    case StageKind::source: return std::make_shared<SourceNode>(std::move(spec), std::move(services));
    case StageKind::enricher: return std::make_shared<EnricherNode>(std::move(spec), std::move(services));
    case StageKind::aggregator: return std::make_shared<AggregatorNode>(std::move(spec), std::move(services));
    case StageKind::sink:
    case StageKind::async_sink: break;
  }
  return std::make_shared<SinkNode>(std::move(spec), std::move(services));
}

StageLog::Places places_of(const Pipeline& pipeline) {
  StageLog::Places places;
  for (const auto& stage : pipeline.stages) {
    places[stage.id] = to_string(stage.at);
    places[buffer_of(stage.id)] = to_string(stage.buffer.at);
  }
  return places;
}

namespace {
Error located_at(const StageSpec& spec, Error error, const Location& at) {
  error.message = with_place(describe(spec) + ": " + error.message, to_string(at));
  return error;
}
}  // namespace

Error located(const StageSpec& spec, Error error) {
  return located_at(spec, std::move(error), spec.at);
}

Result<void> build(Node& node) {
  const auto& spec = node.spec();
  if (auto* sink = dynamic_cast<SinkNode*>(&node)) {
    if (auto opened = sink->open_buffer(); !opened) return located_at(spec, opened.error(), spec.buffer.at);
  }
  const auto built = node.build();
  return built ? Result<void>{} : Result<void>{located(spec, built.error())};
}

namespace {

// The edge that is there already for this input, taken out of `there`; else a new one.
EdgePtr edge_for(const Edge& input, const std::string& from, std::vector<EdgePtr>& there, bool& made) {
  const auto at = std::find_if(there.begin(), there.end(), [&](const EdgePtr& edge) {
    return edge && edge->from_id == from && edge->on_full == input.on_full && edge->capacity == input.capacity &&
           same_filter(edge->when, input.when);
  });
  made = at == there.end();
  return made ? std::make_shared<EdgeState>(input.on_full, input.capacity, from, input.when)
              : std::exchange(*at, nullptr);
}

}  // namespace

void wire(const Graph& graph, const std::vector<const Node*>& fresh) {
  std::vector<std::vector<Node::Target>> outputs(graph.nodes.size());
  std::vector<Node::Target> ends;  // edges that must learn of an end that was before them
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    auto there = graph.nodes[i]->inputs();
    std::vector<Node::Input> inputs;
    for (const auto& input : graph.pipeline.stages[i].inputs) {
      const auto& from = graph.nodes[input.from];
      bool made = false;
      auto edge = edge_for(input, from->id(), there, made);
      outputs[input.from].push_back({graph.nodes[i], edge});
      if (made && from->sent_end()) ends.push_back({graph.nodes[i], edge});
      inputs.push_back({std::move(edge), from, std::find(fresh.begin(), fresh.end(), from.get()) != fresh.end()});
    }
    // A reload may take the last input that was still alive.
    if (graph.nodes[i]->set_inputs(std::move(inputs)))
      ends.push_back({graph.nodes[i], graph.nodes[i]->inputs().front()});
  }
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) graph.nodes[i]->set_outputs(std::move(outputs[i]));
  for (const auto& [node, edge] : ends) {
    Batch end;
    end.watermark = kEndOfInput;
    node->push(edge, BatchRef(std::move(end)), {});
  }
}

// ---- balances

namespace {

bool is_aggregator(const StageSpec& spec) {
  return spec.kind == StageKind::aggregator;
}

// On how many ways each stage reaches stage `sink`; `records`: without passing another aggregator.
std::vector<std::int64_t> ways(const Pipeline& pipeline, std::size_t sink, bool records) {
  std::vector<std::int64_t> count(pipeline.stages.size(), 0);
  count[sink] = 1;
  for (std::size_t i = sink + 1; i-- > 0;) {
    if (records && is_aggregator(pipeline.stages[i])) continue;
    for (const auto& input : pipeline.stages[i].inputs) count[input.from] += count[i];
  }
  return count;
}

// A source that does not keep what is not acknowledged.
bool forgets(const StageSpec& spec) {
  return spec.kind == StageKind::source && !(spec.stage_type && spec.stage_type->reads_again);
}

Tally pick(const Tally& records, const Tally& volume) {
  return {records.records, volume.packets, volume.bytes};
}

std::string text(const char* name, const Tally& t) {
  return std::string(name) + " " + std::to_string(t.packets) + " packets " + std::to_string(t.bytes) + " bytes " +
         std::to_string(t.records) + " records";
}

}  // namespace

std::string to_string(const Balance& b) {
  std::string line = text("seen", b.seen) + (b.restored.empty() ? "" : " + " + text("restored", b.restored)) + " = " +
                     text("delivered", b.delivered) + " + " + text("filtered", b.filtered) + " + " +
                     text("lost", b.lost) + " + " + text("held", b.held);
  if (!b.kept.empty()) line += "; " + text("waits in the buffer for the next start:", b.kept);
  if (!b.again.empty()) line += "; " + text("is read again from the source:", b.again);
  if (!b.unaccounted().empty()) line += "; " + text("unaccounted for:", b.unaccounted());
  return line;
}

Ledger::Entry Ledger::entry_of(const Node& node) {
  Entry entry{{}, {}, node.sent(), node.filtered(), node.lost(), node.held(), node.restored(), node.kept()};
  if (const auto* source = dynamic_cast<const SourceNode*>(&node)) {
    entry.seen = source->seen();
    entry.made = source->received();
    entry.filtered += source->filtered_before();
    entry.lost += source->lost_before();
  } else if (is_aggregator(node.spec())) {
    entry.made = node.sent();
  }
  return entry;
}

Ledger::Snapshot Ledger::snapshot(const Graph& graph) {
  Snapshot entries;
  for (const auto& node : graph.nodes) entries.emplace(node.get(), entry_of(*node));
  return entries;
}

// What was counted since the last change; held is what there is now.
Balance Ledger::since(std::size_t sink, const Snapshot& now) const {
  const auto volumes = ways(graph_.pipeline, sink, false);
  const auto records = ways(graph_.pipeline, sink, true);
  Balance balance;
  for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
    const Entry& at = now.at(graph_.nodes[i].get());
    const Entry& then = baseline_.at(graph_.nodes[i].get());
    // What an aggregator lost or holds are not records of those that it made.
    const auto own = is_aggregator(graph_.pipeline.stages[i]) ? 0 : records[i];
    const auto add = [&](Tally& to, const Tally& tally, std::int64_t ways_of_records) {
      to += pick(ways_of_records * tally, volumes[i] * tally);
    };
    add(balance.seen, pick(at.made - then.made, at.seen - then.seen), records[i]);
    add(balance.filtered, at.filtered - then.filtered, own);
    add(balance.lost, at.lost - then.lost, own);
    add(balance.held, at.held, own);
    if (i != sink) continue;
    balance.delivered = at.delivered - then.delivered;
    balance.restored = at.restored - then.restored;
    balance.kept = at.kept;
  }
  if (reads_again(volumes)) balance.again = balance.held - balance.kept;
  if (const auto at = carried_.find(graph_.nodes[sink]->id()); at != carried_.end()) {
    balance.seen += at->second.seen;
    balance.restored += at->second.restored;
    balance.delivered += at->second.delivered;
    balance.filtered += at->second.filtered;
    balance.lost += at->second.lost;
  }
  return balance;
}

// What a sink holds comes again: every source that it is from reads it again.
bool Ledger::reads_again(const std::vector<std::int64_t>& ways_to_sink) const {
  for (std::size_t i = 0; i < ways_to_sink.size(); ++i)
    if (ways_to_sink[i] > 0 && forgets(graph_.pipeline.stages[i])) return false;
  return std::ranges::all_of(former_, [](const auto& channel) { return channel->unacknowledged() == 0; });
}

void Ledger::part(const Graph& graph, std::size_t before, std::size_t now) {
  const auto then = ways(graph_.pipeline, before, false);
  const auto still = ways(graph.pipeline, now, false);
  for (std::size_t i = 0; i < then.size(); ++i) {
    if (then[i] == 0 || !forgets(graph_.pipeline.stages[i])) continue;
    const auto at = std::ranges::find(graph.nodes, graph_.nodes[i]);
    if (at != graph.nodes.end() && still[static_cast<std::size_t>(at - graph.nodes.begin())] > 0) continue;
    const auto channels = static_cast<const SourceNode&>(*graph_.nodes[i]).channels();
    former_.insert(former_.end(), channels.begin(), channels.end());
  }
}

Tally Ledger::on_the_way(const Graph& graph, std::size_t sink, const Snapshot& now) {
  const auto volumes = ways(graph.pipeline, sink, false);
  Tally sum;
  for (std::size_t i = 0; i < sink; ++i) {
    const auto at = now.find(graph.nodes[i].get());
    if (at != now.end()) sum += pick({}, volumes[i] * at->second.held);
  }
  return sum;
}

std::map<std::string, Balance> Ledger::balances() const {
  std::map<std::string, Balance> all;
  const auto now = snapshot(graph_);
  for (std::size_t i = 0; i < graph_.nodes.size(); ++i)
    if (is_sink(graph_.pipeline.stages[i].kind)) all.emplace(graph_.nodes[i]->id(), since(i, now));
  return all;
}

void Ledger::change(const Graph& graph, const AckChannels& former) {
  forget_acknowledged(former_);
  former_.insert(former_.end(), former.begin(), former.end());
  // One snapshot ends the old account and begins the new one: sinks go on delivering meanwhile.
  auto now = snapshot(graph_);
  std::map<std::string, Balance> carried;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!is_sink(graph.pipeline.stages[i].kind)) continue;
    auto& balance = carried[graph.nodes[i]->id()];
    // What is on the way crosses over: a sink that it reaches on more (or fewer) ways than before has that much more to
    // see.
    balance.seen = on_the_way(graph, i, now);
    const auto old = std::find(graph_.nodes.begin(), graph_.nodes.end(), graph.nodes[i]);
    if (old == graph_.nodes.end()) continue;
    const auto place = static_cast<std::size_t>(old - graph_.nodes.begin());
    const Tally crossing = balance.seen - on_the_way(graph_, place, now);
    balance = since(place, now);
    balance.seen += crossing;
    part(graph, place, i);
  }
  for (const auto& node : graph.nodes)
    if (!now.contains(node.get())) now.emplace(node.get(), entry_of(*node));
  graph_ = graph;
  baseline_ = std::move(now);
  carried_ = std::move(carried);
}

}  // namespace fffa::core
