// SPDX-License-Identifier: MIT
// The Protobuf format: the field table, expanded at compile time. The wire format is a tag and a value a field, which
// is less code than what a generated class would need around it (docs/decisions/006).
#include <algorithm>
#include <memory>
#include <utility>

#include "fffa/format.h"
#include "field_table.h"
#include "format/digits.h"
#include "format/json_text.h"
#include "format/protobuf_numbers.h"

namespace fffa {
namespace {

using detail::is_signed;
using detail::kFields;
using detail::kNumbered;
using detail::number_of;
using detail::put;
using detail::Wire;
using detail::wire_of;

constexpr std::size_t kMostVarint = 10;
constexpr std::size_t kCommunityIdChars = 31;
constexpr std::size_t kTagChars = 2;
static_assert(kNumbered.size() < 2048, "numbers of one or two bytes");
// What a record takes at most besides the texts of handles.
constexpr std::size_t kFixedChars = kFields.size() * (kTagChars + 2 * kMostVarint + kCommunityIdChars);

char* put_varint(char* out, std::uint64_t value) noexcept {
  for (; value >= 0x80; value >>= 7) *out++ = static_cast<char>(value | 0x80);
  *out++ = static_cast<char>(value);
  return out;
}
char* put_fixed64(char* out, std::uint64_t value) noexcept {
  for (int shift = 0; shift < 64; shift += 8) *out++ = static_cast<char>(value >> shift);
  return out;
}
// Of at most 127 bytes.
char* put_short(char* out, std::string_view text) noexcept {
  *out++ = static_cast<char>(text.size());
  return put(out, text);
}
std::uint64_t zigzag(std::uint64_t value) noexcept {
  return value << 1 ^ (0 - (value >> 63));
}
std::string_view as_text(const Address& address, std::uint8_t family) noexcept {
  return {reinterpret_cast<const char*>(address.data()), family == 4 ? std::size_t{4} : address.size()};
}

template <std::size_t I>
char* put_tag(char* out) noexcept {
  constexpr unsigned kTag = number_of(kFields[I].name) << 3 | static_cast<unsigned>(wire_of(kFields[I]));
  if constexpr (kTag >= 0x80) {
    *out++ = static_cast<char>(kTag | 0x80);
    *out++ = static_cast<char>(kTag >> 7);
  } else {
    *out++ = static_cast<char>(kTag);
  }
  return out;
}

bool is_ascii(std::string_view text) noexcept {
  return std::ranges::none_of(text, [](char c) { return (c & 0x80) != 0; });
}
// Parsers refuse a message with a string that is not UTF-8.
std::string repaired(std::string_view text) {
  std::string good;
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text.front());
    const std::size_t length = c < 0x80 ? 1 : utf8_length(text);
    good += length == 0 ? detail::kReplacement : text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return good;
}

class ProtobufFormat final : public RecordFormat {
 public:
  explicit ProtobufFormat(const TextTable& texts) : texts_(texts) { make_room(nullptr, 0); }

  void append(const FlowRecord& record, std::string& out) override {
    char* const end = all_fields(buffer_.get(), record, std::make_index_sequence<kFields.size()>());
    out.append(buffer_.get(), end);
  }

 private:
  const TextTable& texts_;
  std::unique_ptr<char[]> buffer_;
  std::size_t size_ = 0;

  template <std::size_t... I>
  char* all_fields(char* out, const FlowRecord& record, std::index_sequence<I...>) {
    ((out = field<I>(out, record)), ...);
    return out;
  }

  template <std::size_t I>
  [[gnu::always_inline]] char* field(char* out, const FlowRecord& record) {
    constexpr auto& kField = kFields[I];
    if constexpr (kField.name == "community_id") {
      return community_id_field<I>(out, record);
    } else if constexpr (kField.name == "labels") {
      return record.label_count == 0 ? out : labels<I>(out, record);
    } else {
      const Value value = kField.get(record);
      if (value.kind == Value::Kind::null) return out;
      out = put_tag<I>(out);
      if constexpr (wire_of(kField) == Wire::fixed64) return put_fixed64(out, value.number);
      if constexpr (is_signed(kField)) return put_varint(out, zigzag(value.number));
      if constexpr (wire_of(kField) == Wire::varint) return put_varint(out, value.number);
      if constexpr (kField.type == FieldType::address) return put_short(out, as_text(*value.address, value.family));
      if (value.kind == Value::Kind::name) return put_short(out, value.name);
      return put_text(out, texts_.view(value.handle));
    }
  }

  template <std::size_t I>
  static char* community_id_field(char* out, const FlowRecord& record) {
    char* const text = put_tag<I>(out) + 1;
    const auto length = community_id(record.flow, text);
    if (length == 0) return out;
    text[-1] = static_cast<char>(length);
    return text + length;
  }

  // A text may have any length: afterwards there is room again for everything that has a fixed one.
  [[gnu::noinline]] char* put_text(char* out, std::string_view text) {
    if (!is_ascii(text)) return put_good(out, repaired(text));
    return put_good(out, text);
  }
  char* put_good(char* out, std::string_view text) {
    out = make_room(out, text.size());
    return put(put_varint(out, text.size()), text);
  }

  char* make_room(char* out, std::size_t chars) {
    const std::size_t used = out == nullptr ? 0 : static_cast<std::size_t>(out - buffer_.get());
    if (size_ >= used + chars + kFixedChars) return out;
    const std::size_t size = 2 * (used + chars + kFixedChars);
    auto larger = std::make_unique_for_overwrite<char[]>(size);
    if (used != 0) std::memcpy(larger.get(), buffer_.get(), used);
    buffer_ = std::move(larger);
    size_ = size;
    return buffer_.get() + used;
  }

  // A map is a repeated message of key (1) and value (2).
  template <std::size_t I>
  char* labels(char* out, const FlowRecord& record) {
    const auto count = std::min<std::size_t>(record.label_count, record.labels.size());
    for (std::size_t i = 0; i < count; ++i) {
      std::string entry;
      detail::wire::put_bytes(entry, 1, repaired(texts_.view(record.labels[i].name)));
      detail::wire::put_bytes(entry, 2, repaired(texts_.view(record.labels[i].value)));
      out = put_good(put_tag<I>(out), entry);
    }
    return out;
  }
};

std::string_view type_of(const Field& field) {
  if (field.name == "labels") return "map<string, string>";
  if (is_signed(field)) return "optional sint64";
  switch (field.type) {
    case FieldType::boolean: return "optional bool";
    case FieldType::integer: return "optional uint64";
    case FieldType::address: return "optional bytes";
    case FieldType::time:
    case FieldType::hex: return "optional fixed64";
    default: return "optional string";
  }
}

}  // namespace

std::unique_ptr<RecordFormat> make_protobuf_format(const TextTable& texts) {
  return std::make_unique<ProtobufFormat>(texts);
}

std::string protobuf_schema() {
  std::string text =
      "// SPDX-License-Identifier: MIT\n"
      "// A flow record as fffa writes it with `format: protobuf`. Made from the field table; a test fails where the "
      "two\n"
      "// differ. Numbers never change: a reader of an older file passes over what it does not know.\n"
      "// A field that is not there is null. Addresses are in network order, of 4 or 16 bytes; times are Unix "
      "nanoseconds.\n"
      "syntax = \"proto3\";\n\npackage fffa.v3;\n\nmessage Flow {\n";
  for (const auto name : kNumbered) {
    const Field& field = *find_field(name);
    text += "  // " + std::string(field.doc);
    if (!field.unit.empty()) text += " [" + std::string(field.unit) + "]";
    if (field.null_when != "never") text += "; null: " + std::string(field.null_when);
    text += "\n  " + std::string(type_of(field)) + " " + std::string(name) + " = " + std::to_string(number_of(name)) +
            ";\n";
  }
  return text + "}\n";
}

}  // namespace fffa
