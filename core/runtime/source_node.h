// SPDX-License-Identifier: MIT
// A source and its thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "node.h"
#include "stage_thread.h"

namespace fffa::core {

class SourceNode final : public Node, private Output {
 public:
  SourceNode(StageSpec spec, std::shared_ptr<Services> services);
  static constexpr const char* kRun = "run()";  // the one call that is meant to last

  void open() override { launch({}); }
  // launch() of a stage just built, and waits for start(). If that fails, the stage is gone again: built() says no.
  Result<void> relaunch(const std::function<void()>& after_start, std::chrono::nanoseconds limit);
  // It does not run, and will not: what comes after it learns that its input has ended. Else nothing happens.
  void end_without_run();
  // Starts the thread: Source::start(), `after_start` (drops the thread's privileges), then it waits for go().
  void launch(std::function<void()> after_start);
  std::optional<Result<void>> started() const;  // nullopt: not yet
  void go();                                    // Source::run()
  void wake() override { waker_->signal(); }
  bool join(std::chrono::nanoseconds limit) override { return thread_.join(limit); }
  void let_go() override { thread_.let_go(); }

  // While paused nothing is emitted: emit() waits, ready() says no. On return no emit() is under way.
  void pause(bool paused);
  // Ends this source only, without ending the input of what comes after it: it is rebuilt or removed.
  // What it emitted is not called back any more.
  void retire();
  // Takes retire() back: it did not stop in time. If it has seen stopping(), its run() may end later on: then it is
  // retired() after all.
  void stay();
  bool retired() const noexcept {
    return left_ && thread_.ended();
  }  // run() ended on a retire() that was taken back: to be built again
  bool sent_end() const noexcept override { return end_passed_; }
  void abandon() { channel()->abandon(); }

  // What it saw: as it says by InterfaceStatus, else its records.
  Tally seen() const;
  Tally filtered_before() const { return filtered_before_.value(); }  // by what it watches, before there was a record
  Tally lost_before() const { return lost_before_.value(); }
  AckChannels channels() const;  // of what was emitted, by stages that were there before too
  std::size_t unacknowledged() const { return channel()->unacknowledged(); }
  std::optional<Error> failure() const;  // of run()

 private:
  std::shared_ptr<Waker> waker_ = std::make_shared<Waker>();
  std::shared_ptr<AckChannel> channel_ = std::make_shared<AckChannel>(waker_);
  const bool reads_again_;  // as StageType says
  StageThread thread_;
  AckChannels former_;        // of stages that were there before, where something is not acknowledged
  mutable std::mutex mutex_;  // started_, failure_, channel_, former_
  std::optional<Result<void>> started_;
  std::optional<Error> failure_;
  std::atomic<bool> go_{false};
  std::atomic<bool> paused_{false};
  std::atomic<bool> retiring_{false};
  std::atomic<bool> ending_{false};            // the source's thread: nothing is emitted any more
  std::atomic<bool> end_passed_{false};        // to what comes after it; set under the gate
  mutable std::atomic<bool> saw_stop_{false};  // it was told of retire()
  std::atomic<bool> left_{false};              // set under the gate
  std::atomic<bool> has_status_{false};
  Level seen_, filtered_before_, lost_before_;

  void main(const std::function<void()>& after_start);
  void run_stage();
  void end_input();
  std::shared_ptr<AckChannel> channel() const;
  void serve();  // acknowledgements and posted functions; the source's thread
  void note(const Batch& batch);
  bool may_emit();
  bool emit(Batch batch, Acknowledge acknowledge) override;
  bool ready() const override;
  bool wait(std::chrono::nanoseconds period, int fd) override;
  bool stopping() const override;
  void pass_end();  // under the gate
  bool settle() override;
  using Node::settle;
};

}  // namespace fffa::core
