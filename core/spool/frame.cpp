// SPDX-License-Identifier: MIT
#include "spool/frame.h"

#include <zlib.h>

#include <algorithm>

namespace fffa::core {
namespace {

constexpr std::size_t kCrcAt = 36;

template <typename T>
char* put(char* out, T value) noexcept {
  for (std::size_t i = 0; i < sizeof(T); ++i) *out++ = static_cast<char>(value >> 8 * i);
  return out;
}
template <typename T>
T get(const char* at) noexcept {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value |= static_cast<T>(static_cast<unsigned char>(at[i])) << 8 * i;
  return value;
}

}  // namespace

std::uint32_t crc32(std::string_view bytes) noexcept {
  return static_cast<std::uint32_t>(::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

HeaderBytes encode_header(const FrameHeader& header) noexcept {
  HeaderBytes bytes{};
  char* out = std::ranges::copy(FrameHeader::kMagic, bytes.begin()).out;
  out = put(out, header.length);
  out = put(out, header.content.records);
  out = put(out, header.content.packets);
  out = put(out, header.content.bytes);
  out = put(out, header.payload_crc);
  put(out, crc32({bytes.data(), kCrcAt}));
  return bytes;
}

std::optional<FrameHeader> decode_header(const HeaderBytes& bytes) noexcept {
  if (!std::ranges::equal(FrameHeader::kMagic, std::string_view(bytes.data(), FrameHeader::kMagic.size()))) return {};
  if (get<std::uint32_t>(&bytes[kCrcAt]) != crc32({bytes.data(), kCrcAt})) return {};
  FrameHeader header;
  header.length = get<std::uint32_t>(&bytes[4]);
  header.content = {get<std::uint64_t>(&bytes[8]), get<std::uint64_t>(&bytes[16]), get<std::uint64_t>(&bytes[24])};
  header.payload_crc = get<std::uint32_t>(&bytes[32]);
  header.crc = get<std::uint32_t>(&bytes[kCrcAt]);
  header.delivered = std::ranges::equal(delivered_mark(header.crc), std::string_view(&bytes[FrameHeader::kMarkAt], 4));
  if (header.length > FrameHeader::kMostLength) return {};
  return header;
}

std::array<char, 4> delivered_mark(std::uint32_t header_crc) noexcept {
  std::array<char, 4> mark{};
  put(mark.data(), ~header_crc | 1u);
  return mark;
}

}  // namespace fffa::core
