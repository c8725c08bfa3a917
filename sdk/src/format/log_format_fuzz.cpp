// SPDX-License-Identifier: MIT
// Any format string is refused with a message, or gives lines that have as many fields as the header and no empty one.
#include <algorithm>
#include <cstdlib>

#include "fffa/format.h"

namespace {

std::ptrdiff_t fields_of(std::string_view line) {
  const bool gaps = line.empty() || line.front() == ' ' || line.back() == ' ' || line.find("  ") != line.npos;
  return gaps ? -1 : 1 + std::ranges::count(line, ' ');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fffa;
  static TextTable texts;
  static const Text odd = texts.intern("a b\nc%\x80");
  VpcFormatOptions options;
  options.log_format.assign(reinterpret_cast<const char*>(data), size);
  const auto made = make_vpc_format(texts, options);
  if (!made) {
    if (made.error().message.empty()) std::abort();
    return 0;
  }
  FlowRecord record;
  record.flow.family = 6;
  record.packets = 1;
  record.interface = record.aws.vpc = record.aws.eni = odd;
  std::string out;
  (*made)->append(record, out);
  (*made)->append_status({}, LogStatus::nodata, 0, 59, out);
  const auto wanted = fields_of((*made)->header());
  const auto middle = out.find('\n');
  if (wanted < 1 || fields_of(std::string_view(out).substr(0, middle)) != wanted) std::abort();
  if (fields_of(std::string_view(out).substr(middle + 1, out.size() - middle - 2)) != wanted) std::abort();
  return 0;
}
