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

// A field's number is its index here.
constexpr auto kPlaces = [] {
  std::array<std::uint8_t, kNumbered.size() + 1> places{};
  for (std::size_t i = 0; i < kFields.size(); ++i)
    places[detail::number_of(kFields[i].name)] = static_cast<std::uint8_t>(i);
  return places;
}();
static_assert(kFields.size() <= 256);

// Takes values off the front of a message.
class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}
  bool done() const { return rest_.empty(); }
  std::size_t left() const { return rest_.size(); }

  bool varint(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return shift < 63 || byte < 2;
    }
    return false;
  }
  bool fixed(std::size_t size, std::uint64_t& value) {
    std::string_view bytes;
    if (!take(size, bytes)) return false;
    value = 0;
    for (std::size_t i = 0; i < size; ++i) value |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    return true;
  }
  bool bytes(std::string_view& value) {
    std::uint64_t size = 0;
    return varint(size) && take(size, value);
  }

 private:
  std::string_view rest_;

  bool take(std::uint64_t size, std::string_view& value) {
    if (size > rest_.size()) return false;
    value = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }
};

struct Item {
  std::uint64_t field = 0;
  unsigned wire = 0;
  std::uint64_t number = 0;
  std::string_view bytes{};
};

bool next(Reader& in, Item& item) {
  std::uint64_t tag = 0;
  if (!in.varint(tag)) return false;
  item.field = tag >> 3;
  item.wire = tag & 7;
  switch (item.wire) {
    case 0: return in.varint(item.number);
    case 1: return in.fixed(8, item.number);
    case 2: return in.bytes(item.bytes);
    case 5: return in.fixed(4, item.number);
    default: return false;
  }
}

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
    for (Reader in(message); !in.done();) {
      const std::size_t at = message.size() - in.left();
      Item item;
      if (!next(in, item)) return reject("no Protobuf message: broken at byte " + std::to_string(at));
      if (item.field == 0 || item.field > kNumbered.size()) continue;
      const std::size_t place = kPlaces[item.field];
      const Field& field = kFields[place];
      if (item.wire != static_cast<unsigned>(wire_of(field))) return refused(field, "is of another type");
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
    FlowRecord record;
    if (!builder_.finish(record)) return reject("the record " + std::string(builder_.error()));
    return record;
  }

 private:
  RecordBuilder builder_;

  static Value value_of(const Field& field, const Item& item) {
    if (item.wire == 2) return {.kind = Value::Kind::name, .name = item.bytes};
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
    for (Reader in(entry); !in.done();) {
      Item item;
      if (!next(in, item)) return false;
      if (item.wire == 2 && (item.field == 1 || item.field == 2)) parts[item.field - 1] = item.bytes;
    }
    builder_.label(parts[0], parts[1]);
    return is_utf8(parts[0]) && is_utf8(parts[1]);
  }
};

}  // namespace

std::unique_ptr<RecordParser> make_protobuf_parser(TextTable& texts) {
  return std::make_unique<ProtobufParser>(texts);
}

}  // namespace fffa
