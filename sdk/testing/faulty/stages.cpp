// SPDX-License-Identifier: MIT
// Stage types that do wrong, each in one way, beside one of each kind that does right. The name says what is wrong.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "fffa/plugin.h"

namespace {

using namespace fffa;
using namespace std::chrono_literals;

struct Config {
  std::uint16_t size = 10;
};
FFFA_CONFIG(Config, (size, "how many at once", fffa::range(1, 1000)))

// ---- sources

enum class SourceFault { none, regresses, hangs, wrong_kind, goes_on, fails };

template <SourceFault Fault>
class FaultySource final : public Source {
 public:
  FaultySource(const Config&, StageContext& context) : clock_(context.clock()) {}
  Result<void> run(Output& output) override {
    if constexpr (Fault == SourceFault::fails) return unavailable("no right to capture");
    for (int i = 0; output.wait(1s) || Fault == SourceFault::hangs; ++i) {
      Batch batch;
      batch.watermark = clock_.now() - (Fault == SourceFault::regresses && i == 1 ? 5'000'000'000 : 0);
      batch.records.resize(1);
      batch.records[0].cumulative = Fault == SourceFault::wrong_kind;
      while (!output.emit(batch)) {
        if (Fault != SourceFault::goes_on) return {};
      }
    }
    if constexpr (Fault == SourceFault::goes_on) {
      while (!output.emit({})) {
      }
    }
    return {};
  }

 private:
  Clock& clock_;
};

// ---- enrichers

enum class EnricherFault { none, moves_time, invents, counts, blocks };

template <EnricherFault Fault>
class FaultyEnricher final : public Enricher {
 public:
  FaultyEnricher(const Config&, StageContext& context) : name_(context.texts().intern("name")) {}
  Result<void> enrich(Batch& batch) override {
    for (auto& record : batch) record.set_label(name_, name_);
    if constexpr (Fault == EnricherFault::moves_time) ++batch.watermark;
    if constexpr (Fault == EnricherFault::invents)
      batch.records.resize(batch.size() + 1), batch.records.back().packets = 1;
    if constexpr (Fault == EnricherFault::counts) {
      for (auto& record : batch) record.bytes /= 2;
    }
    if constexpr (Fault == EnricherFault::blocks) std::this_thread::sleep_for(1100ms);
    return {};
  }

 private:
  Text name_;
};

// ---- aggregators

enum class AggregatorFault { none, early, never, loses_late, regresses, unfinished, stuck };

// Puts out what it was given, `size` batches at a time.
template <AggregatorFault Fault>
class FaultyAggregator final : public Aggregator {
 public:
  FaultyAggregator(const Config& config, StageContext&) : size_(config.size) {}
  Result<void> add(const Batch& batch, const Ticket& ticket, Emitter& emitter) override {
    for (const auto& record : batch) {
      const bool late = record.first_seen < watermark_ - 3600'000'000'000;
      if (Fault != AggregatorFault::loses_late || !late) held_.records.push_back(record);
    }
    watermark_ = batch.watermark;
    if constexpr (Fault == AggregatorFault::never) forgotten().push_back(ticket);
    if (Fault != AggregatorFault::early) tickets_.push_back(ticket);
    if (++count_ % size_ == 0 || batch.watermark == kEndOfInput) put_out(emitter);
    return {};
  }
  void resume(Emitter& emitter) override {
    if (waiting_ && Fault != AggregatorFault::stuck) put_out(emitter);
  }

 private:
  static std::vector<Ticket>& forgotten() {
    static std::vector<Ticket> tickets;
    return tickets;
  }
  void put_out(Emitter& emitter) {
    waiting_ = !emitter.room();
    if (waiting_) return;
    held_.watermark = watermark_;
    if (Fault == AggregatorFault::regresses && watermark_ != kEndOfInput && count_ > 3 * size_) held_.watermark = 1;
    if (Fault == AggregatorFault::unfinished && watermark_ == kEndOfInput) held_.watermark = watermark_ - 1;
    emitter.emit(std::exchange(held_, {}), std::exchange(tickets_, {}));
  }

  std::size_t size_;
  std::size_t count_ = 0;
  TimeNs watermark_ = 0;
  bool waiting_ = false;
  Batch held_;
  std::vector<Ticket> tickets_;
};

// ---- sinks

enum class SinkFault {
  none,
  crashes_on_empty,
  crashes_on_second_close,
  leaks_thread,
  leaks_descriptor,
  exits,
  rejects,
  leaves,
  overruns
};

template <SinkFault Fault>
class FaultySink final : public Sink {
 public:
  FaultySink(const Config&, StageContext&) {
    if constexpr (Fault == SinkFault::leaks_thread) std::thread([] { std::this_thread::sleep_for(60s); }).detach();
    if constexpr (Fault == SinkFault::leaks_descriptor) static_cast<void>(!open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
  Result<void> write(const Batch& batch) override {
    if (Fault == SinkFault::crashes_on_empty && batch.empty()) std::abort();
    if (Fault == SinkFault::exits) _exit(0);
    if (Fault == SinkFault::rejects && batch.size() > 20) return reject("too many records");
    if (Fault == SinkFault::leaves && !batch.empty()) return gone("write to the pipe");
    return {};
  }
  Result<void> close() override {
    if (Fault == SinkFault::crashes_on_second_close && closed_) std::abort();
    closed_ = true;
    return {};
  }

 private:
  bool closed_ = false;
};

enum class AsyncFault { none, untold, never };

// Completes at flush().
template <AsyncFault Fault>
class FaultyAsyncSink final : public AsyncSink {
 public:
  FaultyAsyncSink(const Config&, StageContext&) {}
  void write(std::shared_ptr<const Batch>, Completion completion) override {
    if (Fault != AsyncFault::untold) waiting_.push_back(std::move(completion));
  }
  void flush() override {
    if (Fault == AsyncFault::never) return;
    for (auto& completion : std::exchange(waiting_, {})) completion.done();
  }

 private:
  std::vector<Completion> waiting_;
};

// ---- options

struct BadDefault {
  std::uint16_t port = 0;
};
FFFA_CONFIG(BadDefault, (port, "a port", fffa::range(1, 65535)))
struct ReservedOption {
  std::uint16_t queue = 1;
};
FFFA_CONFIG(ReservedOption, (queue, "the host's own"))
struct Undocumented {
  std::uint16_t port = 1;
};
FFFA_CONFIG(Undocumented, (port, ""))

template <typename Options>
class Idle final : public Sink {
 public:
  Idle(const Options&, StageContext&) {}
  Result<void> write(const Batch&) override { return {}; }
};

// Takes any options, as a hand-made type could.
constexpr StageType careless() {
  StageType type = stage_type<Idle<Config>, Config>("careless_sink", "does not look at its options");
  type.check = [](const ConfigNode&, const std::string&, Diagnostics&) noexcept { return true; };
  return type;
}

}  // namespace

FFFA_STAGES(
    stage_type<FaultySource<SourceFault::none>, Config>("good_source", "does right"),
    stage_type<FaultySource<SourceFault::regresses>, Config>("regressing_source", "its watermark goes back"),
    stage_type<FaultySource<SourceFault::hangs>, Config>("hanging_source", "does not stop"),
    stage_type<FaultySource<SourceFault::wrong_kind>, Config>("cumulative_source", "says delta"),
    stage_type<FaultySource<SourceFault::goes_on>, Config>("stubborn_source", "emits for ever"),
    stage_type<FaultySource<SourceFault::fails>, Config>("failing_source", "cannot run here"),
    stage_type<FaultyEnricher<EnricherFault::none>, Config>("good_enricher", "does right"),
    stage_type<FaultyEnricher<EnricherFault::moves_time>, Config>("time_enricher", "changes the watermark"),
    stage_type<FaultyEnricher<EnricherFault::invents>, Config>("inventing_enricher", "adds a record"),
    stage_type<FaultyEnricher<EnricherFault::counts>, Config>("counting_enricher", "changes counters"),
    stage_type<FaultyEnricher<EnricherFault::blocks>, Config>("blocking_enricher", "waits"),
    stage_type<FaultyAggregator<AggregatorFault::none>, Config>("good_aggregator", "does right"),
    stage_type<FaultyAggregator<AggregatorFault::early>, Config>("early_aggregator", "completes its inputs at once"),
    stage_type<FaultyAggregator<AggregatorFault::never>, Config>("never_aggregator", "keeps tickets for ever"),
    stage_type<FaultyAggregator<AggregatorFault::loses_late>, Config>("losing_aggregator", "drops late records"),
    stage_type<FaultyAggregator<AggregatorFault::regresses>, Config>("regressing_aggregator",
                                                                     "its watermark goes back"),
    stage_type<FaultyAggregator<AggregatorFault::unfinished>, Config>("unfinished_aggregator", "does not end"),
    stage_type<FaultyAggregator<AggregatorFault::stuck>, Config>("stuck_aggregator", "does not resume"),
    stage_type<FaultySink<SinkFault::none>, Config>("good_sink", "does right"),
    stage_type<FaultySink<SinkFault::crashes_on_empty>, Config>("crashing_sink", "crashes on an empty batch"),
    stage_type<FaultySink<SinkFault::crashes_on_second_close>, Config>("closing_sink", "crashes on a second close"),
    stage_type<FaultySink<SinkFault::leaks_thread>, Config>("thread_sink", "leaves a thread"),
    stage_type<FaultySink<SinkFault::leaks_descriptor>, Config>("descriptor_sink", "leaves a descriptor"),
    stage_type<FaultySink<SinkFault::exits>, Config>("exiting_sink", "ends the process"),
    stage_type<FaultySink<SinkFault::rejects>, Config>("rejecting_sink", "does not take what it should"),
    stage_type<FaultySink<SinkFault::leaves>, Config>("leaving_sink", "says that nobody is there"),
    stage_type<FaultyAsyncSink<AsyncFault::none>, Config>("good_async_sink", "does right"),
    stage_type<FaultyAsyncSink<AsyncFault::untold>, Config>("untold_async_sink", "drops its completions"),
    stage_type<FaultyAsyncSink<AsyncFault::never>, Config>("never_async_sink", "never completes"),
    stage_type<Idle<BadDefault>, BadDefault>("default_sink", "its default is out of range"),
    stage_type<Idle<ReservedOption>, ReservedOption>("reserved_sink", "takes an option of the host's"),
    stage_type<Idle<Undocumented>, Undocumented>("undocumented_sink", "says nothing of its option"), careless())
