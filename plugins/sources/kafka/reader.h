// SPDX-License-Identifier: MIT
// A message as a record, or why it is none.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
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
  struct Refusal {
    Malformed reason{};
    std::string text;
  };
  // `schema`: the header, if there is one. nullptr: it was refused, and why() says why.
  const FlowRecord* read(std::string_view bytes, std::optional<std::string_view> schema);
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
