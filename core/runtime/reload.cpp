// SPDX-License-Identifier: MIT
#include "reload.h"

#include <algorithm>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "sink_node.h"
#include "strand_nodes.h"

namespace fffa::core {

using namespace std::chrono_literals;

namespace {

constexpr auto kBackgroundLimit = 10s;
constexpr auto kLandingLimit = 10s;  // of what a sink has in the air, shutdown_timeout at most

bool same_node(const ConfigNode& a, const ConfigNode& b) {
  if (a.kind != b.kind || a.value != b.value || a.quoted != b.quoted || a.items.size() != b.items.size() ||
      a.entries.size() != b.entries.size())
    return false;
  return std::equal(a.items.begin(), a.items.end(), b.items.begin(), same_node) &&
         std::all_of(a.entries.begin(), a.entries.end(), [&](const ConfigNode::Entry& entry) {
           const auto* other = b.find(entry.key);
           return other && same_node(entry.value, *other);
         });
}

template <typename Done>
bool wait_until(std::chrono::nanoseconds limit, Done done) {
  for (const auto deadline = Monotonic::now() + limit; !done();) {
    if (Monotonic::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

std::vector<Resource> resources_of(const StageSpec& spec) {
  if (!spec.stage_type || !spec.stage_type->resources) return {};
  return spec.stage_type->resources(spec.options);
}

// Of two sources the kind decides: "auto" and "eth0" may be the same interface.
bool share(const StageSpec& a, const StageSpec& b) {
  const bool sources = a.kind == StageKind::source && b.kind == StageKind::source;
  const auto theirs = resources_of(b);
  const auto ours = resources_of(a);
  return std::any_of(ours.begin(), ours.end(), [&](const Resource& x) {
    return std::any_of(theirs.begin(), theirs.end(),
                       [&](const Resource& y) { return x.kind == y.kind && (sources || x.name == y.name); });
  });
}

bool reads_once(const StageSpec& spec) {
  return spec.stage_type && spec.stage_type->reads_once;
}

bool all_over(const StageSpec& spec, const std::vector<bool>& over) {
  return std::all_of(spec.inputs.begin(), spec.inputs.end(), [&](const Edge& input) { return over[input.from]; });
}

// Which stages have ended, or will by what is on its way already. Sources are paused, so it stays like this.
std::vector<bool> ends_of(const Graph& graph) {
  std::vector<bool> over;
  for (const auto& node : graph.nodes) {
    const bool is_source = node->spec().kind == StageKind::source;
    over.push_back(node->sent_end() || (!is_source && all_over(graph.pipeline.stages[over.size()], over)));
  }
  return over;
}

}  // namespace

bool same_stage(const Pipeline& a, std::size_t i, const Pipeline& b, std::size_t j) {
  const auto& x = a.stages[i];
  const auto& y = b.stages[j];
  return x.id == y.id && x.kind == y.kind && x.stage_type == y.stage_type && x.type == y.type &&
         x.on_reject == y.on_reject && same_buffer(x.buffer, y.buffer) && x.stamps == y.stamps &&
         same_node(x.options, y.options) &&
         std::equal(x.inputs.begin(), x.inputs.end(), y.inputs.begin(), y.inputs.end(),
                    [&](const Edge& e, const Edge& f) {
                      return a.stages[e.from].id == b.stages[f.from].id && e.on_full == f.on_full &&
                             e.capacity == f.capacity && same_filter(e.when, f.when);
                    });
}

Error Reload::Step::failed(const std::string& how) const {
  return located(removed ? before : after, fail(how));
}

void Reload::plan(Pipeline pipeline) {
  next.pipeline = std::move(pipeline);
  std::vector<bool> taken(graph.nodes.size(), false);
  const auto& old = graph.pipeline.stages;
  const auto over = ends_of(graph);
  std::vector<bool> over_next;
  for (std::size_t j = 0; j < next.pipeline.stages.size(); ++j) {
    const auto& spec = next.pipeline.stages[j];
    const auto at = std::find_if(old.begin(), old.end(), [&](const StageSpec& s) {
      return s.id == spec.id && s.kind == spec.kind && s.type == spec.type;
    });
    const auto i = static_cast<std::size_t>(at - old.begin());
    const bool same = at != old.end() && same_stage(graph.pipeline, i, next.pipeline, j);
    const bool is_source = spec.kind == StageKind::source;
    over_next.push_back(is_source ? same && over[i] : all_over(spec, over_next));
    // A node that has ended goes on ended, or a new one takes its place: what is to come would wait in its inbox.
    if (at == old.end() || (!is_source && over[i] && !(same && over_next.back()))) {
      next.nodes.push_back(make_node(spec, services));
      steps.push_back({next.nodes.back(), {}, spec, false, true});
      continue;
    }
    taken[i] = true;
    next.nodes.push_back(graph.nodes[i]);
    if (!same) steps.push_back({graph.nodes[i], *at, spec});
  }
  for (std::size_t i = 0; i < old.size(); ++i)
    if (!taken[i]) steps.push_back({graph.nodes[i], old[i], {}, true});
  // Stages that go come down in the order of the old graph.
  const auto place = [&](const Step& step) {
    return std::find(graph.nodes.begin(), graph.nodes.end(), step.node) - graph.nodes.begin();
  };
  std::stable_sort(steps.begin(), steps.end(), [&](const Step& a, const Step& b) { return place(a) < place(b); });
  for (auto& step : steps) {
    const auto& buffer = step.after.buffer;
    const bool opens = buffer.type != BufferSpec::Type::none && !same_buffer(buffer, step.before.buffer);
    step.early = !step.removed && !opens && std::none_of(steps.begin(), steps.end(), [&](const Step& other) {
      return !other.added && share(step.after, other.before);
    });
    if (step.added || step.node->spec().kind == StageKind::source) continue;
    // Its state directory is its id's, so the next one's as well.
    const bool free = step.node->exclusively(kBackgroundLimit, [&] { step.early &= !step.node->uses_state(); });
    step.early &= free;
  }
}

// A source that reads its input once stays as it is while it runs, and never begins anew: even a reload that fails
// later on could not bring it back.
Result<void> Reload::permitted() {
  for (auto& step : steps) {
    if (step.added || !reads_once(step.before)) continue;
    step.spent = step.removed && step.node->sent_end();
    if (!step.spent)
      return step.failed(std::string("reads its input once: stop and start fffa to ") +
                         (step.removed ? "remove" : "change") + " it");
  }
  return {};
}

Result<std::string> Reload::run(Pipeline pipeline) {
  const auto& before = graph.pipeline.settings;
  if (before.threads != pipeline.settings.threads || before.metrics_listen != pipeline.settings.metrics_listen) {
    services->log->write(LogLevel::warning, {}, "`threads` and `metrics.listen` change at the next start only");
  }
  graph.each<SourceNode>([](SourceNode& source) { source.pause(true); });
  try {
    plan(std::move(pipeline));
  } catch (const std::system_error& error) {  // no more descriptors
    graph.each<SourceNode>([](SourceNode& source) { source.pause(false); });
    return fail(std::string("out of resources: ") + error.what());
  }
  if (auto allowed = permitted(); !allowed) {
    graph.each<SourceNode>([](SourceNode& source) { source.pause(false); });
    return allowed.error();
  }
  // From now on places are those of the new file; what goes with this reload has its old one.
  auto places = places_of(next.pipeline);
  places.merge(places_of(graph.pipeline));
  services->log->set_places(std::move(places));
  if (steps.empty()) {
    graph.each<SourceNode>([](SourceNode& source) { source.pause(false); });
    const std::lock_guard lock(mutex);
    graph.pipeline = std::move(next.pipeline);
    return std::string("no stage has changed");
  }
  auto result = prepare();
  if (result) result = take_down();
  if (result) result = bring_up();
  if (!result) {
    restore();
    return result.error();
  }
  auto done = summary();
  commit();
  return done;
}

// All that does not wait for an old stage to go: if this fails, nothing of the old graph was touched.
Result<void> Reload::prepare() {
  // Sinks first, as at the start.
  for (auto at = next.nodes.rbegin(); at != next.nodes.rend(); ++at) {
    const auto step = std::find_if(steps.begin(), steps.end(), [&](const Step& s) { return s.node == *at; });
    if (step == steps.end() || !step->early) continue;
    auto made = step->node->make(step->after);
    if (!made) return located(step->after, made.error());
    if (step->added) {
      step->node->exclusively(kBackgroundLimit, [&] { step->node->adopt(std::move(*made)); });
    } else {
      step->made = std::move(*made);
    }
  }
  return launch([](const Step& step) { return step.added && step.early; });
}

Result<void> Reload::launch(const std::function<bool(const Step&)>& which) {
  std::vector<std::pair<const Step*, SourceNode*>> launched;
  for (const auto& step : steps) {
    auto* source = dynamic_cast<SourceNode*>(step.node.get());
    if (!source || step.removed || !which(step)) continue;
    source->pause(true);
    source->launch(after_start);
    launched.emplace_back(&step, source);
  }
  for (const auto& [step, source] : launched) {
    std::optional<Result<void>> started;
    if (!wait_until(next.pipeline.settings.shutdown_timeout,
                    [&, source = source] { return (started = source->started()).has_value(); }))
      return step->failed("does not start");
    if (!started->ok()) return located(step->after, started->error());
    if (!step->added) tell_gap(*step);
  }
  return {};
}

// Everything between sources and sinks is empty. Sources are paused, and edges take all that comes.
Result<void> Reload::come_to_rest() {
  for (const auto& node : graph.nodes) node->wake();
  for (const auto& node : graph.nodes) {
    if (node->spec().kind == StageKind::source || is_sink(node->spec().kind) || !node->built()) continue;
    if (!wait_until(graph.pipeline.settings.shutdown_timeout, [&] { return node->idle(); }))
      return fail(services->log->placed(node->id(), describe(node->spec()) + ": does not come to rest"));
  }
  return {};
}

Result<void> Reload::take_down() {
  const auto limit = graph.pipeline.settings.shutdown_timeout;
  services->draining = true;
  for (auto& step : steps) {
    auto* source = dynamic_cast<SourceNode*>(step.node.get());
    if (!source || step.added) continue;
    step.brought = source->channels();
    if (step.spent) continue;
    step.left = Monotonic::now();
    source->retire();
    if (!source->join(limit)) {
      source->stay();
      return step.failed("does not stop");
    }
    step.down = true;
    if (!source->demolish(kBackgroundLimit)) return step.failed("background work does not end");
  }
  if (auto rest = come_to_rest(); !rest) return rest;
  for (auto& step : steps) {
    if (step.added || step.node->spec().kind == StageKind::source) continue;
    if (is_sink(step.before.kind)) {
      if (auto result = take_down_sink(step); !result) return result;
      continue;
    }
    bool gone = false;
    const bool free = step.node->exclusively(limit, [&] {
      auto* aggregator = dynamic_cast<AggregatorNode*>(step.node.get());
      if (aggregator && aggregator->built() && !aggregator->ended()) aggregator->flush();
      step.down = true;
      gone = step.node->demolish(kBackgroundLimit);
    });
    if (!free || !gone) return step.failed("does not come to rest");
    if (auto rest = come_to_rest(); !rest) return rest;
  }
  return {};
}

Result<void> Reload::take_down_sink(Step& step) {
  auto& sink = static_cast<SinkNode&>(*step.node);
  const auto limit = graph.pipeline.settings.shutdown_timeout;
  const auto& buffer = step.before.buffer;
  const bool moves = buffer.type != BufferSpec::Type::none && (step.removed || !same_place(buffer, step.after.buffer));
  if ((step.removed || moves) && !wait_until(limit, [&] { return sink.drained(); })) {
    return step.failed(std::string(step.removed ? "is to be removed" : "is to have another buffer") +
                       " and does not deliver what waits for it (" + std::to_string(sink.held().records) + " records)");
  }
  sink.park(true);
  bool gone = false;
  const bool free = sink.exclusively(limit, [&] {
    step.down = true;
    gone = sink.retire(std::min<std::chrono::nanoseconds>(limit, kLandingLimit), kBackgroundLimit);
    if (moves) sink.close_buffer();
  });
  return free && gone ? Result<void>{} : Result<void>{step.failed("does not come to rest")};
}

Result<void> Reload::bring_up() {
  // Sinks first, as at the start.
  for (auto at = next.nodes.rbegin(); at != next.nodes.rend(); ++at) {
    const auto step = std::find_if(steps.begin(), steps.end(), [&](const Step& s) { return s.node == *at; });
    if (step == steps.end()) continue;
    if (step->early && step->added) continue;
    Result<void> result;
    const bool free = step->node->exclusively(kBackgroundLimit, [&] {
      {
        const std::lock_guard lock(mutex);
        step->node->respec(step->after);
      }
      if (step->made) {
        step->node->adopt(*std::exchange(step->made, std::nullopt));
      } else {
        result = build(*step->node);
      }
    });
    if (!free) return step->failed("the old stage does not come to rest");
    if (!result) return result;
  }
  return launch([](const Step& step) { return !(step.added && step.early); });
}

// A source that is not there sees nothing, so nothing can count what it missed.
void Reload::tell_gap(const Step& step) {
  const auto gap = std::chrono::ceil<std::chrono::milliseconds>(Monotonic::now() - step.left);
  services->log->write(LogLevel::warning, step.node->id(),
                       "rebuilt by the reload: for up to " + std::to_string(gap.count()) +
                           " ms nothing was watched, and no account shows what a live source missed meanwhile");
}

void Reload::commit() {
  std::vector<const Node*> fresh;
  for (const auto& step : steps)
    if (step.node->spec().kind == StageKind::source) fresh.push_back(step.node.get());
  for (const auto& step : steps) {
    if (!step.removed) continue;
    if (step.spent) {
      auto& source = static_cast<SourceNode&>(*step.node);
      source.retire();
      if (!source.join(kBackgroundLimit) || !source.demolish(kBackgroundLimit))
        services->log->write(LogLevel::error, step.before.id, "does not return: left behind");
    }
    if (is_sink(step.before.kind)) {
      const auto balance = ledger.balances().at(step.before.id);
      const bool lost = !balance.lost.empty();
      services->log->write_as_it_is(lost ? LogLevel::warning : LogLevel::info, step.before.id,
                                    "removed: " + to_string(balance));
      if (lost) services->lost_uncounted = true;
    }
    services->health.recover(step.before.id);
    step.node->set_outputs({});
    static_cast<void>(step.node->set_inputs({}));
    if (auto* sink = dynamic_cast<SinkNode*>(step.node.get())) {
      sink->leave();
      sink->join(kBackgroundLimit);
    }
  }
  wire(next, fresh);
  AckChannels former;
  for (const auto& step : steps) former.insert(former.end(), step.brought.begin(), step.brought.end());
  {
    const std::lock_guard lock(mutex);
    ledger.change(next, former);
    graph = next;
  }
  for (const auto& step : steps) {
    if (step.added && step.after.kind != StageKind::source) step.node->open();
    if (!step.removed) services->health.recover(step.node->id());
  }
  resume(graph);
}

// The old graph again: what was taken down is built anew. What cannot be is tried again by the engine (a sink does so
// itself).
void Reload::restore() {
  for (auto& step : steps) {
    if (step.made) step.node->discard(*std::exchange(step.made, std::nullopt));
    auto* source = dynamic_cast<SourceNode*>(step.node.get());
    if (source && (step.added || step.down)) {
      source->retire();
      if (!source->join(graph.pipeline.settings.shutdown_timeout)) {
        // Its thread is inside the stage, which therefore stays; it ends without a word whenever the call returns.
        services->log->write(LogLevel::error, source->id(), "does not return: left behind, and not started again");
        services->health.degrade(source->id(), services->log->placed(source->id(), "does not return"));
        step.down = false;
        continue;
      }
    }
    if (step.added || step.down)
      step.node->exclusively(kBackgroundLimit, [&] { static_cast<void>(step.node->demolish(kBackgroundLimit)); });
  }
  services->log->set_places(places_of(graph.pipeline));
  for (auto at = steps.rbegin(); at != steps.rend(); ++at) {
    if (at->added || !at->down || (at->before.kind != StageKind::source && at->node->ended())) continue;
    Result<void> result;
    const bool free = at->node->exclusively(kBackgroundLimit, [&] {
      {
        const std::lock_guard lock(mutex);
        at->node->respec(at->before);
      }
      result = build(*at->node);
    });
    if (!free) result = located(at->before, fail("the old stage has not come back"));
    auto* source = dynamic_cast<SourceNode*>(at->node.get());
    if (result && source) {
      result = source->relaunch(after_start, graph.pipeline.settings.shutdown_timeout);
      if (result)
        tell_gap(*at);
      else
        result = located(at->before, result.error());
    }
    if (result) continue;
    services->log->write_as_it_is(LogLevel::error, at->before.id,
                                  "the old stage cannot be built again, it is tried again: " + result.error().message);
    services->health.degrade(at->before.id, result.error().message);
  }
  resume(graph);
}

void Reload::resume(const Graph& running) {
  services->draining = false;
  running.each<SinkNode>([](SinkNode& sink) { sink.park(false); });
  running.each<SourceNode>([&](SourceNode& source) {
    const bool relaunched =
        std::any_of(steps.begin(), steps.end(), [&](const Step& step) { return step.node.get() == &source; });
    if (relaunched && source.built()) source.go();
    source.pause(false);
  });
  for (const auto& node : running.nodes) node->wake();
}

std::string Reload::summary() const {
  std::string rebuilt, added, removed;
  for (const auto& step : steps) (step.added ? added : step.removed ? removed : rebuilt) += " " + step.node->id();
  std::string text =
      std::to_string(next.nodes.size() - static_cast<std::size_t>(std::count_if(
                                             steps.begin(), steps.end(), [](const Step& s) { return !s.removed; }))) +
      " stages kept";
  if (!rebuilt.empty()) text += "; rebuilt:" + rebuilt;
  if (!added.empty()) text += "; added:" + added;
  if (!removed.empty()) text += "; removed:" + removed;
  return text;
}

}  // namespace fffa::core
