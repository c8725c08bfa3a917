// SPDX-License-Identifier: MIT
// Runs one stage with given batches and a controlled clock, the way fffa does: through its StageType, guarded.
//
//   auto harness = fffa::testing::Harness::of<Syslog, Config>("host: 127.0.0.1\nport: 5514");
//   EXPECT_TRUE(harness->write(batch).ok());
//   harness->advance(std::chrono::seconds(5));
//   EXPECT_TRUE(harness->context().captured_log().contains("collector"));
//
// Everything happens on the calling thread. The harness depends on no test framework.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "fffa/plugin.h"
#include "fffa/testing/config_text.h"
#include "fffa/testing/context.h"

namespace fffa::testing {

// A batch that a source or aggregator put out.
struct Emitted {
  Batch batch;
  std::vector<Ticket> tickets;  // aggregators; drop them (or worsen() them first) to complete the batch
};

// What a source is to meet.
struct SourceRun {
  std::size_t stop_after_batches = 0;                           // ask to stop after so many batches (0: never) ...
  std::chrono::nanoseconds stop_after = std::chrono::hours(1);  // ... or when the manual clock has moved so far
  std::chrono::milliseconds give_up =
      std::chrono::seconds(10);          // real time, after which the run is abandoned: an error
  Outcome outcome = Outcome::delivered;  // what every batch is acknowledged with, inside the next wait() or settle()
  std::function<void()> on_wait{};       // called in every wait(): make traffic, move files
};

class Harness {
 public:
  // The type's own check() runs first; its complaints are in the error, one a line. `texts` that records carry:
  // context().texts().
  static Result<std::unique_ptr<Harness>> make(const StageType& type, std::string_view yaml = {},
                                               std::unique_ptr<TestContext> context = {});
  // The same for a class under test; throws what went wrong, so that a test fails by itself.
  template <typename Class, typename Config>
  static std::unique_ptr<Harness> of(std::string_view yaml = {}, std::unique_ptr<TestContext> context = {}) {
    static constexpr StageType kType = stage_type<Class, Config>("test", "under test");
    auto made = make(kType, yaml, std::move(context));
    if (!made.ok()) throw Failure(made.error());
    return std::move(*made);
  }
  ~Harness();
  Harness(const Harness&) = delete;
  Harness& operator=(const Harness&) = delete;

  TestContext& context() { return *context_; }
  void advance(std::chrono::nanoseconds by) { context_->advance(by); }
  void run_pending() { context_->run_pending(); }

  // Source: start() and run(); the batches are in emitted(). wait() moves the manual clock by its period, unless its fd
  // is readable.
  Result<void> run(const SourceRun& script = {});
  // Of all emitted batches, how many were acknowledged.
  std::size_t acknowledged() const { return acknowledged_; }

  Result<void> enrich(Batch& batch);

  // Aggregator. What it puts out is in emitted(); without room() it gets resume() only when room comes back.
  Result<void> add(const Batch& batch);
  void set_room(bool room);
  // Input batches that are not complete yet. Outcomes of those that are, in order of completion: outcomes().
  std::size_t pending_tickets() const;
  std::vector<Outcome> outcomes() const;

  // Sink, of either kind; an AsyncSink is flushed and pumped until it completes the batch (an error if it does not
  // within 5 s).
  Result<void> write(const Batch& batch);
  Result<void> close();

  // Destroys the stage, as the host does; context and everything captured stay.
  void destroy();

  std::vector<Emitted>& emitted() { return emitted_; }
  // Takes the emitted batches out, their tickets completed as delivered.
  std::vector<Batch> take();

 private:
  struct Tickets;
  class HarnessOutput;
  class HarnessEmitter;
  class InputTicket;
  Harness(StageKind kind, std::unique_ptr<TestContext> context, std::unique_ptr<Stage> stage);
  Result<void> write_async(const Batch& batch);

  StageKind kind_;
  std::unique_ptr<TestContext> context_;
  std::shared_ptr<Tickets> tickets_;
  std::vector<Emitted> emitted_;
  std::size_t acknowledged_ = 0;
  bool room_ = true;
  std::unique_ptr<Stage> stage_;
};

}  // namespace fffa::testing
