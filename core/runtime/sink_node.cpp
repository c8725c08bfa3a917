// SPDX-License-Identifier: MIT
#include "sink_node.h"

#include <algorithm>

namespace fffa::core {

using namespace std::chrono_literals;
namespace {
constexpr std::chrono::nanoseconds kForever = -1ns;
constexpr auto kBackgroundLimit = 5s;
constexpr auto kLook = 50ms;  // whether the rest is to be left on disk
constexpr auto kLandingInTrouble = 1s;
constexpr int kDeliversAgain = 3;                   // in a row: rejections among deliveries are not said one by one
constexpr const char* kBrokenPipe = "broken_pipe";  // why batches of a sink that is gone are lost

// Of a batch, never more than all of it.
Tally refused(const Error& error, const Tally& all) {
  const auto& part = error.refused;
  if (part.records == 0) return all;
  return {std::min(static_cast<std::int64_t>(part.records), all.records),
          std::min(static_cast<std::int64_t>(part.packets), all.packets),
          std::min(static_cast<std::int64_t>(part.bytes), all.bytes)};
}

}  // namespace

class SinkNode::CompletionState final : public Completion::State {
 public:
  CompletionState(std::shared_ptr<Completions> to, std::uint64_t id) : to_(std::move(to)), id_(id) {}
  ~CompletionState() override {
    if (!told_) complete(retry("the sink let go of the batch untold"));
  }
  void complete(Result<void> result) noexcept override {
    if (std::exchange(told_, true)) return;
    {
      const std::lock_guard lock(to_->mutex);
      to_->done.emplace_back(id_, std::move(result));
    }
    to_->waker->signal();
  }

 private:
  std::shared_ptr<Completions> to_;
  std::uint64_t id_;
  bool told_ = false;
};

SinkNode::SinkNode(StageSpec spec, std::shared_ptr<Services> services)
    : Node(std::move(spec), std::move(services)),
      retries_(services_->metrics.counter("fffa_sink_retries_total", "Batches that were offered again",
                                          {{"stage", id_}, {"type", type_}})),
      restored_(account("buffer_restored", "that an earlier run left in the buffer")) {
  completions_->waker = waker_;
}

void SinkNode::open() {
  open_context();
  running_ = true;
  if (buffer_) buffer_->start(shared_from_this());
  thread_.start([self = shared_from_this(), this] { main(); });
}

void SinkNode::wake() {
  waker_->signal();
  intake_->signal();
}

bool SinkNode::join(std::chrono::nanoseconds limit) {
  const auto buffer = this->buffer();
  return thread_.join(limit) && (!buffer || buffer->join(limit));
}

void SinkNode::let_go() {
  thread_.let_go();
  if (const auto buffer = this->buffer()) buffer->let_go();
}

void SinkNode::park(bool parked) {
  parked_ = parked;
  wake();
}

void SinkNode::leave() {
  leaving_ = true;
  wake();
}

void SinkNode::main() {
  bool leaves = false;
  for (bool over = false; !over && !services_->abandoned;) {
    std::chrono::nanoseconds pause = 0ns;
    {
      const std::lock_guard lock(gate_);
      run_tasks();
      pause = step();
      leaves = leaves_the_rest();
      over = leaving_ || leaves || this->over();
      const bool may_leave = services_->stopping && buffer_ && buffer_->keeps();
      if (may_leave && (pause < 0ns || pause > kLook)) pause = kLook;
    }
    if (!over && pause != 0ns) waker_->sleep(pause);
  }
  if (const auto buffer = this->buffer(); buffer && !services_->abandoned) buffer->stop();
  {
    const std::lock_guard lock(gate_);
    collect();
    if (!leaving_) let_close_take(std::chrono::nanoseconds(services_->shutdown_timeout));
    close_stage();
    collect();  // what close() completed is delivered, not held
    if (leaves && !kept().empty())
      log().info("delivers nothing: it is closed, and what it has not delivered stays in its buffer");
  }
  finish();
}

bool SinkNode::at_end() const {
  return buffer_ ? buffer_->ended() && buffer_->empty() : ended_;
}

bool SinkNode::over() const {
  if (parked_) return false;
  if (at_end() && in_flight_.empty() && waiting_.empty()) return true;
  return gone_ && buffer_ && buffer_->keeps() && buffer_->ended();
}

// What is on disk may stay there, what is in the air included: it is marked on delivery only. A run that stops does not
// wait for a sink that delivers nothing.
bool SinkNode::leaves_the_rest() const {
  if (!services_->stopping || parked_ || gone_ || !buffer_ || !buffer_->keeps() || !buffer_->ended()) return false;
  const bool all_on_disk = std::ranges::all_of(waiting_, &Item::buffered) &&
                           std::ranges::all_of(in_flight_, [](const auto& entry) { return entry.second.buffered; });
  const bool has_some = !in_flight_.empty() || !waiting_.empty();  // else it has not had a chance
  if (!all_on_disk || (stage_ && !has_some)) return false;
  const bool in_trouble = !trouble_.empty() || !stage_ || says_degraded();
  const auto& tuning = services_->tuning;
  return Monotonic::now() - progress_ >= (in_trouble ? tuning.silent_in_trouble : tuning.silent);
}

std::chrono::nanoseconds SinkNode::step() {
  if (collect()) return 0ns;
  if (parked_) return kForever;
  if (gone_) return buffer_ && buffer_->keeps() ? kForever : lose_all();
  const auto now = Monotonic::now();
  if (!stage_) {
    if (rebuild_at_ > now) return rebuild_at_ - now;
    rebuild();
    return 0ns;
  }
  const auto next =
      std::min_element(waiting_.begin(), waiting_.end(), [](const Item& a, const Item& b) { return a.due < b.due; });
  if (next != waiting_.end() && next->due <= now) {
    auto item = std::move(*next);
    waiting_.erase(next);
    offer(std::move(item));
    return 0ns;
  }
  if (can_take()) {
    auto item = next_item();
    if (!item) {
      said("buffer: " + item.error().message, LogLevel::error, "tried again", buffer_of(id()));
      given_up_ = true;
      return services_->tuning.retry_longest;
    }
    if (*item) {
      offer(std::move(**item));
      return 0ns;
    }
  }
  if (at_end() && !blocking() && !flushed_ && !in_flight_.empty()) {
    flush();
    return 0ns;
  }
  return next == waiting_.end() ? kForever : std::max<std::chrono::nanoseconds>(next->due - now, 1ms);
}

// Of a sink that is gone.
std::chrono::nanoseconds SinkNode::lose_all() {
  for (; !waiting_.empty(); waiting_.pop_front()) give_up(waiting_.front(), kBrokenPipe);
  for (auto item = next_item(); item && *item; item = next_item()) give_up(**item, kBrokenPipe);
  return kForever;
}

// What is to be offered next, out of the buffer if there is one.
Result<std::optional<SinkNode::Item>> SinkNode::next_item() {
  std::optional<Item> item;
  if (buffer_) {
    auto taken = buffer_->next();
    if (!taken) return taken.error();
    if (*taken) item = Item{std::move(**taken)};
  } else if (auto message = take()) {
    ended_ = ended_ || message->batch->watermark == kEndOfInput;
    item = Item{{std::move(*message)}};
  }
  if (item) {
    if (in_flight_.empty() && waiting_.empty()) progress_ = Monotonic::now();
    item->buffered = buffer_ != nullptr;
    item->number = taken_++;
    records_ += item->taken.message.cost;
  }
  return item;
}

// It is delivered, or given up.
void SinkNode::settle(const Item& item) {
  records_ -= item.taken.message.cost;
  if (!item.taken.message.batch->empty()) progress_ = Monotonic::now();
  item.buffered ? buffer_->done(item.taken) : Node::settle(item.taken.message);
}

bool SinkNode::can_take() const {
  const auto batches = in_flight_.size() + waiting_.size();
  return blocking() ? batches == 0 : batches < kMostBatches && records_ < kMostRecords;
}

bool SinkNode::collect() {
  std::vector<std::pair<std::uint64_t, Result<void>>> done;
  {
    const std::lock_guard lock(completions_->mutex);
    done.swap(completions_->done);
  }
  // Successes first: a fatal error makes everything else that is in flight be offered again.
  std::stable_partition(done.begin(), done.end(), [](const auto& entry) { return entry.second.ok(); });
  for (auto& [id, result] : done) {
    const auto at = in_flight_.find(id);
    if (at == in_flight_.end()) continue;
    auto item = std::move(at->second);
    in_flight_.erase(at);
    finished_item(std::move(item), std::move(result));
  }
  return !done.empty();
}

void SinkNode::offer(Item item) {
  if (item.tries > 0) retries_.add();
  if (blocking()) {
    auto result = guarded("write()", [&] { return static_cast<Sink&>(*stage_).write(*item.taken.message.batch); });
    return finished_item(std::move(item), std::move(result));
  }
  const auto id = next_id_++;
  auto batch = item.taken.message.batch.share();
  in_flight_.emplace(id, std::move(item));
  flushed_ = false;
  const auto result = guarded("write()", [&]() -> Result<void> {
    static_cast<AsyncSink&>(*stage_).write(std::move(batch),
                                           Completion(std::make_unique<CompletionState>(completions_, id)));
    return {};
  });
  if (!result) break_down(result.error());
}

void SinkNode::finished_item(Item item, Result<void> result) {
  if (!result) return failed_item(std::move(item), result.error());
  sent_.add(item.taken.message.tally);
  rebuilds_ = 0;
  if (!trouble_.empty() && (given_up_ || item.tries > 0)) {
    recover();
    if (!given_up_ || ++in_a_row_ == kDeliversAgain) {
      log().info("delivers again");
      trouble_.clear();
    }
  }
  settle(item);
}

void SinkNode::failed_item(Item item, const Error& error) {
  errors_->add();
  if (gone_ && !(buffer_ && buffer_->keeps())) return give_up(item, kBrokenPipe);
  const auto now = Monotonic::now();
  switch (error.disposition) {
    case Disposition::retry:
      said(error.message, LogLevel::warning, "tried again until it succeeds");
      item.due = now + pause_after(item.tries++);
      break;
    case Disposition::reject:
      if (spec_.on_reject == OnReject::drop) {
        said(error.message, LogLevel::error, "rejected batches are dropped (on_reject: drop)");
        given_up_ = true;
        return give_up(item, "rejected", refused(error, item.taken.message.tally));
      }
      said(error.message, LogLevel::error,
           std::string("the rejected batch is held until the sink takes it") +
               (spec_.on_reject == OnReject::hold ? " (on_reject: hold)" : ""));
      item.due = now + services_->tuning.retry_longest;
      ++item.tries;
      break;
    case Disposition::fatal:
    case Disposition::unavailable:
      item.due = now;
      ++item.tries;
      waiting_.push_back(std::move(item));
      return break_down(error);
    case Disposition::gone:
      if (!buffer_ || !buffer_->keeps()) {
        give_up(item, kBrokenPipe);
      } else {
        waiting_.push_back(std::move(item));
      }
      return break_down(error);
  }
  waiting_.push_back(std::move(item));
}

void SinkNode::give_up(const Item& item, const char* reason, const Tally& part) {
  lose(reason, part);
  sent_.add(item.taken.message.tally - part);
  if (item.taken.message.ack) item.taken.message.ack->worsen(Outcome::lost);
  settle(item);
}

// One line when trouble starts or changes, not one a batch.
void SinkNode::said(const std::string& trouble, LogLevel level, const std::string& consequence, const std::string& at) {
  given_up_ = false;
  in_a_row_ = 0;
  services_->health.degrade(id(), services_->log->placed(at, trouble));
  if (trouble == trouble_) return;
  trouble_ = trouble;
  services_->log->write_as_it_is(level, id(), services_->log->placed(at, trouble + ": " + consequence));
}

void SinkNode::break_down(const Error& error) {
  if (error.disposition == Disposition::gone) return depart(error);
  said(error.message, LogLevel::error, "the sink is closed and built again, its batches are kept");
  if (retiring_) return;
  static_cast<void>(take_down(kBackgroundLimit, kBackgroundLimit));
  rebuild_at_ = Monotonic::now() + pause_after(rebuilds_++);
}

void SinkNode::depart(const Error& error) {
  if (gone_.exchange(true)) return;
  degrade(error.message);
  log().error(error.message + (buffer_ && buffer_->keeps()
                                   ? ": the sink is closed, what comes waits in its buffer"
                                   : ": the sink is closed, what was not delivered and what still comes is lost"));
  if (!retiring_) static_cast<void>(take_down(kBackgroundLimit, kBackgroundLimit));
  services_->main.signal();
}

bool SinkNode::retire(std::chrono::nanoseconds landing, std::chrono::nanoseconds background) {
  // What a sink in trouble has in the air will not land soon.
  if (!trouble_.empty()) landing = std::min<std::chrono::nanoseconds>(landing, kLandingInTrouble);
  const bool down = take_down(landing, background);
  gone_ = false;  // the stage to come may find somebody there
  return down;
}

bool SinkNode::take_down(std::chrono::nanoseconds landing, std::chrono::nanoseconds background) {
  retiring_ = true;
  if (stage_ && !blocking() && !in_flight_.empty()) {
    flush();
    for (const auto deadline = Monotonic::now() + landing;
         !in_flight_.empty() && Monotonic::now() < deadline && !services_->abandoned;) {
      run_tasks();  // a sink may complete from a timer or a posted function
      if (!collect()) std::this_thread::sleep_for(1ms);
    }
  }
  close_stage();
  const bool down = demolish(background);
  // What the stage did not complete before it went is offered again, to the next one, in the order in which it came.
  collect();
  for (auto& [id, item] : in_flight_) {
    ++item.tries;
    waiting_.push_back(std::move(item));
  }
  in_flight_.clear();
  std::ranges::sort(waiting_, {}, &Item::number);
  for (auto& item : waiting_) item.due = {};
  retiring_ = false;
  closed_ = false;
  return down;
}

void SinkNode::flush() {
  flushed_ = true;
  static_cast<void>(guarded("flush()", [this]() -> Result<void> {
    static_cast<AsyncSink&>(*stage_).flush();
    return {};
  }));
}

void SinkNode::rebuild() {
  count_rebuild();
  auto result = open_buffer();
  const auto at = result ? id() : buffer_of(id());
  if (result) result = build();
  if (!result) {
    if (result.error().disposition == Disposition::gone) return depart(result.error());
    said("rebuild: " + result.error().message, LogLevel::error, "tried again", at);
    rebuild_at_ = Monotonic::now() + pause_after(rebuilds_++);
    return;
  }
  if (trouble_.empty()) recover();  // a reload could not bring it back
  given_up_ = std::ranges::none_of(waiting_, [](const Item& item) { return item.tries > 0; });
}

void SinkNode::close_stage() {
  if (!stage_ || std::exchange(closed_, true)) return;
  const auto result = guarded("close()", [this] {
    return blocking() ? static_cast<Sink&>(*stage_).close() : static_cast<AsyncSink&>(*stage_).close();
  });
  if (result || (gone_ && result.error().disposition == Disposition::gone)) return;  // it is said
  services_->lost_uncounted = true;
  errors_->add();
  log().error("close: " + result.error().message);
}

std::chrono::nanoseconds SinkNode::pause_after(int tries) {
  const auto& tuning = services_->tuning;
  auto pause = tuning.retry_first;
  for (int i = 0; i < tries && pause < tuning.retry_longest; ++i) pause *= 2;
  pause = std::min(pause, tuning.retry_longest);
  // Between half and all of it, so that many hosts do not come back at once.
  return pause / 2 +
         std::chrono::nanoseconds(std::uniform_int_distribution<std::int64_t>(0, pause.count() / 2)(random_));
}

}  // namespace fffa::core
