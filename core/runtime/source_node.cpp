// SPDX-License-Identifier: MIT
#include "source_node.h"

#include <algorithm>
#include <system_error>

namespace fffa::core {

using namespace std::chrono_literals;

SourceNode::SourceNode(StageSpec spec, std::shared_ptr<Services> services)
    : Node(std::move(spec), std::move(services)),
      reads_again_(this->spec().stage_type && this->spec().stage_type->reads_again) {}

void SourceNode::launch(std::function<void()> after_start) {
  go_ = retiring_ = finished_ = end_passed_ = saw_stop_ = left_ = false;
  ending_ = false;
  {
    const std::lock_guard lock(mutex_);
    started_.reset();
    failure_.reset();
    former_.push_back(channel_);
    forget_acknowledged(former_);
    channel_ = std::make_shared<AckChannel>(waker_);  // acknowledgements belong to the stage that emitted
  }
  try {
    thread_.start([self = shared_from_this(), this, after_start = std::move(after_start)] { main(after_start); });
  } catch (const std::system_error& error) {
    const std::lock_guard lock(mutex_);
    started_ = system_error("make a thread", error.code().value());
    failure_ = started_->error();
    finished_ = true;
  }
}

Result<void> SourceNode::relaunch(const std::function<void()>& after_start, std::chrono::nanoseconds limit) {
  launch(after_start);
  std::optional<Result<void>> result;
  for (const auto deadline = Monotonic::now() + limit; !(result = started());) {
    if (Monotonic::now() > deadline) return {};  // it goes on as soon as it has started
    std::this_thread::sleep_for(1ms);
  }
  if (*result) return {};
  retire();
  if (join(limit)) static_cast<void>(demolish(limit));
  return *result;
}

void SourceNode::end_without_run() {
  const std::lock_guard lock(gate_);
  if (built() && !left_ && !retiring_) return;
  ending_ = true;
  pass_end();
}

void SourceNode::pass_end() {
  if (!end_passed_.exchange(true)) send_end();
}

std::optional<Result<void>> SourceNode::started() const {
  const std::lock_guard lock(mutex_);
  return started_;
}

std::optional<Error> SourceNode::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void SourceNode::go() {
  go_ = true;
  wake();
}

void SourceNode::pause(bool paused) {
  paused_ = paused;
  const std::lock_guard lock(gate_);  // whoever emits holds it
  wake();
}

void SourceNode::retire() {
  retiring_ = true;
  wake();
}

Tally SourceNode::seen() const {
  const Tally records = received();
  if (!has_status_) return records;
  Tally seen = seen_.value();
  seen.records = records.records;
  return seen;
}

void SourceNode::stay() {
  const std::lock_guard lock(gate_);
  retiring_ = false;
  left_ = ending_ && !end_passed_;
}

std::shared_ptr<AckChannel> SourceNode::channel() const {
  const std::lock_guard lock(mutex_);
  return channel_;
}

AckChannels SourceNode::channels() const {
  const std::lock_guard lock(mutex_);
  auto all = former_;
  all.push_back(channel_);
  return all;
}

void SourceNode::main(const std::function<void()>& after_start) {
  auto result = guarded("start()", [this] { return static_cast<Source&>(*stage_).start(); });
  if (result && after_start) after_start();
  if (result) open_context();  // now: its background thread inherits the privileges that are left
  const bool ok = result.ok();
  {
    const std::lock_guard lock(mutex_);
    if (!ok) failure_ = result.error();
    started_ = std::move(result);
  }
  services_->main.signal();
  while (!go_ && !retiring_ && !services_->abandoned) {
    run_tasks();
    waker_->sleep(-1ns);
  }
  if (ok && go_) run_stage();
  end_input();
  finish();
}

void SourceNode::run_stage() {
  run_tasks();
  auto result = guarded(kRun, [this] { return static_cast<Source&>(*stage_).run(*this); });
  if (result) return;
  errors_->add();
  log().error(result.error().message + ": the source has ended");
  degrade(result.error().message);
  const std::lock_guard lock(mutex_);
  failure_ = std::move(result.error());
}

void SourceNode::end_input() {
  ending_ = true;
  for (;;) {
    {
      const std::lock_guard lock(gate_);
      if (end_passed_ || retiring_ || services_->abandoned) return;
      if (saw_stop_ && !services_->stopping) {
        left_ = true;
        return;
      }
      if (!paused_) return pass_end();
    }
    waker_->sleep(-1ns);
  }
}

void SourceNode::serve() {
  channel()->run();
  run_tasks();
}

void SourceNode::note(const Batch& batch) {
  received_.add(tally_of(batch));
  for (const auto& interface : batch.interfaces) {
    has_status_ = true;
    seen_.add(tally_of(interface.seen));
    filtered_before_.add(tally_of(interface.filtered));
    lost_before_.add(tally_of(interface.lost));
  }
}

bool SourceNode::may_emit() {
  return (!paused_ || retiring_) && !end_passed_ && has_room();
}

bool SourceNode::emit(Batch batch, Acknowledge acknowledge) {
  for (;;) {
    serve();
    if (services_->abandoned || ending_) {
      if (!reads_again_) {  // else it stays where it is, and was not seen yet
        note(batch);
        lose("shutdown", tally_of(batch));
      }
      if (acknowledge) acknowledge(reads_again_ ? Outcome::held : Outcome::lost);
      return false;
    }
    {
      const std::lock_guard lock(gate_);
      if (may_emit()) {
        note(batch);
        stamp(batch, true);
        // Only the runtime ends the input of others, and time does not go back.
        if (batch.watermark != kEndOfInput) watermark_ = std::max(watermark_.load(), batch.watermark);
        batch.watermark = watermark_;
        send(BatchRef(std::move(batch)), channel()->open(std::move(acknowledge)));
        return true;
      }
    }
    waker_->sleep(-1ns);
  }
}

bool SourceNode::ready() const {
  auto& self = const_cast<SourceNode&>(*this);
  const std::lock_guard lock(self.gate_);
  return self.may_emit();
}

bool SourceNode::wait(std::chrono::nanoseconds period, int fd) {
  const auto until = Monotonic::now() + period;
  for (;;) {
    serve();
    if (stopping()) return false;
    const auto left = until - Monotonic::now();
    if (left <= 0ns || waker_->sleep(left, fd)) {
      serve();
      return !stopping();
    }
  }
}

bool SourceNode::stopping() const {
  if (services_->stopping) return true;
  if (!retiring_) return false;
  saw_stop_ = true;
  return true;
}

bool SourceNode::settle() {
  end_input();
  for (;;) {
    const bool all = unacknowledged() == 0;  // asked before, so that the last one is called back
    serve();
    if (all) return true;
    if (services_->abandoned || retiring_ || left_) return false;  // a successor does not wait for windows to close
    waker_->sleep(-1ns);
  }
}

}  // namespace fffa::core
