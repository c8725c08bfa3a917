// SPDX-License-Identifier: MIT
// A sink, blocking or asynchronous, and its thread: back-off, rejected batches, rebuilding after a fatal error, the end
// of what it wrote to.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "buffer.h"
#include "node.h"
#include "stage_thread.h"

namespace fffa::core {

class SinkNode final : public Node, private Buffer::Host {
 public:
  SinkNode(StageSpec spec, std::shared_ptr<Services> services);
  // Of an AsyncSink: batches and records that are neither completed nor rejected.
  static constexpr std::size_t kMostBatches = 64;
  static constexpr std::size_t kMostRecords = 65536;

  void open() override;
  void wake() override;
  bool join(std::chrono::nanoseconds limit) override;
  void let_go() override;

  // Parked, it offers nothing to its stage, which may then be closed and rebuilt; its batches wait.
  void park(bool parked);
  // Closes and destroys the stage, once what it has in the air was delivered, or after `landing`; what was not waits
  // for the next one. Under the gate, parked. False: its work in the background does not end.
  bool retire(std::chrono::nanoseconds landing, std::chrono::nanoseconds background);
  void leave();  // ends the thread; the stage is retired
  // Nothing waits for it, in its buffer neither.
  bool drained() const;
  Result<void> open_buffer();  // the one of spec(), unless it has it; before build()
  // Another place for what waits, or none: under the gate, retired and drained.
  void close_buffer();
  // Its other end has left for good: what comes is lost, until a reload builds it anew.
  bool gone() const noexcept { return gone_; }

  Tally restored() const override { return restored_.value(); }
  Tally kept() const override;
  std::shared_ptr<Buffer> buffer() const;  // null: none. Any thread

 private:
  struct Item {
    Buffer::Taken taken;
    int tries = 0;
    Monotonic::time_point due{};
    std::uint64_t number = 0;  // in the order in which they came
    bool buffered = false;     // out of the buffer; not so if that came later, by a reload
  };
  // Completions come here from any thread, also after the node is gone.
  struct Completions {
    std::shared_ptr<Waker> waker;
    std::mutex mutex;
    std::vector<std::pair<std::uint64_t, Result<void>>> done;
  };
  class CompletionState;

  std::shared_ptr<Waker> waker_ = std::make_shared<Waker>();
  std::shared_ptr<Completions> completions_ = std::make_shared<Completions>();
  std::shared_ptr<Waker> intake_ = std::make_shared<Waker>();
  StageThread thread_;
  std::atomic<bool> parked_{false};
  std::atomic<bool> leaving_{false};
  std::atomic<bool> gone_{false};
  mutable std::mutex buffer_mutex_;  // who changes these has the gate as well
  std::shared_ptr<Buffer> buffer_;
  std::mutex trouble_mutex_;
  std::string buffer_trouble_;
  // --- the thread's, under the gate
  bool running_ = false;
  std::map<std::uint64_t, Item> in_flight_;
  std::deque<Item> waiting_;  // to be offered (again)
  std::size_t records_ = 0;   // of both
  std::uint64_t next_id_ = 0;
  std::uint64_t taken_ = 0;
  bool ended_ = false;
  bool flushed_ = false;
  bool retiring_ = false;
  bool closed_ = false;
  int rebuilds_ = 0;  // in a row
  Monotonic::time_point rebuild_at_{};
  std::string trouble_;               // what was last said of it in the log; empty: none
  bool given_up_ = false;             // no batch that waits was in trouble: any delivery tells of better times
  int in_a_row_ = 0;                  // deliveries since
  Monotonic::time_point progress_{};  // it delivered something, or got something after it had nothing
  std::minstd_rand random_{std::random_device{}()};
  Counter& retries_;
  Account restored_;

  bool blocking() const noexcept { return spec_.kind == StageKind::sink; }
  void main();
  // Does one thing; how long to sleep until there may be another (0: do not).
  std::chrono::nanoseconds step();
  bool collect();
  bool can_take() const;
  bool at_end() const;  // of the input: nothing is to come
  bool over() const;
  bool leaves_the_rest() const;
  Result<std::optional<Item>> next_item();
  void settle(const Item& item);
  void offer(Item item);
  void finished_item(Item item, Result<void> result);
  void failed_item(Item item, const Error& error);
  void give_up(const Item& item, const char* reason) { give_up(item, reason, item.taken.message.tally); }
  void give_up(const Item& item, const char* reason, const Tally& part);  // the rest is delivered
  void break_down(const Error& error);
  void depart(const Error& error);
  std::chrono::nanoseconds lose_all();
  bool take_down(std::chrono::nanoseconds landing, std::chrono::nanoseconds background);
  void flush();
  void rebuild();
  void close_stage();
  void said(const std::string& trouble, LogLevel level, const std::string& consequence) {
    said(trouble, level, consequence, id());
  }
  // `at`: whose place is named, the stage's or its buffer's.
  void said(const std::string& trouble, LogLevel level, const std::string& consequence, const std::string& at);
  std::chrono::nanoseconds pause_after(int tries);

  // --- as the buffer's host
  std::string placed(const std::string& message) const {
    return services_->log->placed(buffer_of(id()), "buffer: " + message);
  }
  std::optional<Message> take_in() override { return take(); }
  void accepted(Message message) override;
  void settled(const Message& message) override { Node::settle(message); }
  void note_restored(const Tally& tally) override;
  void released(const Tally& tally) override { holding_.remove(tally); }
  void note_lost(const char* reason, const Tally& tally) override { lose(reason, tally); }
  void has_more() override { waker_->signal(); }
  void trouble(const std::string& what, LogLevel level) override;
  void say(LogLevel level, const std::string& message) override {
    services_->log->write_as_it_is(level, id(), placed(message));
  }
};

}  // namespace fffa::core
