// SPDX-License-Identifier: MIT
#include "filter/test.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace fffa::core {
namespace {

Number number_of(const Value& value) noexcept {
  const bool is_signed = value.kind == Value::Kind::signed_number;
  return {is_signed && static_cast<std::int64_t>(value.number) < 0, value.number};
}

bool among(const Test& test, const Value& value, const TextTable& table) noexcept {
  switch (value.kind) {
    case Value::Kind::name:
    case Value::Kind::handle: {
      const auto text = value.kind == Value::Kind::name ? value.name : table.view(value.handle);
      return std::any_of(test.texts.begin(), test.texts.end(), [&](std::string_view one) { return one == text; });
    }
    case Value::Kind::address:
      return std::any_of(test.prefixes.begin(), test.prefixes.end(),
                         [&](const Prefix& one) { return one.contains(*value.address, value.family); });
    default: return std::find(test.numbers.begin(), test.numbers.end(), number_of(value)) != test.numbers.end();
  }
}

}  // namespace

bool Prefix::contains(const Address& other, std::uint8_t other_family) const noexcept {
  if (family != other_family) return false;
  const std::size_t whole = bits / 8;
  if (std::memcmp(address.data(), other.data(), whole) != 0) return false;
  const unsigned rest = bits % 8;
  return rest == 0 || (address[whole] ^ other[whole]) >> (8 - rest) == 0;
}

bool Test::holds(const FlowRecord& record, const TextTable& table) const noexcept {
  const Value value = field->get(record);
  const bool null = value.kind == Value::Kind::null;
  if (kind == Kind::is_null) return null != negated;
  if (null) return false;
  switch (kind) {
    case Kind::is_null: break;
    case Kind::is_true: return (value.number != 0) != negated;
    case Kind::among: return among(*this, value, table) != negated;
    case Kind::below: return (number_of(value) < numbers.front()) != negated;
    case Kind::above: return (number_of(value) > numbers.front()) != negated;
  }
  return false;
}

}  // namespace fffa::core
