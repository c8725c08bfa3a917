// SPDX-License-Identifier: MIT
#include "monitor.h"

#include <cstring>

#include "sink_node.h"

namespace fffa::core {

namespace {
std::string seconds(std::int64_t ns) {
  return std::to_string(ns / 1'000'000'000) + " s";
}
std::string key_of(const std::string& stage) {
  return stage + " (slow call)";
}
void show_buffer(Registry& metrics, const SinkNode& sink, const Labels& labels) {
  const auto buffer = sink.buffer();
  if (!buffer) return;
  const auto level = buffer->level();
  metrics.show("fffa_buffer_records", "Records in the buffer of a sink, those it is delivering included", labels,
               static_cast<double>(level.tally.records));
  metrics.show("fffa_buffer_bytes", "What the buffer takes: on disk its files, in memory its records", labels,
               static_cast<double>(level.size));
  metrics.show("fffa_buffer_max_bytes", "What it may take (`max_size`)", labels,
               static_cast<double>(buffer->max_size()));
}

void show_balance(Registry& metrics, const std::string& sink, const Balance& balance) {
  const auto show = [&](const char* part, const Tally& tally) {
    const Labels labels{{"stage", sink}, {"part", part}};
    const auto set = [&](const char* unit, std::int64_t value) {
      metrics.show(
          std::string("fffa_sink_balance_") + unit,
          std::string("Balance of a sink in ") + unit + ": seen + restored = delivered + filtered + lost + held",
          labels, static_cast<double>(value));
    };
    set("records", tally.records);
    set("packets", tally.packets);
    set("bytes", tally.bytes);
  };
  show("seen", balance.seen);
  show("delivered", balance.delivered);
  show("filtered", balance.filtered);
  show("lost", balance.lost);
  show("held", balance.held);
  show("restored", balance.restored);
}
}  // namespace

void Watchdog::look(const Graph& graph) {
  const auto now = Monotonic::now().time_since_epoch().count();
  for (const auto& node : graph.nodes) {
    const auto call = node->call();
    const auto named = named_.find(node->id());
    if (named != named_.end() && call.since != named->second) {
      services_->log->write(LogLevel::info, node->id(), "goes on: the slow call returned");
      services_->health.recover(key_of(node->id()));
      named_.erase(named);
    }
    if (call.since == 0 || !call.what || std::strcmp(call.what, SourceNode::kRun) == 0) continue;
    if (now - call.since < services_->tuning.slow_call.count() || named_.contains(node->id())) continue;
    named_[node->id()] = call.since;
    const std::string reason = std::string(call.what) + " has not returned for " + seconds(now - call.since);
    services_->log->write(LogLevel::warning, node->id(), reason + " (stage type " + node->spec().type + ")");
    services_->health.degrade(key_of(node->id()), services_->log->placed(node->id(), reason));
  }
}

void refresh_gauges(Services& services, const Graph& graph, const Ledger& ledger) {
  auto& metrics = services.metrics;
  const auto now = services.clock->now();
  for (const auto& node : graph.nodes) {
    const Labels labels{{"stage", node->id()}, {"type", node->spec().type}};
    for (const auto& edge : node->inputs()) {
      metrics.show("fffa_edge_queued_records", "Records that wait on an edge (an empty batch counts as one)",
                   {{"from", edge->from_id}, {"to", node->id()}}, static_cast<double>(edge->queued.load()));
    }
    if (const auto watermark = node->watermark(); watermark > 0 && watermark != kEndOfInput) {
      metrics.show("fffa_stage_watermark_lag_seconds", "Wall clock less the stage's watermark", labels,
                   static_cast<double>(now - watermark) / 1e9);
    }
    if (const auto* sink = dynamic_cast<const SinkNode*>(node.get())) show_buffer(metrics, *sink, labels);
    if (const auto* source = dynamic_cast<const SourceNode*>(node.get())) {
      metrics.show("fffa_source_unacknowledged_batches", "Batches emitted and not yet acknowledged", labels,
                   static_cast<double>(source->unacknowledged()));
    }
  }
  for (const auto& [sink, balance] : ledger.balances()) show_balance(metrics, sink, balance);
  metrics.show("fffa_text_table_texts", "Different texts in the text table", {},
               static_cast<double>(services.texts.size()));
  auto& overflows =
      metrics.counter("fffa_text_table_overflows_total", "Texts that found the table full and became null");
  overflows.add(services.texts.overflows() - overflows.value());
  metrics.show("fffa_degraded", "Stages that are degraded, as /healthz lists them", {},
               static_cast<double>(services.health.degraded().size()));
}

}  // namespace fffa::core
