// SPDX-License-Identifier: MIT
// The classic format: one header, then records. https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/
#include <algorithm>
#include <cstring>

#include "reader.h"

namespace fffa::pcap {
namespace {

constexpr std::uint32_t kMicroseconds = 0xa1b2c3d4;
constexpr std::uint32_t kNanoseconds = 0xa1b23c4d;
constexpr std::size_t kFileHeader = 24;
constexpr std::size_t kRecordHeader = 16;
constexpr std::uint32_t kMaxCaptured = 262144;  // libpcap's limit too: a record that claims more is damaged

// Of the programs that compress captures and are not built in.
const char* compressed_by(const std::uint8_t* start) {
  if (std::memcmp(start, "\xfd\x37zX", 4) == 0) return "xz";
  if (std::memcmp(start, "\x28\xb5\x2f\xfd", 4) == 0) return "zstd";
  if (std::memcmp(start, "\x04\x22\x4d\x18", 4) == 0) return "lz4";
  return std::memcmp(start, "BZh", 3) == 0 ? "bzip2" : nullptr;
}

}  // namespace

Result<void> Reader::open_classic(std::uint32_t magic) {
  const std::uint32_t other = __builtin_bswap32(magic);
  swapped_ = other == kMicroseconds || other == kNanoseconds;
  if (swapped_) magic = other;
  if (magic != kMicroseconds && magic != kNanoseconds) {
    const char* program = compressed_by(window_.at());
    static_cast<void>(damaged(0, program == nullptr
                                     ? "neither pcap nor pcapng (nor either of them compressed by gzip)"
                                     : std::string("compressed by ") + program + ": decompress it first (`" + program +
                                           " -dc FILE | fffa run replay.yaml`)"));
    return fail(error_);
  }
  format_ = Format::classic;
  if (!window_.has(kFileHeader)) {
    static_cast<void>(window_.error() ? short_end(0, kFileHeader) : damaged(0, "the file header is cut off"));
    return fail(error_);
  }
  fraction_ns_ = magic == kNanoseconds ? 1 : 1000;
  // The upper half may say how long frame check sequences are; lengths come from the IP header anyway.
  static_cast<void>(intern(static_cast<std::uint16_t>(u32(window_.at() + 20) & 0xffff), {}, 0));
  window_.skip(kFileHeader);
  return {};
}

Reader::Step Reader::next_classic(Packet& packet) {
  const std::uint64_t offset = window_.offset();
  if (!window_.has(kRecordHeader)) return short_end(offset, kRecordHeader);
  const std::uint8_t* header = window_.at();
  const std::uint32_t captured = u32(header + 8);
  if (captured > kMaxCaptured)
    return damaged(offset, "a record that claims to have " + std::to_string(captured) + " bytes");
  if (!window_.has(kRecordHeader + captured)) return short_end(offset, kRecordHeader + captured);
  header = window_.at();
  packet.data = window_.at() + kRecordHeader;
  packet.captured = captured;
  packet.length = std::max(u32(header + 12), captured);
  const TimeNs time = TimeNs{u32(header)} * 1'000'000'000 + TimeNs{u32(header + 4)} * fraction_ns_;
  packet.time = std::clamp(time, kEarliest, kLatest);
  packet.interface = 0;
  packet.way = Way::unknown;
  window_.skip(kRecordHeader + captured);
  return Step::packet;
}

}  // namespace fffa::pcap
