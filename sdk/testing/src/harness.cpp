// SPDX-License-Identifier: MIT
#include "fffa/testing/harness.h"

#include <poll.h>

#include <optional>
#include <string>
#include <utility>

namespace fffa::testing {

// Completed inputs, shared with tickets that may outlive the harness.
struct Harness::Tickets {
  std::mutex mutex;
  std::size_t pending = 0;
  std::vector<Outcome> outcomes;
};

class Harness::InputTicket final : public Ticket::State {
 public:
  explicit InputTicket(std::shared_ptr<Tickets> tickets) : tickets_(std::move(tickets)) {
    const std::lock_guard lock(tickets_->mutex);
    ++tickets_->pending;
  }
  ~InputTicket() override {
    const std::lock_guard lock(tickets_->mutex);
    --tickets_->pending;
    tickets_->outcomes.push_back(worst_.load());
  }
  void worsen(Outcome outcome) noexcept override {
    Outcome now = worst_.load();
    while (now < outcome && !worst_.compare_exchange_weak(now, outcome)) {
    }
  }

 private:
  std::shared_ptr<Tickets> tickets_;
  std::atomic<Outcome> worst_{Outcome::delivered};
};

class Harness::HarnessEmitter final : public Emitter {
 public:
  explicit HarnessEmitter(Harness& harness) : harness_(harness) {}
  void emit(Batch batch, std::vector<Ticket> tickets) override {
    harness_.emitted_.push_back({std::move(batch), std::move(tickets)});
  }
  bool room() const override { return harness_.room_; }

 private:
  Harness& harness_;
};

class Harness::HarnessOutput final : public Output {
 public:
  HarnessOutput(Harness& harness, const SourceRun& script)
      : harness_(harness),
        script_(script),
        stop_at_(harness.context().clock().monotonic() + script.stop_after),
        give_up_at_(Real::now() + script.give_up) {}

  bool emit(Batch batch, Acknowledge acknowledge) override {
    acknowledge_all();
    if (abandoned()) return false;
    harness_.emitted_.push_back({std::move(batch), {}});
    ++batches_;
    unacknowledged_.push_back(std::move(acknowledge));
    return true;
  }
  bool ready() const override { return true; }
  bool wait(std::chrono::nanoseconds period, int fd) override {
    acknowledge_all();
    if (script_.on_wait) script_.on_wait();
    harness_.run_pending();
    if (stopping()) return false;
    pollfd wanted{fd, POLLIN, 0};
    if (fd < 0 || poll(&wanted, 1, 20) == 0) harness_.advance(period);
    return !stopping();
  }
  bool stopping() const override {
    const bool enough = script_.stop_after_batches != 0 && batches_ >= script_.stop_after_batches;
    return enough || abandoned() || harness_.context().clock().monotonic() >= stop_at_;
  }
  bool settle() override {
    acknowledge_all();
    return !abandoned();
  }
  bool gave_up() const { return gave_up_; }
  void acknowledge_all() {
    for (auto& acknowledge : std::exchange(unacknowledged_, {})) {
      if (acknowledge) acknowledge(script_.outcome);
      ++harness_.acknowledged_;
    }
  }

 private:
  using Real = std::chrono::steady_clock;
  bool abandoned() const { return gave_up_ = gave_up_ || Real::now() > give_up_at_; }

  Harness& harness_;
  const SourceRun& script_;
  std::chrono::nanoseconds stop_at_;
  Real::time_point give_up_at_;
  mutable bool gave_up_ = false;
  std::size_t batches_ = 0;
  std::vector<Acknowledge> unacknowledged_;
};

Harness::Harness(StageKind kind, std::unique_ptr<TestContext> context, std::unique_ptr<Stage> stage)
    : kind_(kind), context_(std::move(context)), tickets_(std::make_shared<Tickets>()), stage_(std::move(stage)) {}

Harness::~Harness() {
  destroy();
}

Result<std::unique_ptr<Harness>> Harness::make(const StageType& type, std::string_view yaml,
                                               std::unique_ptr<TestContext> context) {
  auto config = parse_config(yaml);
  if (!config.ok()) return config.error();
  Diagnostics diagnostics;
  if (!type.check(*config, "", diagnostics)) {
    std::string all;
    for (const auto& diagnostic : diagnostics.all()) all += (all.empty() ? "" : "\n") + to_string(diagnostic);
    return fail(all);
  }
  if (!context) context = std::make_unique<TestContext>("test", type.name);
  auto stage = type.create(*config, *context);
  if (!stage.ok()) return stage.error();
  return std::unique_ptr<Harness>(new Harness(type.kind, std::move(context), std::move(*stage)));
}

void Harness::destroy() {
  stage_.reset();
  context_->forget_pending();
}

Result<void> Harness::run(const SourceRun& script) {
  if (kind_ != StageKind::source || !stage_) return fail("run() wants a source");
  auto& source = static_cast<Source&>(*stage_);
  if (auto started = source.start(); !started.ok()) return started;
  HarnessOutput output(*this, script);
  auto result = source.run(output);
  output.acknowledge_all();
  if (result.ok() && output.gave_up()) return fail("the source did not end by itself; the run was abandoned");
  return result;
}

Result<void> Harness::enrich(Batch& batch) {
  if (kind_ != StageKind::enricher || !stage_) return fail("enrich() wants an enricher");
  return static_cast<Enricher&>(*stage_).enrich(batch);
}

Result<void> Harness::add(const Batch& batch) {
  if (kind_ != StageKind::aggregator || !stage_) return fail("add() wants an aggregator");
  HarnessEmitter emitter(*this);
  const Ticket ticket(std::make_shared<InputTicket>(tickets_));
  return static_cast<Aggregator&>(*stage_).add(batch, ticket, emitter);
}

void Harness::set_room(bool room) {
  const bool back = room && !room_;
  room_ = room;
  if (!back || kind_ != StageKind::aggregator || !stage_) return;
  HarnessEmitter emitter(*this);
  static_cast<Aggregator&>(*stage_).resume(emitter);
}

std::size_t Harness::pending_tickets() const {
  const std::lock_guard lock(tickets_->mutex);
  return tickets_->pending;
}

std::vector<Outcome> Harness::outcomes() const {
  const std::lock_guard lock(tickets_->mutex);
  return tickets_->outcomes;
}

namespace {

// What an asynchronous sink said about one batch; `untold` if it dropped the completion.
struct Verdict {
  std::mutex mutex;
  std::optional<Result<void>> result;
  bool gone = false;
};

class WatchedCompletion final : public Completion::State {
 public:
  explicit WatchedCompletion(std::shared_ptr<Verdict> verdict) : verdict_(std::move(verdict)) {}
  ~WatchedCompletion() override {
    const std::lock_guard lock(verdict_->mutex);
    verdict_->gone = true;
  }
  void complete(Result<void> result) noexcept override {
    const std::lock_guard lock(verdict_->mutex);
    verdict_->result = std::move(result);
  }

 private:
  std::shared_ptr<Verdict> verdict_;
};

}  // namespace

Result<void> Harness::write_async(const Batch& batch) {
  auto& sink = static_cast<AsyncSink&>(*stage_);
  auto verdict = std::make_shared<Verdict>();
  sink.write(std::make_shared<const Batch>(batch), Completion(std::make_unique<WatchedCompletion>(verdict)));
  sink.flush();
  const bool told = context_->wait_until([&] {
    const std::lock_guard lock(verdict->mutex);
    return verdict->gone;
  });
  const std::lock_guard lock(verdict->mutex);
  if (verdict->result) return *verdict->result;
  return told ? retry("the sink dropped the completion untold")
              : fail("the sink did not complete the batch within 5 s of flush()");
}

Result<void> Harness::write(const Batch& batch) {
  if (!stage_) return fail("the sink is destroyed");
  if (kind_ == StageKind::sink) return static_cast<Sink&>(*stage_).write(batch);
  if (kind_ == StageKind::async_sink) return write_async(batch);
  return fail("write() wants a sink");
}

Result<void> Harness::close() {
  if (!stage_) return fail("the sink is destroyed");
  if (kind_ == StageKind::sink) return static_cast<Sink&>(*stage_).close();
  if (kind_ == StageKind::async_sink) return static_cast<AsyncSink&>(*stage_).close();
  return fail("close() wants a sink");
}

std::vector<Batch> Harness::take() {
  std::vector<Batch> batches;
  for (auto& emitted : std::exchange(emitted_, {})) batches.push_back(std::move(emitted.batch));
  return batches;
}

}  // namespace fffa::testing
