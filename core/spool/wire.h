// SPDX-License-Identifier: MIT
// Protobuf's wire form, as far as the batch codec needs it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fffa::core::wire {

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
  put_varint(out, field << 3 | 2);
  put_varint(out, value.size());
  out += value;
}

struct Item {
  std::uint64_t field = 0;
  std::uint64_t number = 0;  // of a varint
  std::string_view bytes{};  // of a text or message
};

// Takes the fields off a message.
class Reader {
 public:
  explicit Reader(std::string_view message) : rest_(message) {}
  // False: there is none any more, or the message is broken (see good()). Values of other types are passed over.
  bool next(Item& item) {
    if (rest_.empty()) return false;
    std::uint64_t tag = 0;
    item = {};
    good_ = varint(tag);
    item.field = tag >> 3;
    switch (tag & 7) {
      case 0: good_ = good_ && varint(item.number); break;
      case 1: good_ = good_ && take(8, item.bytes); break;
      case 2: good_ = good_ && varint(tag) && take(tag, item.bytes); break;
      case 5: good_ = good_ && take(4, item.bytes); break;
      default: good_ = false;
    }
    return good_;
  }
  bool good() const noexcept { return good_; }

 private:
  std::string_view rest_;
  bool good_ = true;

  bool varint(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto octet = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= std::uint64_t{octet & 0x7Fu} << shift;
      if (octet < 0x80) return true;
    }
    return false;
  }
  bool take(std::uint64_t size, std::string_view& value) {
    if (size > rest_.size()) return false;
    value = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }
};

}  // namespace fffa::core::wire
