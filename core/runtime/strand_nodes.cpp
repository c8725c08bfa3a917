// SPDX-License-Identifier: MIT
#include "strand_nodes.h"

#include <algorithm>

namespace fffa::core {

namespace {
constexpr int kBudget = 16;  // pieces of work before another strand gets its turn
}

// ---- StrandNode

StrandNode::StrandNode(StageSpec spec, std::shared_ptr<Services> services)
    : Node(std::move(spec), std::move(services)), strand_(services_->pool.make_strand()) {}

void StrandNode::open() {
  open_context();
  open_ = true;
  wake();
}

void StrandNode::wake() {
  if (!open_ || scheduled_.exchange(true)) return;
  // Weak: the pool keeps what it did not run until the services go, which this node keeps.
  strand_->post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) static_cast<StrandNode&>(*self).step();
  });
}

void StrandNode::step() {
  scheduled_.exchange(false);  // before looking: what changes from here on schedules again
  const std::lock_guard lock(gate_);
  run_tasks();
  for (int i = 0; i < kBudget; ++i) {
    if (!stage_ || services_->abandoned || !advance()) return;
  }
  wake();
}

// ---- EnricherNode

bool EnricherNode::advance() {
  if (!has_room()) return false;
  auto message = take();
  if (!message) return false;
  const bool end = message->batch->watermark == kEndOfInput;
  if (errors_in_a_row_ < kMostErrors || Monotonic::now() >= next_try_) enrich(*message);
  send(std::move(message->batch), std::move(message->ack));
  settle(*message);
  if (end) finish();
  return true;
}

void EnricherNode::enrich(Message& message) {
  auto& batch = message.batch.own();
  const auto watermark = batch.watermark;
  const auto size = batch.size();
  const auto result = guarded("enrich()", [&] { return static_cast<Enricher&>(*stage_).enrich(batch); });
  batch.watermark = watermark;
  if (batch.size() != size) {
    message.batch.recount();
    if (batch.size() < size) filtered_.add(message.tally - message.batch.tally());
  }
  note(result);
}

void EnricherNode::note(const Result<void>& result) {
  if (result) {
    if (errors_in_a_row_ >= kMostErrors) log().info("enriches again");
    if (errors_in_a_row_ > 0) recover();
    errors_in_a_row_ = 0;
    return;
  }
  errors_->add();
  next_try_ = Monotonic::now() + services_->tuning.broken_enricher;
  if (++errors_in_a_row_ == 1) {
    log().warning(result.error().message + ": the batch goes on without");
    degrade(result.error().message);
  } else if (errors_in_a_row_ == kMostErrors) {
    log().error(std::to_string(kMostErrors) + " errors in a row, the last: " + result.error().message +
                ": batches go on without, it is tried again from time to time");
  }
}

// ---- AggregatorNode

bool AggregatorNode::advance() {
  if (!has_room()) return false;
  if (resume_pending_) {
    refused_ = false;
    const auto result = guarded("resume()", [this]() -> Result<void> {
      static_cast<Aggregator&>(*stage_).resume(*this);
      return {};
    });
    if (!result) failed("resume", result.error(), {});
    after_call();
    return true;
  }
  auto message = take();
  if (!message) return false;
  add(std::move(*message));
  return true;
}

void AggregatorNode::add(Message message) {
  refused_ = false;
  ending_ = ending_ || message.batch->watermark == kEndOfInput;
  accepted_.add(message.tally);
  const auto result = guarded(
      "add()", [&] { return static_cast<Aggregator&>(*stage_).add(*message.batch, Ticket(message.ack), *this); });
  if (!result) {
    if (message.ack) message.ack->worsen(Outcome::lost);
    // At the end nothing of its state will come out any more.
    failed("add", result.error(), ending_ ? state() : message.tally);
  }
  message.ack.reset();
  after_call();
  settle(message);
}

void AggregatorNode::failed(const char* what, const Error& error, const Tally& lost_here) {
  errors_->add();
  log().error(std::string(what) + ": " + error.message +
              (lost_here.empty() ? "" : ": " + std::to_string(lost_here.packets) + " packets lost"));
  degrade(error.message);
  const Tally rest = state();
  const Tally gone{lost_here.records, std::min(lost_here.packets, rest.packets), std::min(lost_here.bytes, rest.bytes)};
  accepted_.remove(gone);
  lose("failed", gone);
}

void AggregatorNode::after_call() {
  if (refused_ != resume_pending_) {
    resume_pending_ = refused_;
    pending_ += refused_ ? 1 : -1;
  }
  if (!refused_ && ending_ && !finished_) {
    send_end();
    finish();
  }
}

void AggregatorNode::flush() {
  Batch end;
  end.watermark = kEndOfInput;
  refused_ = false;
  const auto result = guarded("add()", [&] { return static_cast<Aggregator&>(*stage_).add(end, {}, *this); });
  if (!result) failed("flush", result.error(), state());
  if (const Tally rest = state(); rest.packets != 0) {  // it kept some back: nothing of it comes out any more
    accepted_.remove(rest);
    lose("rebuild", {0, std::max<std::int64_t>(rest.packets, 0), std::max<std::int64_t>(rest.bytes, 0)});
  }
}

Tally AggregatorNode::state() const {
  const Tally state = accepted_.value() - sent();
  return {0, state.packets, state.bytes};  // its records are not those that came in
}

Tally AggregatorNode::held() const {
  // After the end a rest is not held, it is unaccounted for, and the balance says so.
  return Node::held() + (ended() ? Tally{} : state());
}

void AggregatorNode::emit(Batch batch, std::vector<Ticket> tickets) {
  stamp(batch, false);
  // Only the runtime ends the input of others, and time does not go back.
  if (batch.watermark != kEndOfInput) out_watermark_ = std::max(out_watermark_, batch.watermark);
  batch.watermark = out_watermark_;
  send(BatchRef(std::move(batch)), combine(std::move(tickets)));
}

bool AggregatorNode::room() const {
  const bool room = has_room();
  refused_ = refused_ || !room;
  return room;
}

}  // namespace fffa::core
