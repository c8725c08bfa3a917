// SPDX-License-Identifier: MIT
// The one table of record fields. JSON, VPC text, filters, `fffa fields` and the documentation are generated from it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "fffa/record.h"

namespace fffa {

enum class FieldType : std::uint8_t {
  boolean,
  integer,   // Value::number (unsigned) unless Value::negative
  text,      // Value::text: a static name, or Value::handle
  address,   // Value::address / Value::family
  time,      // Unix nanoseconds in Value::number; printed RFC 3339, UTC, microseconds, `Z`
  flags,     // tcp_flags: printed as names joined by `|`
  hex,       // gwlb ids: Value::number, printed as the field's documentation says
  computed,  // community_id, labels: made while printing
};
enum class MergeRule : std::uint8_t { key, add, bit_or, minimum, maximum, last, first, derived, constant };

// One value, as it stands in a record. Never owns memory.
struct Value {
  enum class Kind : std::uint8_t {
    null,
    boolean,
    number,
    signed_number,
    name,
    handle,
    address,
    time
  } kind = Kind::null;
  std::uint8_t family = 0;           // address
  Text handle{};                     // handle
  std::uint64_t number = 0;          // boolean, number, time; signed_number as two's complement
  std::string_view name{};           // name: static text
  const Address* address = nullptr;  // address: points into the record
};

struct Field {
  std::string_view name;      // in JSON, YAML, filters and docs
  std::string_view vpc_name;  // AWS's field id, empty where AWS has none
  FieldType type;
  std::string_view unit;       // "packets", "bytes", "us", "ms", "" ...
  std::string_view null_when;  // as spec'd, for people; "never" where it is always there
  MergeRule merge;
  bool key;
  Value (*get)(const FlowRecord&);
  std::string_view doc;  // one line
};

// In the order of the JSON record.
std::span<const Field> fields() noexcept;
// The field of that JSON name, or nullptr.
const Field* find_field(std::string_view name) noexcept;

// "TCP", "UDP", "ICMP", "ICMPv6", else "PROTO_<n>". Static text.
std::string_view protocol_name(std::uint8_t protocol) noexcept;
std::string_view conn_state_name(ConnState state) noexcept;
std::string_view end_reason_name(FlowEndReason reason) noexcept;
std::string_view verdict_name(Verdict verdict) noexcept;  // "ACCEPT"
std::string_view hook_name(NetfilterHook hook) noexcept;  // "NF_INET_FORWARD"

// Community ID v1, seed 0, of a tuple ("1:" + 28 characters), written to `out` (>= 30 bytes). The length written; 0 for
// protocols it does not define.
std::size_t community_id(const Tuple& flow, char* out) noexcept;

}  // namespace fffa
