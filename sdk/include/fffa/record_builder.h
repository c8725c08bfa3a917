// SPDX-License-Identifier: MIT
// RecordBuilder: a record from the values of its fields, as a format carried them: the way back of fields.h. For
// parsers.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "fffa/fields.h"
#include "fffa/record.h"

namespace fffa {

namespace detail {
struct RecordDraft;
}

// Values may come from anywhere: what a record cannot hold is refused, and what follows from other fields (averages,
// durations, the Community ID) is not believed. Not thread-safe; used again for one record after the other.
class RecordBuilder {
 public:
  explicit RecordBuilder(TextTable& texts);
  ~RecordBuilder();

  void begin();
  // `field`: its place in fields(). Integers and ids as Kind::number, netfilter_priority also as Kind::signed_number,
  // booleans as either of number and boolean, times as Kind::time, addresses as Kind::address, any text as Kind::name
  // (a view that need not outlive the call). Null leaves the field as it is. False: see error().
  [[nodiscard]] bool set(std::size_t field, const Value& value);
  void label(std::string_view name, std::string_view value);
  // The record; false if its fields do not make one. Texts that find no room in the text table are null, as everywhere,
  // but for those that tell flows apart (`host`, `interface`): these are refused.
  [[nodiscard]] bool finish(FlowRecord& record);
  // What was wrong with the value or the record, to be said after its name: static text, as in "is not an address".
  std::string_view error() const noexcept { return error_; }

 private:
  std::unique_ptr<detail::RecordDraft> draft_;
  std::string_view error_;
};

}  // namespace fffa
