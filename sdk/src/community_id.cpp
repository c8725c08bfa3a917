// SPDX-License-Identifier: MIT
// Community ID v1: base64 of the SHA-1 of the tuple, its ends put in order so that both directions give one id.
#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "fffa/fields.h"

namespace fffa {
namespace {

constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmpV6 = 58, kSctp = 132;
using Digest = std::array<std::uint32_t, 5>;
using Block = std::array<std::uint32_t, 16>;

// SHA-1 (RFC 3174) of one padded block, which is all that a tuple needs. Not for secrets.
Digest sha1(const Block& block) noexcept {
  constexpr Digest kStart = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  std::uint32_t a = kStart[0], b = kStart[1], c = kStart[2], d = kStart[3], e = kStart[4];
  Block w = block;
  const auto schedule = [&w](unsigned t) {
    if (t >= 16) w[t & 15] = std::rotl(w[(t + 13) & 15] ^ w[(t + 8) & 15] ^ w[(t + 2) & 15] ^ w[t & 15], 1);
    return w[t & 15];
  };
  const auto step = [&](unsigned t, std::uint32_t f, std::uint32_t k) {
    const std::uint32_t next = std::rotl(a, 5) + f + e + k + schedule(t);
    e = d;
    d = c;
    c = std::rotl(b, 30);
    b = a;
    a = next;
  };
#pragma GCC unroll 20
  for (unsigned t = 0; t < 20; ++t) step(t, d ^ (b & (c ^ d)), 0x5A827999);
#pragma GCC unroll 20
  for (unsigned t = 20; t < 40; ++t) step(t, b ^ c ^ d, 0x6ED9EBA1);
#pragma GCC unroll 20
  for (unsigned t = 40; t < 60; ++t) step(t, (b & c) | (d & (b | c)), 0x8F1BBCDC);
#pragma GCC unroll 20
  for (unsigned t = 60; t < 80; ++t) step(t, b ^ c ^ d, 0xCA62C1D6);
  return {kStart[0] + a, kStart[1] + b, kStart[2] + c, kStart[3] + d, kStart[4] + e};
}

// The ICMP type that answers `type`, or -1: such a message has no counterpart and its direction is part of the id.
int icmp_counterpart(std::uint8_t type) noexcept {
  switch (type) {
    case 0: return 8;  // echo
    case 8: return 0;
    case 9: return 10;  // router advertisement, solicitation
    case 10: return 9;
    case 13: return 14;  // timestamp
    case 14: return 13;
    case 15: return 16;  // information
    case 16: return 15;
    case 17: return 18;  // address mask
    case 18: return 17;
    default: return -1;
  }
}
int icmp_v6_counterpart(std::uint8_t type) noexcept {
  switch (type) {
    case 128: return 129;  // echo
    case 129: return 128;
    case 130: return 131;  // multicast listener query, report
    case 131: return 130;
    case 133: return 134;  // router solicitation, advertisement
    case 134: return 133;
    case 135: return 136;  // neighbour solicitation, advertisement
    case 136: return 135;
    case 139: return 140;  // node information
    case 140: return 139;
    case 144: return 145;  // home agent address discovery
    case 145: return 144;
    default: return -1;
  }
}

struct Ends {
  std::uint16_t src_port = 0, dst_port = 0;
  bool has_ports = true;
  bool one_way = false;
};
Ends ends_of(const Tuple& flow) noexcept {
  switch (flow.protocol) {
    case kTcp:
    case kUdp:
    case kSctp: return {flow.src_port, flow.dst_port};
    case kIcmp:
    case kIcmpV6: {
      const auto type = static_cast<std::uint8_t>(flow.dst_port >> 8);
      const int answer = flow.protocol == kIcmp ? icmp_counterpart(type) : icmp_v6_counterpart(type);
      if (answer < 0) return {type, static_cast<std::uint16_t>(flow.dst_port & 0xff), true, true};
      return {type, static_cast<std::uint16_t>(answer)};
    }
    default: return {0, 0, false};
  }
}

// Seed, addresses, protocol, a zero, ports, then the padding of SHA-1: at most 40 of 55 bytes.
Block block_of(const Tuple& flow) noexcept {
  Ends ends = ends_of(flow);
  const std::size_t width = flow.family == 4 ? 4 : 16;
  const Address *src = &flow.src, *dst = &flow.dst;
  const int order = std::memcmp(src->data(), dst->data(), width);
  if (!ends.one_way && (order > 0 || (order == 0 && ends.src_port > ends.dst_port))) {
    std::swap(src, dst);
    std::swap(ends.src_port, ends.dst_port);
  }
  std::array<std::uint8_t, 64> bytes{};
  std::size_t size = 2;
  for (const auto* address : {src, dst}) {
    std::memcpy(&bytes[size], address->data(), width);
    size += width;
  }
  bytes[size] = flow.protocol;
  size += 2;
  if (ends.has_ports) {
    for (const auto port : {ends.src_port, ends.dst_port}) {
      bytes[size++] = static_cast<std::uint8_t>(port >> 8);
      bytes[size++] = static_cast<std::uint8_t>(port);
    }
  }
  bytes[size] = 0x80;
  bytes[62] = static_cast<std::uint8_t>(size * 8 >> 8);
  bytes[63] = static_cast<std::uint8_t>(size * 8);
  Block block;
  for (std::size_t i = 0; i < block.size(); ++i) {
    std::uint32_t word = 0;
    std::memcpy(&word, &bytes[i * 4], sizeof word);
    block[i] = std::endian::native == std::endian::little ? __builtin_bswap32(word) : word;
  }
  return block;
}

}  // namespace

std::size_t community_id(const Tuple& flow, char* out) noexcept {
  constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (flow.family != 4 && flow.family != 6) return 0;
  // The one before is often asked for again: by a message's key after its field, by a connection's other direction.
  thread_local Block last{};  // no tuple's block is all zeros: padding begins with a one
  thread_local Digest digest;
  if (const Block block = block_of(flow); block != last) {
    digest = sha1(block);
    last = block;
  }
  std::array<std::uint8_t, 21> bytes{};  // a zero follows the 20
  for (std::size_t i = 0; i < 20; ++i) bytes[i] = static_cast<std::uint8_t>(digest[i / 4] >> (24 - 8 * (i % 4)));
  *out++ = '1';
  *out++ = ':';
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::uint32_t three = static_cast<std::uint32_t>(bytes[i] << 16 | bytes[i + 1] << 8 | bytes[i + 2]);
    for (const int shift : {18, 12, 6, 0}) *out++ = kBase64[three >> shift & 63];
  }
  out[-1] = '=';
  return 30;
}

}  // namespace fffa
