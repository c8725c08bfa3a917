// SPDX-License-Identifier: MIT
// Records on standard output.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fffa/config.h"
#include "fffa/context.h"
#include "fffa/plugin.h"
#include "fffa/stage.h"
#include "fffa_common/batch_mark.h"
#include "fffa_common/vpc_options.h"

namespace fffa::standard_output {

enum class Format : std::uint8_t { json, vpc, table, ecs };
FFFA_ENUM(Format, (json, "json", "one JSON object a line, every field"),
          (vpc, "vpc", "VPC Flow Log lines after a header line"),
          (table, "table", "columns for people, at most 120 characters wide"),
          (ecs, "ecs", "likewise in the names of Elastic Common Schema, without what is null"))

struct Config {
  Format format = Format::json;
  std::string log_format{kVpcDefaultFormat};
  EniAddress eni_address = EniAddress::packet;
};
FFFA_CONFIG(Config, (format, "how a record looks"), (log_format, "format vpc: fields of a line, as AWS writes them"),
            (eni_address, "format vpc: what srcaddr and dstaddr show on the interface's own side"))

class Stdout final : public Sink {
 public:
  static std::vector<Resource> resources(const Config& config);
  static void check(const Config& config, Checker& checker);

  Stdout(Config config, StageContext& context);
  Result<void> write(const Batch& batch) override;

 private:
  std::unique_ptr<RecordFormat> format_;
  VpcFormat* vpc_ = nullptr;  // format_, where it is one
  bool header_due_ = false;
  std::string text_;  // of the batch, not written yet
  std::optional<common::BatchMark> pending_;
  Counter& broken_;

  void format(const Batch& batch);
  Result<void> flush();
};

}  // namespace fffa::standard_output
