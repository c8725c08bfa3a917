// SPDX-License-Identifier: MIT
#include "source_run.h"

#include <algorithm>
#include <cctype>
#include <stdexcept>

#include "pcap.h"

namespace fffa::parity {

std::vector<std::filesystem::path> captures() {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(FFFA_CAPTURES)) {
    const auto& path = entry.path();
    if (path.extension() == ".pcap" || path.extension() == ".pcapng") found.push_back(path);
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string test_name(const std::filesystem::path& capture) {
  std::string name = capture.stem().string();
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

std::uint64_t SourceRun::reason(std::string_view name) const {
  const std::string metric = "fffa_pcap_reasons_total{reason=\"" + std::string(name) + "\"}";
  return static_cast<std::uint64_t>(harness->context().captured_metrics().value(metric));
}

SourceRun run_source(const std::filesystem::path& capture, const std::string& options) {
  SourceRun run;
  run.harness = testing::Harness::of<pcap::Pcap, pcap::Config>("path: " + capture.string() + "\n" + options);
  testing::SourceRun script;
  script.give_up = std::chrono::seconds(60);
  if (auto done = run.harness->run(script); !done.ok()) throw std::runtime_error(done.error().message);
  for (const auto& batch : run.harness->take()) {
    run.records.insert(run.records.end(), batch.begin(), batch.end());
    for (const auto& status : batch.interfaces) {
      run.seen += status.seen;
      run.filtered += status.filtered;
    }
  }
  return run;
}

std::string show(const Value& value) {
  switch (value.kind) {
    case Value::Kind::null: return "null";
    case Value::Kind::name: return std::string(value.name);
    case Value::Kind::handle: return "text " + std::to_string(static_cast<std::uint32_t>(value.handle));
    case Value::Kind::address: {
      std::string text;
      for (const std::uint8_t byte : *value.address) text += (text.empty() ? "" : ".") + std::to_string(byte);
      return text;
    }
    default: return std::to_string(value.number);
  }
}

std::string show(const FlowRecord& record) {
  std::string text;
  for (const Field& field : fields()) {
    const Value value = field.get(record);
    if (value.kind != Value::Kind::null) text += std::string(field.name) + "=" + show(value) + " ";
  }
  return text + "jitter_sum_us=" + std::to_string(record.jitter_sum_us) +
         " rtt_sum_us=" + std::to_string(record.rtt_sum_us);
}

}  // namespace fffa::parity
