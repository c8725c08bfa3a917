// SPDX-License-Identifier: MIT
// Community ID v1: base64 of the SHA-1 of the tuple, its ends put in order so that both directions give one id.
#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "fffa/fields.h"
#include "sha1.h"

namespace fffa {
namespace {

constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmpV6 = 58, kSctp = 132;

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

// A tuple in the order that both directions share.
struct Ordered {
  Address low{}, high{};
  std::uint16_t low_port = 0, high_port = 0;
  std::uint8_t family = 0, protocol = 0;
  bool has_ports = true;

  bool operator==(const Ordered&) const = default;
};

Ordered ordered(const Tuple& flow) noexcept {
  Ordered ends{flow.src, flow.dst, flow.src_port, flow.dst_port, flow.family, flow.protocol};
  switch (flow.protocol) {
    case kTcp:
    case kUdp:
    case kSctp: break;
    case kIcmp:
    case kIcmpV6: {
      const auto type = static_cast<std::uint8_t>(flow.dst_port >> 8);
      const int answer = flow.protocol == kIcmp ? icmp_counterpart(type) : icmp_v6_counterpart(type);
      ends.low_port = type;
      ends.high_port = static_cast<std::uint16_t>(answer < 0 ? flow.dst_port & 0xff : answer);
      if (answer < 0) return ends;  // it has one direction
      break;
    }
    default: ends.low_port = ends.high_port = 0; ends.has_ports = false;
  }
  const int order = std::memcmp(flow.src.data(), flow.dst.data(), flow.family == 4 ? 4 : 16);
  if (order > 0 || (order == 0 && ends.low_port > ends.high_port)) {
    std::swap(ends.low, ends.high);
    std::swap(ends.low_port, ends.high_port);
  }
  return ends;
}

// Seed (two zeros), addresses, protocol, a zero, ports, then the padding of SHA-1: at most 40 of 55 bytes. In words
// from the start: to load bytes as a word that were just stored one by one waits for every store before them.
detail::Sha1Block block_of(const Ordered& ends) noexcept {
  detail::Sha1Block block{};
  std::size_t size = 0;
  std::uint32_t before = 0;
  for (const auto* address : {&ends.low, &ends.high}) {
    for (std::size_t i = 0; i < (ends.family == 4 ? 1 : 4); ++i) {
      std::uint32_t word = 0;
      std::memcpy(&word, address->data() + 4 * i, sizeof word);
      if constexpr (std::endian::native == std::endian::little) word = __builtin_bswap32(word);
      block[size++] = before << 16 | word >> 16;
      before = word;
    }
  }
  block[size++] = before << 16 | std::uint32_t{ends.protocol} << 8;
  if (ends.has_ports) block[size++] = std::uint32_t{ends.low_port} << 16 | ends.high_port;
  block[size] = 0x80000000;
  block[15] = static_cast<std::uint32_t>(size * 32);
  return block;
}

}  // namespace

std::size_t community_id(const Tuple& flow, char* out) noexcept {
  constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (flow.family != 4 && flow.family != 6) return 0;
  // The one before is often asked for again: by a message's key after its field, by a connection's other direction.
  thread_local Ordered last;  // of no family
  thread_local detail::Sha1Digest digest;
  if (const auto ends = ordered(flow); ends != last) {
    digest = detail::sha1(block_of(ends));
    last = ends;
  }
  *out++ = '1';
  *out++ = ':';
  for (std::size_t bit = 0; bit < 160; bit += 24) {
    const std::uint64_t high = digest[bit / 32], low = bit < 128 ? digest[bit / 32 + 1] : 0;
    const auto three = static_cast<std::uint32_t>((high << 32 | low) >> (40 - bit % 32));
    for (const int shift : {18, 12, 6, 0}) *out++ = kBase64[three >> shift & 63];
  }
  out[-1] = '=';
  return 30;
}

}  // namespace fffa
