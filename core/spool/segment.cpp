// SPDX-License-Identifier: MIT
#include "spool/segment.h"

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace fffa::core {
namespace {

constexpr std::uint64_t kChunk = 256 * 1024;

// As much of `size` octets as there is; less at the end of the file or on an error.
std::size_t read_some(int fd, char* out, std::size_t size, std::uint64_t at) {
  std::size_t have = 0;
  while (have < size) {
    const auto n = ::pread(fd, out + have, size - have, static_cast<off_t>(at + have));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    have += static_cast<std::size_t>(n);
  }
  return have;
}

std::optional<FoundFrame> frame_at(int fd, std::uint64_t at, std::uint64_t end) {
  HeaderBytes bytes;
  if (at + bytes.size() > end || !read_exactly(fd, bytes.data(), bytes.size(), at)) return {};
  const auto header = decode_header(bytes);
  if (!header || header->size() > end - at) return {};
  return FoundFrame{at, *header};
}

// A process that was killed left the beginning of a frame; a machine that went down perhaps a hole.
bool is_unfinished(int fd, std::uint64_t at, std::uint64_t size) {
  HeaderBytes bytes;
  if (size < bytes.size()) return true;
  if (!read_exactly(fd, bytes.data(), bytes.size(), at)) return false;
  return decode_header(bytes) || bytes == HeaderBytes{};
}

}  // namespace

bool read_exactly(int fd, char* out, std::size_t size, std::uint64_t at) {
  return read_some(fd, out, size, at) == size;
}

std::optional<FoundFrame> find_frame(int fd, std::uint64_t from, std::uint64_t end) {
  if (const auto here = frame_at(fd, from, end)) return here;
  std::string chunk;
  for (std::uint64_t at = from; at + FrameHeader::kSize <= end; at += kChunk) {
    // A magic may lie across the border of two chunks.
    chunk.resize(std::min(kChunk + FrameHeader::kMagic.size() - 1, end - at));
    chunk.resize(read_some(fd, chunk.data(), chunk.size(), at));
    for (auto i = chunk.find(FrameHeader::kMagic); i != std::string::npos; i = chunk.find(FrameHeader::kMagic, i + 1)) {
      if (const auto found = frame_at(fd, at + i, end)) return found;
    }
  }
  return {};
}

bool read_payload(int fd, const FoundFrame& frame, std::string& out) {
  out.resize(frame.header.length);
  return read_exactly(fd, out.data(), out.size(), frame.at + FrameHeader::kSize) &&
         crc32(out) == frame.header.payload_crc;
}

Survey survey(int fd, std::uint64_t size) {
  Survey result;
  while (const auto frame = find_frame(fd, result.end, size)) {
    result.damaged = result.damaged || frame->at != result.end;
    result.end = frame->at + frame->header.size();
    ++result.frames;
    if (frame->header.delivered) {
      ++result.delivered;
    } else {
      result.content += frame->header.content;
    }
  }
  result.behind = size - result.end;
  result.unfinished = result.behind > 0 && is_unfinished(fd, result.end, result.behind);
  return result;
}

}  // namespace fffa::core
