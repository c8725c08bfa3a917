// SPDX-License-Identifier: MIT
// Protobuf's wire form, as far as the format `protobuf` and the host's buffers on disk need it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fffa::detail {

// How a field is written, by the encoding's own numbers.
enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

namespace wire {

inline void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}
// A number; 0 is left out, as it is what a reader takes for granted.
inline void put_number(std::string& out, unsigned field, std::uint64_t value) {
  if (value == 0) return;
  put_varint(out, field << 3);
  put_varint(out, value);
}
inline void put_bytes(std::string& out, unsigned field, std::string_view value) {
  put_varint(out, field << 3 | static_cast<unsigned>(Wire::bytes));
  put_varint(out, value.size());
  out += value;
}

struct Item {
  std::uint64_t field = 0;
  Wire type = Wire::varint;
  std::uint64_t number = 0;  // of all but bytes
  std::string_view bytes{};  // of a text or message
};

// Takes the fields off a message.
class Reader {
 public:
  explicit Reader(std::string_view message) : rest_(message) {}
  // False: there is none any more, or the message is broken (see good()).
  bool next(Item& item) {
    if (rest_.empty()) return false;
    const std::string_view here = rest_;
    good_ = take(item);
    if (!good_) rest_ = here;
    return good_;
  }
  bool good() const noexcept { return good_; }
  std::size_t left() const noexcept { return rest_.size(); }  // bytes, with those of the field that is broken

 private:
  std::string_view rest_;
  bool good_ = true;

  bool take(Item& item) {
    std::uint64_t tag = 0;
    if (!varint(tag)) return false;
    item = {.field = tag >> 3, .type = static_cast<Wire>(tag & 7)};
    switch (item.type) {
      case Wire::varint: return varint(item.number);
      case Wire::fixed64: return fixed(8, item.number);
      case Wire::bytes: return varint(tag) && bytes(tag, item.bytes);
      case Wire::fixed32: return fixed(4, item.number);
      default: return false;
    }
  }
  bool varint(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto octet = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= std::uint64_t{octet & 0x7Fu} << shift;
      if (octet < 0x80) return shift < 63 || octet < 2;
    }
    return false;
  }
  bool fixed(std::size_t size, std::uint64_t& value) {
    std::string_view octets;
    if (!bytes(size, octets)) return false;
    for (std::size_t i = 0; i < size; ++i) value |= std::uint64_t{static_cast<unsigned char>(octets[i])} << (8 * i);
    return true;
  }
  bool bytes(std::uint64_t size, std::string_view& value) {
    if (size > rest_.size()) return false;
    value = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }
};

}  // namespace wire
}  // namespace fffa::detail
