// SPDX-License-Identifier: MIT
// Captures for tests, byte by byte.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace fffa::pcap {

using Bytes = std::vector<std::uint8_t>;

class ByteWriter {
 public:
  explicit ByteWriter(bool swapped) : swapped_(swapped) {}
  ByteWriter& u16(std::uint16_t value) { return put(swapped_ ? __builtin_bswap16(value) : value); }
  ByteWriter& u32(std::uint32_t value) { return put(swapped_ ? __builtin_bswap32(value) : value); }
  ByteWriter& u64(std::uint64_t value) { return put(swapped_ ? __builtin_bswap64(value) : value); }
  ByteWriter& raw(const Bytes& bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  ByteWriter& pad() {
    while (bytes_.size() % 4 != 0) bytes_.push_back(0);
    return *this;
  }
  const Bytes& bytes() const { return bytes_; }

 private:
  template <typename T>
  ByteWriter& put(T value) {
    const auto* at = reinterpret_cast<const std::uint8_t*>(&value);
    bytes_.insert(bytes_.end(), at, at + sizeof value);
    return *this;
  }
  bool swapped_;
  Bytes bytes_;
};

inline void append(Bytes& to, const Bytes& more) {
  to.insert(to.end(), more.begin(), more.end());
}

// The classic format.
struct ClassicFile {
  explicit ClassicFile(std::uint32_t link_type = 1, bool nanoseconds = false, bool other_order = false)
      : swapped(other_order) {
    bytes = ByteWriter(swapped)
                .u32(nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4)
                .u16(2)
                .u16(4)
                .u32(0)
                .u32(0)
                .u32(65535)
                .u32(link_type)
                .bytes();
  }
  ClassicFile& packet(std::uint32_t seconds, std::uint32_t fraction, const Bytes& data, std::uint32_t length = 0) {
    const auto size = static_cast<std::uint32_t>(data.size());
    append(bytes,
           ByteWriter(swapped).u32(seconds).u32(fraction).u32(size).u32(length ? length : size).raw(data).bytes());
    return *this;
  }
  bool swapped;
  Bytes bytes;
};

// pcapng.
struct BlockFile {
  explicit BlockFile(bool other_order = false) { section(other_order); }
  BlockFile& block(std::uint32_t type, const Bytes& body) {
    const auto length = static_cast<std::uint32_t>(12 + body.size());
    append(bytes, ByteWriter(swapped).u32(type).u32(length).raw(body).u32(length).bytes());
    return *this;
  }
  BlockFile& section(bool other_order) {
    swapped = other_order;
    return block(0x0a0d0d0a, ByteWriter(swapped).u32(0x1a2b3c4d).u16(1).u16(0).u64(~0ull).bytes());
  }
  Bytes option(std::uint16_t code, const Bytes& value) const {
    return ByteWriter(swapped).u16(code).u16(static_cast<std::uint16_t>(value.size())).raw(value).pad().bytes();
  }
  BlockFile& interface(std::uint16_t link_type, const std::string& name = {}, const Bytes& more_options = {},
                       std::uint32_t snap_length = 0) {
    ByteWriter body(swapped);
    body.u16(link_type).u16(0).u32(snap_length);
    if (!name.empty()) body.raw(option(2, Bytes(name.begin(), name.end())));
    return block(1, body.raw(more_options).bytes());
  }
  BlockFile& packet(std::uint32_t interface, std::uint64_t time, const Bytes& data, const Bytes& options = {},
                    std::uint32_t length = 0) {
    const auto size = static_cast<std::uint32_t>(data.size());
    return block(6, ByteWriter(swapped)
                        .u32(interface)
                        .u32(static_cast<std::uint32_t>(time >> 32))
                        .u32(static_cast<std::uint32_t>(time))
                        .u32(size)
                        .u32(length ? length : size)
                        .raw(data)
                        .pad()
                        .raw(options)
                        .bytes());
  }
  // epb_flags: 1 inbound, 2 outbound.
  Bytes flags(std::uint32_t value) const { return option(2, ByteWriter(swapped).u32(value).bytes()); }
  bool swapped = false;
  Bytes bytes;
};

inline Bytes gzip(const Bytes& bytes) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  Bytes out(deflateBound(&stream, static_cast<uLong>(bytes.size())) + 64);
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace fffa::pcap
