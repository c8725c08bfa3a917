// SPDX-License-Identifier: MIT
// The stage: options, metrics, and FlowCache behind them.
#include "fffa/plugin.h"

#include "flow_cache.h"

namespace fffa::flow_cache {

enum class Mode { interval, cumulative };
FFFA_ENUM(Mode, (interval, "interval", "each flow once per window: what happened in it"),
          (cumulative, "cumulative", "every live flow at every interval: its totals since it began"))

using std::chrono::nanoseconds;
using std::chrono::seconds;

struct Config {
  nanoseconds interval = seconds(5);
  Mode mode = Mode::interval;
  nanoseconds lateness = seconds(5);
  nanoseconds idle_timeout = seconds(60);
  nanoseconds active_timeout = seconds(0);
  ByteSize max_memory{std::uint64_t{1} << 30};
};
FFFA_CONFIG(Config, (interval, "length of a window; windows are its UTC multiples", fffa::range(0.1, 86400)),
            (mode, "what a record covers"),
            (lateness, "a window closes this long after its end, for what arrives late", fffa::range(0, 86400)),
            (idle_timeout, "a flow silent for this long has ended; 0s: never", fffa::range(0, 604800)),
            (active_timeout, "a flow active for this long ends and starts anew; 0s: never", fffa::range(0, 604800)),
            (max_memory, "bound on records held; beyond it the oldest go out early, and are counted",
             fffa::range(4 << 20, 1LL << 44)))

Options options(const Config& config) {
  Options options;
  options.interval = config.interval.count();
  options.lateness = config.lateness.count();
  options.idle_timeout = config.idle_timeout.count();
  options.active_timeout = config.active_timeout.count();
  options.cumulative = config.mode == Mode::cumulative;
  options.max_memory = config.max_memory.bytes;
  return options;
}

class FlowCacheStage final : public Aggregator {
 public:
  FlowCacheStage(Config config, StageContext& context)
      : cache_(options(config)),
        late_(context.metrics().counter("fffa_flow_cache_late_records_total",
                                        "Records for a window that had been closed already")),
        early_(context.metrics().counter("fffa_flow_cache_early_records_total",
                                         "Records emitted before their window closed, for want of memory")),
        records_(context.metrics().gauge("fffa_flow_cache_records", "Records held")),
        memory_(
            context.metrics().gauge("fffa_flow_cache_memory_bytes", "Memory of the records held, and their index")) {}

  static RecordKind emits(const Config& config) {
    return config.mode == Mode::cumulative ? RecordKind::cumulative : RecordKind::delta;
  }

  Result<void> add(const Batch& batch, const Ticket& ticket, Emitter& emitter) override {
    cache_.add(batch, ticket, emitter);
    publish();
    return {};
  }

  void resume(Emitter& emitter) override {
    cache_.resume(emitter);
    publish();
  }

 private:
  FlowCache cache_;
  Counter& late_;
  Counter& early_;
  Gauge& records_;
  Gauge& memory_;
  std::uint64_t late_published_ = 0;
  std::uint64_t early_published_ = 0;

  void publish() {
    late_.add(cache_.late_records() - late_published_);
    early_.add(cache_.early_records() - early_published_);
    late_published_ = cache_.late_records();
    early_published_ = cache_.early_records();
    records_.set(static_cast<double>(cache_.records()));
    memory_.set(static_cast<double>(cache_.memory()));
  }
};

}  // namespace fffa::flow_cache

FFFA_PLUGIN("flow_cache", "merges what happened to each flow over windows of time", fffa::flow_cache::FlowCacheStage,
            fffa::flow_cache::Config)
