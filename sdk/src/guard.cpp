// SPDX-License-Identifier: MIT
// The guards: what a plugin throws becomes an Error before it reaches the host. One wrapper per stage kind, one for
// the context, whose callbacks (timers, posted functions, background work) run in the host's hands. What a callback
// throws is logged at once, and is the result of the stage's next call, which is then not made (the end of input and
// close() are): such a stage does not go on as if nothing had happened.
#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

#include "fffa/plugin.h"

namespace fffa::detail {

namespace {

// Inside a catch block only.
Error current_error(std::string_view where) noexcept {
  try {
    try {
      throw;
    } catch (const Failure& failure) {
      return failure.error();
    } catch (const std::exception& exception) {
      return fail(std::string(where) + " threw: " + exception.what());
    } catch (...) {
      return fail(std::string(where) + " threw something that is no std::exception");
    }
  } catch (...) {  // no memory for the text
    return {};
  }
}

// The first error of a callback, until a call of the stage reports it.
class Mishap {
 public:
  explicit Mishap(Logger& log) : log_(log) {}

  std::function<void()> guard(const char* where, std::function<void()> function, std::shared_ptr<Mishap> self) {
    return [where, function = std::move(function), self = std::move(self)] {
      try {
        function();
      } catch (...) {
        self->happened(current_error(where));
      }
    };
  }
  void happened(Error error) noexcept {
    try {
      log_.error(error.message);
    } catch (...) {  // the host's logger has its own guard; nothing is left to tell
    }
    const std::lock_guard lock(mutex_);
    if (!first_) first_ = std::move(error);
    any_.store(true, std::memory_order_release);
  }
  std::optional<Error> take() noexcept {
    if (!any_.load(std::memory_order_acquire)) return std::nullopt;
    const std::lock_guard lock(mutex_);
    any_.store(false, std::memory_order_relaxed);
    return std::exchange(first_, std::nullopt);
  }

 private:
  Logger& log_;
  std::mutex mutex_;
  std::atomic<bool> any_{false};
  std::optional<Error> first_;
};

class GuardedContext final : public StageContext {
 public:
  explicit GuardedContext(StageContext& host) : host_(host), mishap_(std::make_shared<Mishap>(host.log())) {}
  Mishap& mishap() { return *mishap_; }

  const std::string& id() const override { return host_.id(); }
  const std::string& type() const override { return host_.type(); }
  Logger& log() override { return host_.log(); }
  Metrics& metrics() override { return host_.metrics(); }
  Clock& clock() override { return host_.clock(); }
  TextTable& texts() override { return host_.texts(); }
  Text host() const override { return host_.host(); }
  Text run_id() const override { return host_.run_id(); }
  Result<std::filesystem::path> state_directory() override { return host_.state_directory(); }
  void post(std::function<void()> function) override {
    host_.post(mishap_->guard("a posted function", std::move(function), mishap_));
  }
  std::unique_ptr<Timer> every(std::chrono::nanoseconds period, std::function<void()> function) override {
    return host_.every(period, mishap_->guard("a timer", std::move(function), mishap_));
  }
  void background(std::function<void()> work) override {
    host_.background(mishap_->guard("background work", std::move(work), mishap_));
  }
  Formatter format(std::string_view name) override { return host_.format(name); }
  void degraded(std::string_view reason) override { host_.degraded(reason); }
  std::chrono::nanoseconds close_time() const override { return host_.close_time(); }

 private:
  StageContext& host_;
  std::shared_ptr<Mishap> mishap_;
};

// The stage goes before the context that it refers to.
template <typename Kind>
class Guarded : public Kind {
 public:
  Guarded(std::unique_ptr<GuardedContext> context, std::unique_ptr<Kind> stage)
      : context_(std::move(context)), stage_(std::move(stage)) {}

 protected:
  template <typename Call>
  Result<void> call(const char* where, Call call) noexcept {
    if (auto error = mishap().take()) return std::move(*error);
    try {
      return call();
    } catch (...) {
      return current_error(where);
    }
  }
  // A call that comes once and that data depends on: a callback's earlier error does not keep it from the stage.
  template <typename Call>
  Result<void> last_call(const char* where, Call last) noexcept {
    auto earlier = mishap().take();
    auto result = call(where, std::move(last));
    return earlier && result.ok() ? Result<void>(std::move(*earlier)) : std::move(result);
  }
  Kind& stage() { return *stage_; }
  Mishap& mishap() { return context_->mishap(); }

 private:
  std::unique_ptr<GuardedContext> context_;
  std::unique_ptr<Kind> stage_;
};

class GuardedOutput final : public Output {
 public:
  GuardedOutput(Output& host, Mishap& mishap) : host_(host), mishap_(mishap) {}
  bool emit(Batch batch, Acknowledge acknowledge) override {
    if (!acknowledge) return host_.emit(std::move(batch));
    return host_.emit(std::move(batch), [&mishap = mishap_, acknowledge = std::move(acknowledge)](Outcome outcome) {
      try {
        acknowledge(outcome);
      } catch (...) {
        mishap.happened(current_error("an acknowledgement"));
      }
    });
  }
  bool ready() const override { return host_.ready(); }
  bool wait(std::chrono::nanoseconds period, int fd) override { return host_.wait(period, fd); }
  bool stopping() const override { return host_.stopping(); }
  bool settle() override { return host_.settle(); }

 private:
  Output& host_;
  Mishap& mishap_;
};

class GuardedSource final : public Guarded<Source> {
 public:
  using Guarded::Guarded;
  Result<void> start() override {
    return call("start()", [&] { return stage().start(); });
  }
  Result<void> run(Output& output) override {
    auto result = call("run()", [&] {
      GuardedOutput guarded(output, mishap());
      return stage().run(guarded);
    });
    if (auto error = mishap().take(); error && result.ok()) return std::move(*error);
    return result;
  }
};

class GuardedEnricher final : public Guarded<Enricher> {
 public:
  using Guarded::Guarded;
  Result<void> enrich(Batch& batch) override {
    return call("enrich()", [&] { return stage().enrich(batch); });
  }
};

class GuardedAggregator final : public Guarded<Aggregator> {
 public:
  using Guarded::Guarded;
  Result<void> add(const Batch& batch, const Ticket& ticket, Emitter& emitter) override {
    const auto add = [&] { return stage().add(batch, ticket, emitter); };
    return batch.watermark == kEndOfInput ? last_call("add()", add) : call("add()", add);
  }
  void resume(Emitter& emitter) override {
    try {
      stage().resume(emitter);
    } catch (...) {
      mishap().happened(current_error("resume()"));
    }
  }
};

class GuardedSink final : public Guarded<Sink> {
 public:
  using Guarded::Guarded;
  Result<void> write(const Batch& batch) override {
    return call("write()", [&] { return stage().write(batch); });
  }
  Result<void> close() override {
    return last_call("close()", [&] { return stage().close(); });
  }
};

// The host's completion, shared between the plugin's and the guard, so that a write() that throws fails the batch
// instead of asking for it again.
class SharedCompletion {
 public:
  explicit SharedCompletion(Completion host) : host_(std::move(host)) {}
  void complete(Result<void> result) noexcept {
    if (told_.exchange(true)) return;
    if (result.ok())
      host_.done();
    else
      host_.error(std::move(result.error()));
  }

 private:
  Completion host_;  // untold when the last share goes: the host counts that as retry
  std::atomic<bool> told_{false};
};

class ForwardCompletion final : public Completion::State {
 public:
  explicit ForwardCompletion(std::shared_ptr<SharedCompletion> shared) : shared_(std::move(shared)) {}
  void complete(Result<void> result) noexcept override { shared_->complete(std::move(result)); }

 private:
  std::shared_ptr<SharedCompletion> shared_;
};

class GuardedAsyncSink final : public Guarded<AsyncSink> {
 public:
  using Guarded::Guarded;
  void write(std::shared_ptr<const Batch> batch, Completion completion) override {
    auto shared = std::make_shared<SharedCompletion>(std::move(completion));
    const auto result = call("write()", [&] {
      stage().write(std::move(batch), Completion(std::make_unique<ForwardCompletion>(shared)));
      return Result<void>{};
    });
    if (!result.ok()) shared->complete(result.error());
  }
  void flush() override {
    try {
      stage().flush();
    } catch (...) {
      mishap().happened(current_error("flush()"));
    }
  }
  Result<void> close() override {
    return last_call("close()", [&] { return stage().close(); });
  }
};

template <typename Guard, typename Kind>
std::unique_ptr<Stage> wrap(std::unique_ptr<GuardedContext> context, std::unique_ptr<Stage> stage) {
  return std::make_unique<Guard>(std::move(context), std::unique_ptr<Kind>(static_cast<Kind*>(stage.release())));
}

}  // namespace

Result<std::unique_ptr<Stage>> create_guarded(StageKind kind, MakeStage make, const ConfigNode& node,
                                              StageContext& host) noexcept {
  try {
    auto context = std::make_unique<GuardedContext>(host);
    auto stage = make(node, *context);
    switch (kind) {
      case StageKind::source: return wrap<GuardedSource, Source>(std::move(context), std::move(stage));
      case StageKind::enricher: return wrap<GuardedEnricher, Enricher>(std::move(context), std::move(stage));
      case StageKind::aggregator: return wrap<GuardedAggregator, Aggregator>(std::move(context), std::move(stage));
      case StageKind::sink: return wrap<GuardedSink, Sink>(std::move(context), std::move(stage));
      case StageKind::async_sink: return wrap<GuardedAsyncSink, AsyncSink>(std::move(context), std::move(stage));
    }
    return fail("unknown stage kind");
  } catch (...) {
    return current_error("the constructor");
  }
}

bool guarded(void (*body)(void*), void* data, std::string& what) noexcept {
  try {
    body(data);
    return true;
  } catch (...) {
    what = current_error("it").message;
    return false;
  }
}

}  // namespace fffa::detail
