// SPDX-License-Identifier: MIT
// Stage types for the tests of the command line. Each is small, and does what it says.
#include <stdexcept>

#include "fffa/plugin.h"

namespace {

using namespace std::chrono_literals;

enum class Mode { interval, cumulative };
FFFA_ENUM(Mode, (interval, "interval", "what happened since the last record"),
          (cumulative, "cumulative", "totals so far"))

struct CounterConfig {
  std::uint32_t records = 10;
  std::chrono::nanoseconds pause = 1ms;
  std::vector<std::string> interfaces = {"auto"};
};
FFFA_CONFIG(CounterConfig, (records, "how many, then the input ends", fffa::range(0, 1'000'000)),
            (pause, "between two"), (interfaces, "of no meaning"))

// A source of empty records.
class Counter final : public fffa::Source {
 public:
  Counter(CounterConfig config, fffa::StageContext&) : config_(std::move(config)) {}
  static fffa::Probe probe() {
    return {{{fffa::Finding::Level::ok, "numbers", "as many as you like", ""}},
            {{"num0", 7, "up", "192.0.2.1", "none"}}};
  }
  fffa::Result<void> run(fffa::Output& output) override {
    for (std::uint32_t i = 0; i < config_.records && output.wait(config_.pause); ++i) {
      fffa::Batch batch;
      batch.records.emplace_back();
      batch.watermark = i + 1;
      if (!output.emit(std::move(batch))) break;
    }
    return {};
  }

 private:
  CounterConfig config_;
};

struct Nothing {};
FFFA_CONFIG(Nothing)

class Pass final : public fffa::Enricher {
 public:
  Pass(Nothing, fffa::StageContext&) {}
  fffa::Result<void> enrich(fffa::Batch&) override { return {}; }
};

struct TotalsConfig {
  Mode mode = Mode::interval;
  std::chrono::nanoseconds interval = 5s;
};
FFFA_CONFIG(TotalsConfig, (mode, "what comes out"), (interval, "of a window", fffa::range(1s, 1h)))

class Totals final : public fffa::Aggregator {
 public:
  Totals(TotalsConfig, fffa::StageContext&) {}
  static fffa::RecordKind emits(const TotalsConfig& config) {
    return config.mode == Mode::cumulative ? fffa::RecordKind::cumulative : fffa::RecordKind::delta;
  }
  fffa::Result<void> add(const fffa::Batch& batch, const fffa::Ticket& ticket, fffa::Emitter& emitter) override {
    emitter.emit(batch, {ticket});
    return {};
  }
};

struct CollectConfig {
  std::filesystem::path file = "-";
  fffa::Secret password{"none"};
};
FFFA_CONFIG(CollectConfig, (file, "where to"), (password, "for it"))

class Collect final : public fffa::Sink {
 public:
  Collect(const CollectConfig&, fffa::StageContext&) {}
  static std::vector<fffa::Resource> resources(const CollectConfig& config) {
    return config.file == "-" ? std::vector<fffa::Resource>{}
                              : std::vector<fffa::Resource>{{"file", config.file.string()}};
  }
  fffa::Result<void> write(const fffa::Batch&) override { return {}; }
};

// Broken on purpose.
class ThrowsAtBirth final : public fffa::Sink {
 public:
  ThrowsAtBirth(Nothing, fffa::StageContext&) { throw std::runtime_error("no life for me"); }
  fffa::Result<void> write(const fffa::Batch&) override { return {}; }
};
class NeedsPrivilege final : public fffa::Source {
 public:
  NeedsPrivilege(Nothing, fffa::StageContext&) {}
  fffa::Result<void> start() override { return fffa::unavailable("attach to num0: CAP_NUMBERS is missing"); }
  fffa::Result<void> run(fffa::Output&) override { return {}; }
};
class Rejects final : public fffa::Sink {
 public:
  Rejects(Nothing, fffa::StageContext&) {}
  fffa::Result<void> write(const fffa::Batch&) override { return fffa::reject("take the batch"); }
};

}  // namespace

FFFA_STAGES(fffa::stage_type<Counter, CounterConfig>("counter", "some records, one after the other"),
            fffa::stage_type<Pass, Nothing>("pass", "lets everything pass"),
            fffa::stage_type<Totals, TotalsConfig>("totals", "adds up, as far as a test needs it"),
            fffa::stage_type<Collect, CollectConfig>("collect", "takes everything"),
            fffa::stage_type<ThrowsAtBirth, Nothing>("throws_at_birth", "cannot be made"),
            fffa::stage_type<NeedsPrivilege, Nothing>("needs_privilege", "cannot be started"),
            fffa::stage_type<Rejects, Nothing>("rejects", "takes nothing"))
