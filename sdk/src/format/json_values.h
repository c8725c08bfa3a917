// SPDX-License-Identifier: MIT
// The values of a record as JSON, into a buffer that grows and is kept: what the formats json and ecs share.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "fffa/fields.h"
#include "fffa/print.h"
#include "fffa/text.h"
#include "format/digits.h"
#include "format/json_text.h"

namespace fffa::detail {

inline constexpr std::size_t kCommunityIdChars = 30;
inline constexpr std::size_t kNameChars = 31;  // the longest static name: all TCP flags
// What a value takes at most, quotes included, that is not the text of a handle.
inline constexpr std::size_t kValueChars =
    std::max({kNumberChars, kAddressChars, kTimeChars, kNameChars, kCommunityIdChars}) + 2;

constexpr std::string_view hex_prefix(std::string_view field) {
  return field == "gwlb_endpoint_id" ? "vpce-0" : "";
}
constexpr int hex_digits(std::string_view field) {
  return field == "gwlb_flow_cookie" ? 8 : 16;
}

// Each put function writes at `out` and returns the end; the place to write at is handed along instead of being a
// member: it stays in a register. Text of a handle may move the buffer.
class JsonValues {
 protected:
  // `fixed_chars`: what a record takes at most besides the texts of handles.
  JsonValues(const TextTable& texts, std::size_t fixed_chars) : texts_(texts), fixed_chars_(fixed_chars) {
    make_room(nullptr, 0);
  }

  char* begin() {
    printed_ = {};
    return buffer_.get();
  }
  char* at(std::size_t offset) const { return buffer_.get() + offset; }
  std::size_t offset(const char* place) const { return static_cast<std::size_t>(place - buffer_.get()); }
  std::string_view text_of(Text handle) const { return texts_.view(handle); }

  [[gnu::always_inline]] char* put_value(char* out, const Value& value) {
    switch (value.kind) {
      case Value::Kind::null: return put(out, "null");
      case Value::Kind::boolean: return put(out, value.number != 0 ? "true" : "false");
      case Value::Kind::number: return put_number(out, value.number);
      case Value::Kind::signed_number: return put_signed(out, static_cast<std::int64_t>(value.number));
      case Value::Kind::name: return put_name(out, value.name);
      case Value::Kind::handle: return put_text(out, texts_.view(value.handle));
      case Value::Kind::address: return put_address(out, value.family, *value.address);
      case Value::Kind::time: return put_time(out, static_cast<TimeNs>(value.number));
    }
    return out;
  }

  // Of a field of type hex.
  [[gnu::always_inline]] static char* put_hex_field(char* out, std::string_view field, const Value& value) {
    out = put(put(out, "\""), hex_prefix(field));
    return put(put_hex(out, value.number, hex_digits(field)), "\"");
  }
  // Nothing where the protocol has none.
  static char* put_community_id(char* out, const FlowRecord& record) {
    const auto length = community_id(record.flow, out + 1);
    if (length == 0) return out;
    out[0] = out[length + 1] = '"';
    return out + length + 2;
  }
  // Static text: needs no escapes.
  [[gnu::noinline]] static char* put_name(char* out, std::string_view name) {
    return put(put(put(out, "\""), name), "\"");
  }
  [[gnu::noinline]] char* put_time(char* out, TimeNs time) { return put(time_.put(put(out, "\""), time), "\""); }

  [[gnu::noinline]] char* put_address(char* out, std::uint8_t family, const Address& address) {
    *out++ = '"';
    if (family == 4) {
      out = put_ipv4(out, address);
    } else if (const auto* printed = find_printed(&address)) {
      out = put(out, {at(printed->offset), printed->size});
    } else {
      auto* const start = out;
      out = detail::put_address(out, address, family);
      printed_[1] = std::exchange(printed_[0], {&address, offset(start), offset(out) - offset(start)});
    }
    return put(out, "\"");
  }
  // A text may have any length: afterwards there is room again for everything that has a fixed one.
  [[gnu::noinline]] char* put_text(char* out, std::string_view text) {
    out = make_room(out, text.size() * kJsonGrowth);
    return put(put_json_text(put(out, "\""), text), "\"");
  }

  char* put_labels(char* out, const FlowRecord& record) {
    out = put(out, "{");
    const auto count = std::min<std::size_t>(record.label_count, record.labels.size());
    for (std::size_t i = 0; i < count; ++i) {
      if (i != 0) out = put(out, ",");
      out = put(put_text(out, texts_.view(record.labels[i].name)), ":");
      out = put_text(out, texts_.view(record.labels[i].value));
    }
    return put(out, "}");
  }

 private:
  const TextTable& texts_;
  std::size_t fixed_chars_;
  std::unique_ptr<char[]> buffer_;
  std::size_t size_ = 0;
  TimePrinter time_;
  // IPv6 addresses of this record that stand in the buffer already: the packet's are usually the outer packet's.
  struct Printed {
    const Address* address = nullptr;
    std::size_t offset = 0;
    std::size_t size = 0;
  };
  std::array<Printed, 2> printed_{};

  const Printed* find_printed(const Address* address) const {
    for (const auto& printed : printed_) {
      if (printed.address == address) return &printed;
    }
    return nullptr;
  }

  char* make_room(char* out, std::size_t chars) {
    const std::size_t used = out == nullptr ? 0 : offset(out);
    if (size_ >= used + chars + fixed_chars_) return out;
    const std::size_t size = 2 * (used + chars + fixed_chars_);
    auto larger = std::make_unique_for_overwrite<char[]>(size);
    if (used != 0) std::memcpy(larger.get(), buffer_.get(), used);
    buffer_ = std::move(larger);
    size_ = size;
    return buffer_.get() + used;
  }
};

}  // namespace fffa::detail
