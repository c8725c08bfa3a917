// SPDX-License-Identifier: MIT
// A source of a known number of records, so that a run can be counted at its end.
#include <fffa/plugin.h>

namespace {

struct Config {
  std::uint32_t batches = 10;
  std::uint32_t records = 10;
};
FFFA_CONFIG(Config, (batches, "how many batches"), (records, "how many records in each"))

class SampleSource final : public fffa::Source {
 public:
  SampleSource(const Config& config, fffa::StageContext& context) : config_(config), context_(context) {}

  fffa::Result<void> run(fffa::Output& output) override {
    std::uint32_t acknowledged = 0;
    for (std::uint32_t i = 0; i < config_.batches; ++i) {
      if (!output.emit(batch(i),
                       [&acknowledged](fffa::Outcome outcome) { acknowledged += outcome == fffa::Outcome::delivered; }))
        break;
    }
    output.settle();
    context_.log().info("acknowledged as delivered: " + std::to_string(acknowledged));
    return {};
  }

 private:
  fffa::Batch batch(std::uint32_t number) {
    fffa::Batch batch;
    batch.watermark = context_.clock().now();
    for (std::uint32_t i = 0; i < config_.records; ++i) {
      fffa::FlowRecord record;
      record.flow.family = 4;
      record.flow.protocol = 17;
      record.flow.src = {10, 0, static_cast<std::uint8_t>(number), static_cast<std::uint8_t>(i)};
      record.flow.dst = {10, 1, 0, 1};
      record.flow.src_port = 1000;
      record.flow.dst_port = 53;
      record.host = context_.host();
      record.packets = number + 1;
      record.bytes = 100 * record.packets;
      record.first_seen = record.last_seen = batch.watermark;
      batch.records.push_back(record);
    }
    return batch;
  }

  Config config_;
  fffa::StageContext& context_;
};

}  // namespace

FFFA_PLUGIN("sample_source", "records for a test", SampleSource, Config)
