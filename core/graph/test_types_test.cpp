// SPDX-License-Identifier: MIT
#include "graph/test_types.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>

#include "config/sections.h"

namespace fffa::core {
namespace {

enum class Mode { interval, cumulative };
FFFA_ENUM(Mode, (interval, "interval", "deltas"), (cumulative, "cumulative", "totals"))

struct SourceConfig {
  std::uint32_t rate = 10;
  std::vector<std::string> interfaces = {"auto"};
  std::chrono::nanoseconds pause = std::chrono::seconds(1);
  bool fast = false;
};
FFFA_CONFIG(SourceConfig, (rate, "a second", fffa::range(1, 1000)), (interfaces, "what to watch"),
            (pause, "between read-outs"), (fast, "or not"))
struct NoConfig {};
FFFA_CONFIG(NoConfig)
struct WindowsConfig {
  Mode mode = Mode::interval;
  std::chrono::nanoseconds interval = std::chrono::seconds(5);
};
FFFA_CONFIG(WindowsConfig, (mode, "what comes out"), (interval, "of a window"))
struct OutConfig {
  std::filesystem::path file;
  Secret password{"x"};
  std::map<std::string, std::string> labels;
};
FFFA_CONFIG(OutConfig, (file, "where to"), (password, "for it"), (labels, "to add"))

class Src final : public Source {
 public:
  Src(const SourceConfig&, StageContext&) {}
  Result<void> run(Output&) override { return {}; }
};
class Enrich final : public Enricher {
 public:
  Enrich(NoConfig, StageContext&) {}
  Result<void> enrich(Batch&) override { return {}; }
};
class Windows final : public Aggregator {
 public:
  Windows(WindowsConfig, StageContext&) {}
  static RecordKind emits(const WindowsConfig& config) {
    return config.mode == Mode::cumulative ? RecordKind::cumulative : RecordKind::delta;
  }
  Result<void> add(const Batch&, const Ticket&, Emitter&) override { return {}; }
};
class Out final : public Sink {
 public:
  Out(const OutConfig&, StageContext&) {}
  static std::vector<Resource> resources(const OutConfig& config) { return {{"file", config.file.string()}}; }
  static void check(const OutConfig& config, Checker& checker) {
    if (config.file == "/bad") checker.error("file", "is bad");
  }
  Result<void> write(const Batch&) override { return {}; }
};
class DeltaSink final : public Sink {
 public:
  DeltaSink(NoConfig, StageContext&) {}
  static constexpr bool accepts_cumulative = false;
  Result<void> write(const Batch&) override { return {}; }
};
class Async final : public AsyncSink {
 public:
  Async(NoConfig, StageContext&) {}
  void write(std::shared_ptr<const Batch>, Completion completion) override { completion.done(); }
};

constexpr std::array kTypes = {stage_type<Src, SourceConfig>("src", "records"),
                               stage_type<Enrich, NoConfig>("enrich", "adds"),
                               stage_type<Windows, WindowsConfig>("windows", "adds up"),
                               stage_type<Out, OutConfig>("out", "writes"),
                               stage_type<DeltaSink, NoConfig>("delta_sink", "writes deltas"),
                               stage_type<Async, NoConfig>("async", "writes later")};

}  // namespace

const StageType* TestTypes::find(std::string_view type, std::size_t section) {
  const StageType* found = nullptr;
  for (const auto& one : kTypes) {
    if (one.name == type && (found == nullptr || section_of(one.kind) == section)) found = &one;
  }
  return found;
}

std::vector<std::string> TestTypes::names() {
  std::vector<std::string> names;
  names.reserve(kTypes.size());
  for (const auto& type : kTypes) names.emplace_back(type.name);
  return names;
}

std::vector<const StageType*> test_types() {
  std::vector<const StageType*> types;
  types.reserve(kTypes.size());
  for (const auto& type : kTypes) types.push_back(&type);
  return types;
}

}  // namespace fffa::core
