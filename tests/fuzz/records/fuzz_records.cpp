// SPDX-License-Identifier: MIT
// Records that come from Kafka or from a buffer on disk: a refusal with a reason, or a record that both formats write
// and read back as it is.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "../require.h"
#include "fffa/format.h"
#include "fffa_json/json_parser.h"

namespace {

using namespace fffa;
using fuzz::require;

std::string written(RecordFormat& format, const FlowRecord& record) {
  std::string out;
  format.append(record, out);
  return out;
}

struct Formats {
  TextTable texts{std::size_t{1} << 16};
  std::unique_ptr<RecordFormat> json = make_json_format(texts), protobuf = make_protobuf_format(texts);
  std::unique_ptr<RecordParser> json_parser = make_json_parser(texts), protobuf_parser = make_protobuf_parser(texts);
};

void check(Formats& formats, const Result<FlowRecord>& read) {
  if (!read) return require(!read.error().message.empty() && read.error().disposition == Disposition::reject);
  const std::uint64_t overflows = formats.texts.overflows();
  const auto text = written(*formats.json, *read);
  const auto again = formats.protobuf_parser->parse(written(*formats.protobuf, *read));
  if (formats.texts.overflows() != overflows) return;  // a text that was repaired found no room
  require(again.ok());
  require(written(*formats.json, *again) == text);
  const auto rounded = formats.json_parser->parse(text);  // to microseconds
  require(rounded.ok());
  const auto rounded_text = written(*formats.json, *rounded);
  const auto third = formats.json_parser->parse(rounded_text);
  require(third.ok());
  require(written(*formats.json, *third) == rounded_text);
  FlowRecord merged = *read;
  merge(merged, *read);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static auto formats = std::make_unique<Formats>();
  if (formats->texts.overflows() != 0) formats = std::make_unique<Formats>();
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check(*formats, formats->json_parser->parse(bytes));
  check(*formats, formats->protobuf_parser->parse(bytes));
  return 0;
}
