// SPDX-License-Identifier: MIT
// For tests: stages made of functions, a log that can be read, and a pipeline builder. No shared library is needed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine.h"

namespace fffa::core::fake {

using namespace std::chrono_literals;
using Factory = std::function<std::unique_ptr<Stage>(StageContext&, const ConfigNode&)>;

// What each stage id is made by; one test at a time.
inline std::map<std::string, Factory>& factories() {
  static std::map<std::string, Factory> all;
  return all;
}

inline Result<std::unique_ptr<Stage>> create(const ConfigNode& config, StageContext& context) noexcept {
  try {
    return factories().at(context.id())(context, config);
  } catch (const Failure& failure) {
    return failure.error();
  } catch (const std::exception& e) {
    return fail(std::string("the constructor threw: ") + e.what());
  }
}

// Options: a value, and something that only one stage may own.
inline ConfigNode options(const std::string& value, const std::string& resource = {}) {
  ConfigNode node;
  node.kind = ConfigNode::Kind::map;
  ConfigNode text;
  text.kind = ConfigNode::Kind::scalar;
  text.value = value;
  node.entries.push_back({"value", {}, text});
  text.value = resource;
  if (!resource.empty()) node.entries.push_back({"resource", {}, text});
  return node;
}

// What the option `resource` names.
inline std::vector<Resource> resources(const ConfigNode& config) noexcept {
  const auto* name = config.find("resource");
  return name ? std::vector<Resource>{{"fake", name->value}} : std::vector<Resource>{};
}

inline FilterPtr filter(std::string_view text) {
  std::vector<FilterProblem> problems;
  auto filter = Filter::parse(text, problems);
  if (!filter) throw std::invalid_argument(problems.front().message);
  return filter;
}

inline const StageType* stage_type(StageKind kind) {
  static const auto all = [] {
    std::vector<StageType> types;
    for (const auto k :
         {StageKind::source, StageKind::enricher, StageKind::aggregator, StageKind::sink, StageKind::async_sink}) {
      auto& type = types.emplace_back();
      type.kind = k;
      type.name = "fake";
      type.create = &create;
      type.resources = &resources;
    }
    return types;
  }();
  return &all[static_cast<std::size_t>(kind)];
}
// Of a source that has `trait` as well: reads_once, reads_again.
template <bool StageType::*trait>
const StageType* source_type() {
  static const auto type = [] {
    StageType with = *stage_type(StageKind::source);
    with.*trait = true;
    return with;
  }();
  return &type;
}

struct FakeSource : Source {
  std::function<Result<void>()> on_start = [] { return Result<void>{}; };
  std::function<Result<void>(Output&)> on_run;
  Result<void> start() override { return on_start(); }
  Result<void> run(Output& output) override { return on_run(output); }
};
struct FakeEnricher : Enricher {
  std::function<Result<void>(Batch&)> on_enrich;
  Result<void> enrich(Batch& batch) override { return on_enrich(batch); }
};
struct FakeAggregator : Aggregator {
  std::function<Result<void>(const Batch&, const Ticket&, Emitter&)> on_add;
  std::function<void(Emitter&)> on_resume = [](Emitter&) {};
  Result<void> add(const Batch& batch, const Ticket& ticket, Emitter& emitter) override {
    return on_add(batch, ticket, emitter);
  }
  void resume(Emitter& emitter) override { on_resume(emitter); }
};
struct FakeSink : Sink {
  std::function<Result<void>(const Batch&)> on_write;
  std::function<Result<void>()> on_close = [] { return Result<void>{}; };
  Result<void> write(const Batch& batch) override { return on_write(batch); }
  Result<void> close() override { return on_close(); }
};
struct FakeAsyncSink : AsyncSink {
  std::function<void(std::shared_ptr<const Batch>, Completion)> on_write;
  std::function<void()> on_flush = [] {};
  void write(std::shared_ptr<const Batch> batch, Completion completion) override {
    on_write(std::move(batch), std::move(completion));
  }
  void flush() override { on_flush(); }
};

class Log final : public LogTarget {
 public:
  void write(LogLevel level, std::string_view stage, std::string_view message) override {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::string(stage) + ": " + std::string(message));
    if (std::getenv("FFFA_TEST_LOG")) std::fprintf(stderr, "%d %s\n", static_cast<int>(level), lines_.back().c_str());
  }
  bool enabled(LogLevel) const override { return true; }
  std::size_t count(std::string_view text) const {
    const std::lock_guard lock(mutex_);
    std::size_t n = 0;
    for (const auto& line : lines_) n += line.find(text) != std::string::npos;
    return n;
  }
  std::string all() const {
    const std::lock_guard lock(mutex_);
    std::string text;
    for (const auto& line : lines_) text += line + "\n";
    return text;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

// A pipeline under construction, and the engine that runs it on a thread of its own.
class Rig {
 public:
  Pipeline pipeline;
  Engine::Options options;
  std::shared_ptr<Log> log = std::make_shared<Log>();

  Rig() {
    factories().clear();
    options.log = log;
    options.tuning.retry_first = 1ms;
    options.tuning.retry_longest = 20ms;
    options.tuning.silent_in_trouble = 200ms;
    options.tuning.leave_behind = 200ms;
    pipeline.settings.metrics_listen.clear();
    pipeline.settings.shutdown_timeout = 10s;
  }
  ~Rig() {
    if (thread_.joinable()) {
      engine->stop();
      thread_.join();
    }
  }

  // Inputs by id; all edges of a stage have `capacity`.
  StageSpec& add(const std::string& id, StageKind kind, Factory factory, const std::vector<std::string>& inputs = {},
                 std::size_t capacity = 65536, OnFull on_full = OnFull::block) {
    StageSpec spec;
    spec.id = id;
    spec.kind = kind;
    spec.type = "fake";
    spec.stage_type = stage_type(kind);
    for (const auto& input : inputs) spec.inputs.push_back({index(input), on_full, capacity, {}});
    if (factory) factories()[id] = std::move(factory);
    pipeline.stages.push_back(std::move(spec));
    return pipeline.stages.back();
  }
  StageSpec& source(const std::string& id, std::function<Result<void>(Output&)> run) {
    auto& spec = add(id, StageKind::source, [run = std::move(run)](StageContext&, const ConfigNode&) {
      auto stage = std::make_unique<FakeSource>();
      stage->on_run = run;
      return stage;
    });
    spec.stamps = true;
    return spec;
  }
  StageSpec& enricher(const std::string& id, std::function<Result<void>(Batch&)> enrich,
                      const std::vector<std::string>& inputs, std::size_t capacity = 65536) {
    return add(
        id, StageKind::enricher,
        [enrich = std::move(enrich)](StageContext&, const ConfigNode&) {
          auto stage = std::make_unique<FakeEnricher>();
          stage->on_enrich = enrich;
          return stage;
        },
        inputs, capacity);
  }
  StageSpec& sink(const std::string& id, std::function<Result<void>(const Batch&)> write,
                  const std::vector<std::string>& inputs, std::size_t capacity = 65536,
                  OnFull on_full = OnFull::block) {
    return add(
        id, StageKind::sink,
        [write = std::move(write)](StageContext&, const ConfigNode&) {
          auto stage = std::make_unique<FakeSink>();
          stage->on_write = write;
          return stage;
        },
        inputs, capacity, on_full);
  }

  std::size_t index(const std::string& id) const {
    for (std::size_t i = 0; i < pipeline.stages.size(); ++i)
      if (pipeline.stages[i].id == id) return i;
    throw std::out_of_range("no stage " + id);
  }

  std::unique_ptr<Engine> engine;
  int run() {
    engine = std::make_unique<Engine>(pipeline, options);
    return engine->run();
  }
  void start() {
    engine = std::make_unique<Engine>(pipeline, options);
    thread_ = std::thread([this] { code_ = engine->run(); });
  }
  int wait() {
    thread_.join();
    return code_;
  }
  int stop() {
    engine->stop();
    return wait();
  }
  // Asks for a change to `next` and waits for it to be done.
  void reload(const Pipeline& next) {
    const std::lock_guard lock(mutex_);
    next_ = next;
    const auto before = engine->reloads();
    engine->request_reload();
    while (engine->reloads() == before) std::this_thread::sleep_for(1ms);
  }
  // Before start(), for tests that reload.
  void can_reload() {
    options.reload = [this]() -> Result<Pipeline> { return next_; };
  }

 private:
  std::thread thread_;
  int code_ = -1;
  std::mutex mutex_;
  Pipeline next_;
};

// `n` records of 2 packets and 100 bytes; first_seen counts up from `first`.
inline Batch batch_of(std::size_t n, TimeNs watermark = 0, std::int64_t first = 1) {
  Batch batch;
  batch.watermark = watermark;
  for (std::size_t i = 0; i < n; ++i) {
    FlowRecord record;
    record.packets = 2;
    record.bytes = 100;
    record.first_seen = record.last_seen = first + static_cast<std::int64_t>(i);
    batch.records.push_back(record);
  }
  return batch;
}

// A source's run(): so many batches, one after the other.
inline std::function<Result<void>(Output&)> emits(int batches, std::size_t records = 1) {
  return [=](Output& out) {
    for (int i = 0; i < batches; ++i) out.emit(batch_of(records, i + 1, 1 + i * static_cast<int>(records)));
    return Result<void>{};
  };
}

// The same, and then it waits to be stopped.
inline std::function<Result<void>(Output&)> emits_and_waits(int batches) {
  return [=](Output& out) {
    auto result = emits(batches)(out);
    while (out.wait(1ms)) {
    }
    return result;
  };
}

template <typename Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit = 10s) {
  for (const auto deadline = Monotonic::now() + limit; !condition();) {
    if (Monotonic::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

}  // namespace fffa::core::fake
