// SPDX-License-Identifier: MIT
#include "node.h"

#include <algorithm>
#include <numeric>
#include <thread>

namespace fffa::core {

std::string describe(const StageSpec& spec) {
  return spec.id + " (" + spec.type + ")";
}

Account Node::account(const std::string& part, const std::string& help, const std::string& reason) {
  Labels labels{{"stage", id_}, {"type", type_}};
  if (!reason.empty()) labels.emplace_back("reason", reason);
  auto& metrics = services_->metrics;
  const auto make = [&](const char* unit) -> Counter& {
    return metrics.counter("fffa_" + part + "_" + unit + "_total", std::string(unit) + " " + help, labels);
  };
  return {make("records"), make("packets"), make("bytes")};
}

Node::Node(StageSpec spec, std::shared_ptr<Services> services)
    : services_(std::move(services)),
      id_(spec.id),
      type_(spec.type),
      spec_(std::move(spec)),
      received_(account("stage_received", "that came to the stage")),
      sent_(account("stage_sent", "that the stage sent on (a sink: that it delivered)")),
      filtered_(account("stage_filtered", "left out on purpose, by the stage or by the `when` of an input")),
      errors_(&services_->metrics.counter("fffa_stage_errors_total", "Calls of the stage that failed",
                                          {{"stage", id_}, {"type", type_}})) {}

Node::~Node() = default;

template <typename F>
Result<void> Node::caught(const char* what, F&& call) noexcept {
  try {
    return call();
  } catch (...) {
    return thrown(what);
  }
}

Result<void> Node::build() {
  auto made = make(spec_);
  if (!made) return made.error();
  adopt(std::move(*made));
  return {};
}

Result<Node::Made> Node::make(const StageSpec& spec) {
  Made made{std::make_shared<Posted>(), {}, {}};
  auto post = [weak = weak_from_this(), posted = made.posted](std::function<void()> task) {
    posted->tasks.push(std::move(task));
    if (!posted->adopted) return;
    if (const auto node = weak.lock()) node->post([posted] { posted->tasks.run(); });
  };
  made.context = std::make_unique<Context>(services_, spec.id, spec.type, std::move(post));
  // Not guarded(): the stage that is there may be in a call.
  auto result = caught("its constructor", [&]() -> Result<void> {
    auto stage = spec.stage_type->create(spec.options, *made.context);
    if (!stage) return stage.error();
    made.stage = std::move(*stage);
    return {};
  });
  if (!result) {
    discard(std::move(made));
    return result.error();
  }
  return made;
}

void Node::adopt(Made made) {
  context_ = std::move(made.context);
  stage_ = std::move(made.stage);
  built_ = true;
  if (opened_) context_->open();
  made.posted->adopted = true;
  post([posted = std::move(made.posted)] { posted->tasks.run(); });
}

void Node::discard(Made made) {
  made.posted->tasks.close();
  if (!made.context->close(std::chrono::seconds(5))) {  // its thread still uses it
    static_cast<void>(made.stage.release());
    static_cast<void>(made.context.release());
    return;
  }
  static_cast<void>(caught("its destructor", [&]() -> Result<void> {
    made.stage.reset();
    return {};
  }));
}

void Node::open_context() {
  opened_ = true;
  if (context_) context_->open();
}

bool Node::exclusively(std::chrono::nanoseconds limit, const std::function<void()>& body) {
  const auto deadline = Monotonic::now() + limit;
  while (!gate_.try_lock()) {
    if (Monotonic::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const std::lock_guard lock(gate_, std::adopt_lock);
  body();
  return true;
}

bool Node::demolish(std::chrono::nanoseconds limit) {
  built_ = false;
  if (!context_) return true;
  if (!context_->close(limit)) {
    log().error("background work does not end: the stage is left behind");
    static_cast<void>(stage_.release());
    static_cast<void>(context_.release());
    return false;
  }
  static_cast<void>(guarded("its destructor", [this]() -> Result<void> {
    stage_.reset();
    return {};
  }));
  context_.reset();
  return true;
}

void Node::let_close_take(std::chrono::nanoseconds time) {
  if (context_) context_->let_close_take_until(Monotonic::now() + time);
}

void Node::count_rebuild() {
  services_->metrics
      .counter("fffa_stage_rebuilds_total", "Times the stage was built again after an error",
               {{"stage", id_}, {"type", type_}})
      .add();
}

void Node::respec(StageSpec spec) {
  spec_ = std::move(spec);
}

bool Node::join(std::chrono::nanoseconds /*limit*/) {
  return true;
}

void Node::post(std::function<void()> task) {
  if (tasks_.push(std::move(task))) wake();
}

void Node::set_outputs(std::vector<Target> outputs) {
  outputs_ = std::move(outputs);
}

bool Node::set_inputs(std::vector<Input> inputs) {
  const auto all_ended = [this] {
    return !inputs_.empty() &&
           std::all_of(inputs_.begin(), inputs_.end(), [](const auto& edge) { return edge->ended; });
  };
  const std::lock_guard lock(inbox_mutex_);
  const bool before = all_ended();
  for (const auto& edge : inputs_) edge->detached = true;
  inputs_.clear();
  for (auto& [edge, from, fresh] : inputs) {
    edge->detached = false;
    edge->from = std::move(from);
    if (fresh && edge->ended) {
      edge->ended = false;
      edge->watermark = 0;
    }
    inputs_.push_back(std::move(edge));
  }
  return !before && all_ended();
}

std::vector<EdgePtr> Node::inputs() const {
  const std::lock_guard lock(inbox_mutex_);
  return inputs_;
}

std::size_t Node::queued() const {
  return static_cast<std::size_t>(std::max<std::int64_t>(0, inbox_level_.value().records));
}

Tally Node::lost() const {
  const std::lock_guard lock(lost_mutex_);
  return std::accumulate(lost_.begin(), lost_.end(), Tally{},
                         [](const Tally& sum, const auto& entry) { return sum + entry.second.value(); });
}

void Node::lose(const char* reason, const Tally& tally) {
  const std::lock_guard lock(lost_mutex_);
  auto at = lost_.find(reason);
  if (at == lost_.end()) at = lost_.emplace(reason, account("stage_dropped", "given up, by reason", reason)).first;
  at->second.add(tally);
}

void Node::filter(const Filter& when, BatchRef& batch, const AckPtr& ack) {
  const Tally out = batch.retain([&](const FlowRecord& record) { return when.matches(record, services_->texts); });
  if (out.records == 0) return;
  filtered_.add(out);
  if (ack) ack->worsen(Outcome::filtered);
}

void Node::push(const EdgePtr& edge, BatchRef batch, AckPtr ack) {
  if (edge->when) filter(*edge->when, batch, ack);
  if (edge->on_full == OnFull::drop && edge->full() && !services_->draining) {
    if (!batch->empty()) {
      lose("edge_full", batch.tally());
      if (ack) ack->worsen(Outcome::lost);
    }
    if (batch->watermark != kEndOfInput) return;
    Batch end;  // the end is never dropped
    end.window = batch->window;
    end.watermark = kEndOfInput;
    end.interfaces = batch->interfaces;
    batch = BatchRef(std::move(end));
    ack.reset();
  }
  const std::size_t cost = std::max<std::size_t>(batch->size(), 1);
  ++pending_;
  inbox_level_.add(batch.tally());
  edge->queued += cost;
  {
    const std::lock_guard lock(inbox_mutex_);
    inbox_.push_back({edge, std::move(batch), std::move(ack), cost, {}});
  }
  wake();
}

std::optional<Message> Node::take() {
  std::optional<Message> message;
  std::shared_ptr<Node> producer;
  TimeNs watermark = 0;
  {
    const std::lock_guard lock(inbox_mutex_);
    if (inbox_.empty()) return message;
    message = std::move(inbox_.front());
    inbox_.pop_front();
    auto& edge = *message->edge;
    const std::size_t before = edge.queued.fetch_sub(message->cost);
    const std::size_t low = std::max<std::size_t>(edge.capacity / 2, 1);
    if (before >= low && before - message->cost < low) producer = edge.from.lock();
    watermark = merge_watermark(inputs_, edge, message->batch->watermark, watermark_, Monotonic::now(),
                                services_->tuning.silent_input);
  }
  const Tally tally = message->tally = message->batch.tally();
  holding_.add(tally);
  inbox_level_.remove(tally);
  received_.add(tally);
  if (producer) producer->wake();
  watermark_ = watermark;
  if (message->batch->watermark != watermark) message->batch.own().watermark = watermark;
  return message;
}

void Node::settle(const Message& message) {
  holding_.remove(message.tally);
  --pending_;
}

bool Node::has_room() const {
  if (services_->draining) return true;
  return std::none_of(outputs_.begin(), outputs_.end(),
                      [](const Target& t) { return t.edge->on_full == OnFull::block && t.edge->full(); });
}

void Node::send(BatchRef batch, AckPtr ack) {
  sent_.add(batch.tally());
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    const auto& [node, edge] = outputs_[i];
    if (i + 1 < outputs_.size()) {
      node->push(edge, batch, ack);
    } else {
      node->push(edge, std::move(batch), std::move(ack));  // the last one may be the only owner
    }
  }
}

void Node::send_end() {
  Batch end;
  end.watermark = kEndOfInput;
  send(BatchRef(std::move(end)), {});
}

void Node::stamp(Batch& batch, bool from_source) const {
  if (!from_source && !spec_.stamps) return;
  std::uint64_t sequence = spec_.stamps ? services_->sequence.fetch_add(batch.size()) : 0;
  const TimeNs now = spec_.stamps ? services_->clock->now() : 0;
  for (auto& record : batch) {
    if (record.host == Text::null) record.host = services_->host;
    // What a source has from another fffa keeps the name that it has there. What an aggregator makes of it is new.
    if (from_source && record.run_id != Text::null) continue;
    record.run_id = services_->run_id;
    if (!spec_.stamps) continue;
    record.sequence = sequence++;
    record.emitted = now;
  }
}

void Node::finish() {
  finished_ = true;
  services_->main.signal();
}

Error Node::thrown(const char* what) noexcept {
  try {
    try {
      throw;
    } catch (const Failure& failure) {
      return failure.error();
    } catch (const std::exception& e) {
      return fail(std::string(what) + " threw: " + e.what());
    } catch (...) {
      return fail(std::string(what) + " threw something that is no std::exception");
    }
  } catch (...) {  // no memory for the text
    return {};
  }
}

}  // namespace fffa::core
