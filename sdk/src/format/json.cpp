// SPDX-License-Identifier: MIT
// The JSON format: the field table, expanded at compile time, so that a field is a copy of its name and of its
// value.
#include <algorithm>
#include <memory>
#include <utility>

#include "fffa/format.h"
#include "fffa/print.h"
#include "field_table.h"
#include "format/digits.h"
#include "format/json_text.h"

namespace fffa {
namespace {

using detail::kFields;
using detail::put;

constexpr std::size_t kCommunityIdChars = 30;
constexpr std::size_t kNameChars = 31;  // the longest static name: all TCP flags

// `,"name":` of a field, or `{"name":` of the first; `tail` follows.
template <std::size_t I>
constexpr auto opening(std::string_view tail) {
  struct {
    std::array<char, kFields[I].name.size() + 4 + 4> text{};
    std::size_t size = 0;
    constexpr std::string_view view() const { return {text.data(), size}; }
  } opening;
  const auto add = [&opening](std::string_view part) {
    for (const char c : part) opening.text[opening.size++] = c;
  };
  add(I == 0 ? "{\"" : ",\"");
  add(kFields[I].name);
  add("\":");
  add(tail);
  return opening;
}
template <std::size_t I>
constexpr auto kOpening = opening<I>("");
template <std::size_t I>
constexpr auto kNull = opening<I>("null");

// What a record takes at most besides the texts of handles.
constexpr std::size_t kFixedChars = [] {
  std::size_t sum = 16;
  for (const auto& field : kFields) {
    sum += field.name.size() + 6 +
           std::max({detail::kNumberChars, kAddressChars, kTimeChars, kNameChars, kCommunityIdChars});
  }
  return sum;
}();

constexpr std::string_view hex_prefix(std::string_view field) {
  return field == "gwlb_endpoint_id" ? "vpce-0" : "";
}
constexpr int hex_digits(std::string_view field) {
  return field == "gwlb_flow_cookie" ? 8 : 16;
}

class JsonFormat final : public RecordFormat {
 public:
  explicit JsonFormat(const TextTable& texts) : texts_(texts) { make_room(nullptr, 0); }

  void append(const FlowRecord& record, std::string& out) override {
    printed_ = {};
    char* const end = all_fields(buffer_.get(), record, std::make_index_sequence<kFields.size()>());
    out.append(buffer_.get(), end);
  }

 private:
  const TextTable& texts_;
  std::unique_ptr<char[]> buffer_;
  std::size_t size_ = 0;
  detail::TimePrinter time_;
  // IPv6 addresses of this record that stand in the buffer already: the packet's are usually the outer packet's.
  struct Printed {
    const Address* address = nullptr;
    std::size_t offset = 0;
    std::size_t size = 0;
  };
  std::array<Printed, 2> printed_{};

  // The place to write at is handed along instead of being a member: it stays in a register.
  template <std::size_t... I>
  char* all_fields(char* out, const FlowRecord& record, std::index_sequence<I...>) {
    ((out = field<I>(out, record)), ...);
    return put(out, "}\n");
  }

  template <std::size_t I>
  [[gnu::always_inline]] char* field(char* out, const FlowRecord& record) {
    constexpr auto& kField = kFields[I];
    if constexpr (kField.name == "community_id") {
      return community_id_field(put(out, kOpening<I>.view()), record);
    } else if constexpr (kField.name == "labels") {
      return record.label_count == 0 ? out : labels(out, record);
    } else {
      const Value value = kField.get(record);
      if (value.kind == Value::Kind::null) return put(out, kNull<I>.view());
      out = put(out, kOpening<I>.view());
      if constexpr (kField.type != FieldType::hex) return put_value(out, value);
      out = put(put(out, "\""), hex_prefix(kField.name));
      return put(detail::put_hex(out, value.number, hex_digits(kField.name)), "\"");
    }
  }

  static char* community_id_field(char* out, const FlowRecord& record) {
    const auto length = community_id(record.flow, out + 1);
    if (length == 0) return put(out, "null");
    out[0] = out[length + 1] = '"';
    return out + length + 2;
  }

  [[gnu::always_inline]] char* put_value(char* out, const Value& value) {
    switch (value.kind) {
      case Value::Kind::null: return put(out, "null");
      case Value::Kind::boolean: return put(out, value.number != 0 ? "true" : "false");
      case Value::Kind::number: return detail::put_number(out, value.number);
      case Value::Kind::signed_number: return detail::put_signed(out, static_cast<std::int64_t>(value.number));
      case Value::Kind::name: return put_name(out, value.name);
      case Value::Kind::handle: return put_text(out, texts_.view(value.handle));
      case Value::Kind::address: return put_address(out, value.family, *value.address);
      case Value::Kind::time: return put_time(out, static_cast<TimeNs>(value.number));
    }
    return out;
  }

  // Static text: needs no escapes.
  [[gnu::noinline]] static char* put_name(char* out, std::string_view name) {
    return put(put(put(out, "\""), name), "\"");
  }
  [[gnu::noinline]] char* put_time(char* out, TimeNs time) { return put(time_.put(put(out, "\""), time), "\""); }

  [[gnu::noinline]] char* put_address(char* out, std::uint8_t family, const Address& address) {
    *out++ = '"';
    if (family == 4) {
      out = detail::put_ipv4(out, address);
    } else if (const auto* printed = find_printed(&address)) {
      out = put(out, {buffer_.get() + printed->offset, printed->size});
    } else {
      auto* const start = out;
      out = detail::put_address(out, address, family);
      printed_[1] = std::exchange(printed_[0], {&address, offset(start), offset(out) - offset(start)});
    }
    return put(out, "\"");
  }
  std::size_t offset(const char* place) const { return static_cast<std::size_t>(place - buffer_.get()); }
  const Printed* find_printed(const Address* address) const {
    for (const auto& printed : printed_) {
      if (printed.address == address) return &printed;
    }
    return nullptr;
  }

  // A text may have any length: afterwards there is room again for everything that has a fixed one.
  [[gnu::noinline]] char* put_text(char* out, std::string_view text) {
    out = make_room(out, text.size() * detail::kJsonGrowth);
    return put(detail::put_json_text(put(out, "\""), text), "\"");
  }

  char* make_room(char* out, std::size_t chars) {
    const std::size_t used = out == nullptr ? 0 : offset(out);
    if (size_ >= used + chars + kFixedChars) return out;
    const std::size_t size = 2 * (used + chars + kFixedChars);
    auto larger = std::make_unique_for_overwrite<char[]>(size);
    if (used != 0) std::memcpy(larger.get(), buffer_.get(), used);
    buffer_ = std::move(larger);
    size_ = size;
    return buffer_.get() + used;
  }

  char* labels(char* out, const FlowRecord& record) {
    out = put(out, ",\"labels\":{");
    const auto count = std::min<std::size_t>(record.label_count, record.labels.size());
    for (std::size_t i = 0; i < count; ++i) {
      if (i != 0) out = put(out, ",");
      out = put(put_text(out, texts_.view(record.labels[i].name)), ":");
      out = put_text(out, texts_.view(record.labels[i].value));
    }
    return put(out, "}");
  }
};

}  // namespace

std::unique_ptr<RecordFormat> make_json_format(const TextTable& texts) {
  return std::make_unique<JsonFormat>(texts);
}

}  // namespace fffa
