// SPDX-License-Identifier: MIT
// A frame: one batch on disk. A header that says how long it is and what it holds, and the batch as it was encoded.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "fffa/result.h"

namespace fffa::core {

// On disk: magic, length, records, packets, bytes, CRC-32 of the payload, CRC-32 of the header up to here, mark.
// Little endian. The mark is zero until the batch is delivered; it is written later, over the zero.
struct FrameHeader {
  static constexpr std::string_view kMagic = "FfaB";
  static constexpr std::size_t kSize = 44;
  static constexpr std::size_t kMarkAt = 40;
  static constexpr std::uint32_t kMostLength = 1u << 31;

  std::uint32_t length = 0;  // of the payload
  Part content;
  std::uint32_t payload_crc = 0;
  std::uint32_t crc = 0;  // of the header; as it was read
  bool delivered = false;

  std::uint64_t size() const noexcept { return kSize + length; }  // of the frame
};
using HeaderBytes = std::array<char, FrameHeader::kSize>;

HeaderBytes encode_header(const FrameHeader& header) noexcept;
std::optional<FrameHeader> decode_header(const HeaderBytes& bytes) noexcept;  // nullopt: it is none, or damaged
// What stands at kMarkAt once the frame is delivered: no flipped bit makes it out of zero.
std::array<char, 4> delivered_mark(std::uint32_t header_crc) noexcept;
std::uint32_t crc32(std::string_view bytes) noexcept;

inline void operator+=(Part& sum, const Part& part) noexcept {
  sum.records += part.records;
  sum.packets += part.packets;
  sum.bytes += part.bytes;
}
inline void operator-=(Part& sum, const Part& part) noexcept {
  sum.records -= part.records;
  sum.packets -= part.packets;
  sum.bytes -= part.bytes;
}

}  // namespace fffa::core
