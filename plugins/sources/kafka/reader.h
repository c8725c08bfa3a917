// SPDX-License-Identifier: MIT
// A message as a record, or why it is none.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "config.h"
#include "fffa/format.h"
#include "fffa/record.h"
#include "fffa/text.h"

namespace fffa::kafka_source {

enum class Malformed : std::uint8_t { too_large, schema, syntax, no_host, cumulative };
inline constexpr std::string_view kMalformed[] = {"too_large", "schema", "syntax", "no_host", "cumulative"};

class Reader {
 public:
  Reader(Format format, TextTable& texts);
  // The error's text begins with its reason.
  struct Refusal {
    Malformed reason{};
    std::string text;
  };
  // nullptr: it was refused, and why() says why.
  const FlowRecord* read(const rd_kafka_message_t& message);
  const Refusal& why() const noexcept { return why_; }

 private:
  Format format_;
  std::unique_ptr<RecordParser> json_;
  std::unique_ptr<RecordParser> protobuf_;
  FlowRecord record_;
  Refusal why_;

  const FlowRecord* refuse(Malformed reason, std::string text);
};

}  // namespace fffa::kafka_source
