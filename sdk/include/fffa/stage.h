// SPDX-License-Identifier: MIT
// The four kinds of stage. The host calls a stage from one thread at a time: an author never locks.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "fffa/batch.h"
#include "fffa/result.h"

namespace fffa {

// How a batch ended. Where several sinks took it, the worst wins: later enumerators are worse.
enum class Outcome : std::uint8_t {
  delivered,  // taken by the sink
  filtered,   // left out on purpose (`when:`)
  lost,       // given up: a full edge that drops, a sink that refused, a deadline
  held,       // still with us when the run ended
};

class Stage {
 public:
  Stage() = default;
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  virtual ~Stage() = default;
};

// ---- Source ----------------------------------------------------------------------------------------------

// Where a source puts its batches. Used on the source's own thread, inside run(), only.
class Output {
 public:
  virtual ~Output() = default;
  // Called once per batch, on the source's thread, inside emit(), wait() or settle().
  using Acknowledge = std::function<void(Outcome)>;

  // Queues the batch on every edge. Blocks while an edge with `on_full: block` has no room. False: the run is being
  // abandoned, nothing blocks any more. The batch reaches nobody, but counts: its interface statuses as ever, its
  // records as lost, and so it is acknowledged. Go on to emit what was measured and is not told yet, statuses above
  // all, or the account is not whole; then return from run(), within a second or so. A batch of a source with
  // `reads_again` (plugin.h) does not count then, nor do its statuses: it is acknowledged as held, and comes again.
  virtual bool emit(Batch batch, Acknowledge acknowledge = {}) = 0;
  // True if emit() would not block. A source that merges what it has not emitted yet asks first.
  virtual bool ready() const = 0;
  // Waits for `period`, or until stop is requested, or until `fd` (-1: none) is readable. False once stop was
  // requested.
  virtual bool wait(std::chrono::nanoseconds period, int fd = -1) = 0;
  virtual bool stopping() const = 0;
  // Ends the input (watermark = kEndOfInput goes to every edge) and waits until every emitted batch is acknowledged, or
  // the shutdown deadline. False at the deadline. Optional: the host ends the input when run() returns.
  virtual bool settle() = 0;
};

class Source : public Stage {
 public:
  // Runs on a thread of its own until the input ends or output.stopping(); then emits what is left and returns. May
  // block. Everything that can fail for want of privilege, file or kernel feature fails here or in the constructor,
  // with a message that says what is missing.
  virtual Result<void> run(Output& output) = 0;
  // Called once on that thread before run(), when all stages are built: attach, open, subscribe. After it the source
  // counts as ready.
  virtual Result<void> start() { return {}; }
};

// ---- Enricher --------------------------------------------------------------------------------------------

class Enricher : public Stage {
 public:
  // Fills in fields of batch.records and batch.interfaces in place; may drop records only if its documentation says so.
  // Never blocks: look-ups run in StageContext::background() and fill a cache; a miss leaves null. An error is
  // counted, and the batch passes as the enricher left it.
  virtual Result<void> enrich(Batch& batch) = 0;
};

// ---- Aggregator ------------------------------------------------------------------------------------------

// Keeps a source's batch unacknowledged while a copy lives. Cheap to copy; any thread. When the last copy is gone the
// batch completes with the worst outcome that was set (delivered if none).
class Ticket {
 public:
  class State {
   public:
    virtual ~State() = default;  // completes
    virtual void worsen(Outcome outcome) noexcept = 0;
  };
  Ticket() = default;
  explicit Ticket(std::shared_ptr<State> state) : state_(std::move(state)) {}
  void worsen(Outcome outcome) const noexcept {
    if (state_) state_->worsen(outcome);
  }
  explicit operator bool() const noexcept { return static_cast<bool>(state_); }

 private:
  std::shared_ptr<State> state_;
};

// Where an aggregator puts what it made. Used inside add() and resume() only.
class Emitter {
 public:
  virtual ~Emitter() = default;
  // Queues the batch on every edge. `tickets`: one of every input that went into it; they complete when this batch
  // does. Never blocks.
  virtual void emit(Batch batch, std::vector<Ticket> tickets) = 0;
  // False: an edge is full. Stop emitting and return; resume() is called when there is room, and no input comes before
  // that. Emitting all the same is allowed and only costs memory.
  virtual bool room() const = 0;
};

class Aggregator : public Stage {
 public:
  // Takes a batch in; emits what its watermark closes. On kEndOfInput everything goes out. Keep a copy of `ticket` with
  // every part of state that the batch went into, and hand it to emit() with that part.
  virtual Result<void> add(const Batch& batch, const Ticket& ticket, Emitter& emitter) = 0;
  // There is room again: go on with what room() stopped.
  virtual void resume(Emitter& emitter) { static_cast<void>(emitter); }
};

// ---- Sink ------------------------------------------------------------------------------------------------

class Sink : public Stage {
 public:
  // Takes the whole batch or none of it. Runs on a thread of the sink's own: it may block. Success completes the batch
  // as delivered. retry(...): the same batch comes again after a pause that grows from 0.1 s to 10 s. reject(...):
  // `on_reject` decides. fail(...): fatal. gone(...): nobody will ever take anything again, nothing more is written.
  virtual Result<void> write(const Batch& batch) = 0;
  // After the last batch, or before a rebuild: make durable what was written. Called once.
  virtual Result<void> close() { return {}; }
};

// Told once what became of a batch; any thread. Dropping it untold counts as retry.
class Completion {
 public:
  class State {
   public:
    virtual ~State() = default;
    virtual void complete(Result<void> result) noexcept = 0;
  };
  explicit Completion(std::unique_ptr<State> state) : state_(std::move(state)) {}
  void done() { finish({}); }
  void error(Error error) { finish(std::move(error)); }

 private:
  std::unique_ptr<State> state_;
  void finish(Result<void> result) {
    if (auto state = std::move(state_)) state->complete(std::move(result));
  }
};

// For sinks with batches in flight: write() returns at once and completes later, in any order.
class AsyncSink : public Stage {
 public:
  virtual void write(std::shared_ptr<const Batch> batch, Completion completion) = 0;
  // Asks to hand over everything in flight; the host waits for the completions until the deadline. Then close().
  virtual void flush() {}
  virtual Result<void> close() { return {}; }
};

}  // namespace fffa
