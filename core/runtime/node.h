// SPDX-License-Identifier: MIT
// Node: one stage of the running graph with its inbox, accounts and outputs. Kinds: SourceNode, EnricherNode,
// AggregatorNode, SinkNode.
//
// Threads. A stage is called under `gate_` only, by its strand or thread, or by the engine while it rebuilds. Producers
// push into the inbox (its own lock) and wake the node; the consumer wakes the producer when an edge that was full is
// half empty. A node that cannot go on returns, so no thread of the pool ever waits.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "context.h"
#include "edge.h"

namespace fffa::core {

class Node : public std::enable_shared_from_this<Node> {
 public:
  Node(StageSpec spec, std::shared_ptr<Services> services);
  virtual ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // --- life, by the engine
  Result<void> build();  // makes the stage of spec(); may open files, does not start anything
  // build() in two steps: a stage that this node may have later on, while it still has another one.
  struct Posted {  // what it posts waits here until it is adopted
    Tasks tasks;
    std::atomic<bool> adopted{false};
  };
  struct Made {
    std::shared_ptr<Posted> posted;
    std::unique_ptr<Context> context;
    std::unique_ptr<Stage> stage;
  };
  Result<Made> make(const StageSpec& spec);
  void adopt(Made made);    // under the gate; the node has no stage
  void discard(Made made);  // it will not be needed
  virtual void open() = 0;  // from now on it runs; once
  // Calls `body` between two calls of the stage, under the gate. False if the stage was not free within `limit` (then
  // it will not be called).
  bool exclusively(std::chrono::nanoseconds limit, const std::function<void()>& body);
  // Ends the stage's life, under the gate. False: its background work does not end; the stage is left behind, not
  // destroyed.
  bool demolish(std::chrono::nanoseconds limit);
  void count_rebuild();
  void respec(StageSpec spec);  // what build() makes next; under the gate
  virtual void wake() = 0;      // something has changed: room, a message, a task. Any thread
  // Waits for its thread, if it has one. False if it did not end by `limit`.
  virtual bool join(std::chrono::nanoseconds limit);
  virtual void let_go() {}  // join() failed for good: nobody waits for the thread any more
  void post(std::function<void()> task);

  // --- wiring; reload only while nothing flows
  struct Target {
    std::shared_ptr<Node> node;
    EdgePtr edge;
  };
  void set_outputs(std::vector<Target> outputs);  // under the gate
  struct Input {
    EdgePtr edge;
    std::weak_ptr<Node> from;
    bool fresh = false;  // its producer begins anew: an end that came before does not count
  };
  // True: all these inputs have ended before, and no message of theirs will bring the end: push one.
  [[nodiscard]] bool set_inputs(std::vector<Input> inputs);
  std::vector<EdgePtr> inputs() const;

  // --- what others may ask, any thread
  const StageSpec& spec() const noexcept { return spec_; }
  const std::string& id() const noexcept { return id_; }
  bool ended() const noexcept { return finished_.load(); }  // it has seen its last batch, and passed on what came of it
  // What comes after it has learnt, or will from what is on its way, that this input has ended.
  virtual bool sent_end() const noexcept { return ended(); }
  bool idle() const noexcept { return pending_.load() == 0; }
  bool built() const noexcept { return built_.load(); }
  bool uses_state() const { return context_ && context_->uses_state(); }  // under the gate
  TimeNs watermark() const noexcept { return watermark_.load(); }
  std::size_t queued() const;  // records in the inbox
  // The call that is under way and since when (0: none).
  struct Call {
    const char* what = nullptr;
    std::int64_t since = 0;
  };
  Call call() const noexcept { return {call_what_.load(), call_since_.load()}; }

  // --- accounts: what came to this stage and what became of it here
  Tally received() const { return received_.value(); }
  Tally sent() const { return sent_.value(); }
  Tally filtered() const { return filtered_.value(); }
  Tally lost() const;  // all reasons
  virtual Tally held() const { return inbox_level_.value() + holding_.value(); }
  virtual Tally restored() const { return {}; }  // what an earlier run left to this one
  virtual Tally kept() const { return {}; }      // of what is held: what the next run will restore

  // A producer's push. What the edge's filter refuses is taken out first; an edge that is full and drops takes the time
  // of the batch, not its records.
  void push(const EdgePtr& edge, BatchRef batch, AckPtr ack);

 protected:
  std::shared_ptr<Services> services_;
  const std::string id_, type_;  // of every spec that it gets: any thread may read them
  StageSpec spec_;
  std::mutex gate_;
  std::unique_ptr<Stage> stage_;
  std::atomic<bool> finished_{false};
  std::atomic<bool> built_{false};
  std::atomic<int> pending_{0};  // messages that are queued or being worked on
  std::atomic<TimeNs> watermark_{0};
  Level holding_;  // taken from the inbox, and not finished
  Account received_, sent_, filtered_;
  Counter* errors_ = nullptr;
  Tasks tasks_;

  Logger& log() { return log_; }
  // Runs what was posted. Under the gate.
  void run_tasks() { tasks_.run(); }
  std::optional<Message> take();        // the next message, its watermark merged over the inputs
  void settle(const Message& message);  // undoes what take() noted
  void lose(const char* reason, const Tally& tally);
  // `part`: as in "stage_received".
  Account account(const std::string& part, const std::string& help, const std::string& reason = {});
  bool has_room() const;                  // on every output that blocks; under the gate
  void send(BatchRef batch, AckPtr ack);  // to every output; under the gate
  void send_end();                        // the end of input, to every output; under the gate
  // Numbers and dates the records, if this stage's are the ones that leave.
  void stamp(Batch& batch, bool from_source) const;
  void degrade(const std::string& reason) { services_->health.degrade(id(), services_->log->placed(id(), reason)); }
  void recover() { services_->health.recover(id()); }
  bool says_degraded() const { return context_ && context_->is_degraded(); }  // under the gate
  void finish();                                                              // ended() from now on
  void open_context();
  void let_close_take(std::chrono::nanoseconds time);

  template <typename F>
  static Result<void> caught(const char* what, F&& call) noexcept;
  // Calls the stage: watched, and nothing it throws gets further. `result` is a Result<void>.
  template <typename F>
  Result<void> guarded(const char* what, F&& call) noexcept;

 private:
  class NodeLogger final : public Logger {
   public:
    explicit NodeLogger(Node& node) : node_(node) {}
    void log(LogLevel level, std::string_view message) override {
      node_.services_->log->write(level, node_.id(), message);
    }
    bool enabled(LogLevel level) const override { return node_.services_->log->enabled(level); }

   private:
    Node& node_;
  };

  NodeLogger log_{*this};
  std::unique_ptr<Context> context_;
  bool opened_ = false;
  mutable std::mutex inbox_mutex_;
  std::deque<Message> inbox_;
  std::vector<EdgePtr> inputs_;
  std::vector<Target> outputs_;
  Level inbox_level_;
  mutable std::mutex lost_mutex_;
  std::map<std::string, Account, std::less<>> lost_;
  std::atomic<const char*> call_what_{nullptr};
  std::atomic<std::int64_t> call_since_{0};

  void filter(const Filter& when, BatchRef& batch, const AckPtr& ack);
  static Error thrown(const char* what) noexcept;  // inside a catch block
};

template <typename F>
Result<void> Node::guarded(const char* what, F&& call) noexcept {
  call_what_ = what;
  call_since_ = Monotonic::now().time_since_epoch().count();
  Result<void> result;
  try {
    result = call();
  } catch (...) {
    result = thrown(what);
  }
  call_since_ = 0;
  return result;
}

// A description for people: "flows (flow_cache)".
std::string describe(const StageSpec& spec);

}  // namespace fffa::core
