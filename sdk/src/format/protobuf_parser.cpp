// SPDX-License-Identifier: MIT
// The way back of the Protobuf format.
#include <algorithm>
#include <memory>
#include <string>

#include "fffa/format.h"
#include "fffa/record_builder.h"
#include "format/protobuf_numbers.h"

namespace fffa {
namespace {

using detail::is_signed;
using detail::kFields;
using detail::kNumbered;
using detail::Wire;
using detail::wire_of;
using detail::wire::Item;
using detail::wire::Reader;

// A field's number is its index here.
constexpr auto kPlaces = [] {
  std::array<std::uint8_t, kNumbered.size() + 1> places{};
  for (std::size_t i = 0; i < kFields.size(); ++i)
    places[detail::number_of(kFields[i].name)] = static_cast<std::uint8_t>(i);
  return places;
}();
static_assert(kFields.size() <= 256);

// Proto3 asks it of every string.
bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = (text.front() & 0x80) == 0 ? 1 : utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

class ProtobufParser final : public RecordParser {
 public:
  explicit ProtobufParser(TextTable& texts) : builder_(texts) {}

  Result<FlowRecord> parse(std::string_view message) override {
    builder_.begin();
    Reader in(message);
    for (Item item; in.next(item);) {
      if (item.field == 0 || item.field > kNumbered.size()) continue;
      const std::size_t place = kPlaces[item.field];
      const Field& field = kFields[place];
      if (item.type != wire_of(field)) return refused(field, "is of another type");
      if (field.name == "labels") {
        if (!label(item.bytes)) return refused(field, "is no map entry of UTF-8 texts");
        continue;
      }
      Address address{};
      Value value = value_of(field, item);
      if (field.type == FieldType::address) {
        if (item.bytes.size() != 4 && item.bytes.size() != 16) return refused(field, "is not an address");
        std::copy(item.bytes.begin(), item.bytes.end(), address.begin());
        value = {.kind = Value::Kind::address,
                 .family = static_cast<std::uint8_t>(item.bytes.size() == 4 ? 4 : 6),
                 .address = &address};
      }
      if (value.kind == Value::Kind::name && !is_utf8(value.name)) return refused(field, "is not UTF-8");
      if (!builder_.set(place, value)) return refused(field, builder_.error());
    }
    if (!in.good()) return reject("no Protobuf message: broken at byte " + std::to_string(message.size() - in.left()));
    FlowRecord record;
    if (!builder_.finish(record)) return reject("the record " + std::string(builder_.error()));
    return record;
  }

 private:
  RecordBuilder builder_;

  static Value value_of(const Field& field, const Item& item) {
    if (item.type == Wire::bytes) return {.kind = Value::Kind::name, .name = item.bytes};
    if (field.type == FieldType::time) return {.kind = Value::Kind::time, .number = item.number};
    if (is_signed(field))
      return {.kind = Value::Kind::signed_number, .number = item.number >> 1 ^ (0 - (item.number & 1))};
    return {.kind = Value::Kind::number, .number = item.number};
  }
  static Error refused(const Field& field, std::string_view why) {
    return reject(std::string(field.name) + " " + std::string(why));
  }
  bool label(std::string_view entry) {
    std::string_view parts[2];
    Reader in(entry);
    for (Item item; in.next(item);) {
      if (item.type == Wire::bytes && (item.field == 1 || item.field == 2)) parts[item.field - 1] = item.bytes;
    }
    if (!in.good()) return false;
    builder_.label(parts[0], parts[1]);
    return is_utf8(parts[0]) && is_utf8(parts[1]);
  }
};

}  // namespace

std::unique_ptr<RecordParser> make_protobuf_parser(TextTable& texts) {
  return std::make_unique<ProtobufParser>(texts);
}

}  // namespace fffa
