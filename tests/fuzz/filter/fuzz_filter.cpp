// SPDX-License-Identifier: MIT
// A condition from hostile text, up to a byte 0, and a record of the bytes behind it. A filter or problems that say
// where and what; a filter ends on any record, `not` turns it round, and it agrees with itself in brackets.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "../require.h"
#include "filter/filter.h"

namespace {

using namespace fffa;
using namespace fffa::core;
using fuzz::require;

FlowRecord record_of(std::string_view bytes) {
  FlowRecord record;
  std::memcpy(static_cast<void*>(&record), bytes.data(), std::min(bytes.size(), sizeof record));
  const std::uint8_t first = bytes.empty() ? 0 : static_cast<std::uint8_t>(bytes[0]);
  record.initiator = first & 1;
  record.cumulative = first & 2;
  record.incomplete = first & 4;
  for (TimeNs* time : {&record.first_seen, &record.last_seen}) *time >>= 2;  // a duration is their difference
  return record;
}

bool printable(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x20; });
}

void check(const std::vector<FilterProblem>& problems, std::size_t size) {
  require(!problems.empty());
  for (const auto& one : problems)
    require(one.offset <= size && !one.message.empty() && printable(one.message + one.hint));
}

FilterPtr sound(const std::string& text) {
  std::vector<FilterProblem> problems;
  auto filter = Filter::parse(text, problems);
  const bool bounded = text.size() > Filter::kLongest ||
                       (!problems.empty() && problems.front().message.find("deeper") != std::string::npos);
  require(filter || bounded);
  return filter;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static TextTable texts;
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::string text(all.substr(0, all.find('\0')));
  std::vector<FilterProblem> problems;
  const auto filter = Filter::parse(text, problems);
  if (!filter) {
    check(problems, text.size());
    return 0;
  }
  require(problems.empty());
  const FlowRecord record = record_of(all.substr(std::min(text.size() + 1, all.size())));
  const bool matches = filter->matches(record, texts);
  if (const auto turned = sound("not (" + text + ")")) require(turned->matches(record, texts) != matches);
  if (const auto twice = sound("(" + text + ") and (" + text + ")")) require(twice->matches(record, texts) == matches);
  if (const auto never = sound("not (" + text + ") and (" + text + ")")) require(!never->matches(record, texts));
  return 0;
}
