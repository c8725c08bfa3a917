// SPDX-License-Identifier: MIT
#include "fffa_common/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <new>

namespace fffa::common {
namespace {

constexpr int kGzip = 15 + 16;  // window bits: the largest window, a gzip header
constexpr std::size_t kChunk = 64 * 1024;

}  // namespace

struct Deflater::State {
  z_stream stream{};

  State() {
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      throw std::bad_alloc();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { deflateEnd(&stream); }

  void run(std::string_view text, int flush, std::string& out) {
    std::array<char, kChunk> buffer;
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    do {
      stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
      stream.avail_out = static_cast<uInt>(buffer.size());
      static_cast<void>(deflate(&stream, flush));  // Z_BUF_ERROR only says that there was nothing to do
      out.append(buffer.data(), buffer.size() - stream.avail_out);
    } while (stream.avail_out == 0);
  }
};

Deflater::Deflater() : state_(std::make_unique<State>()) {}
Deflater::~Deflater() = default;
Deflater::Deflater(Deflater&&) noexcept = default;
Deflater& Deflater::operator=(Deflater&&) noexcept = default;

void Deflater::add(std::string_view text, std::string& out) {
  for (constexpr std::size_t kStep = std::size_t{1} << 30; !text.empty();
       text.remove_prefix(std::min(kStep, text.size()))) {
    state_->run(text.substr(0, kStep), Z_NO_FLUSH, out);
  }
}
void Deflater::sync(std::string& out) {
  state_->run({}, Z_SYNC_FLUSH, out);
}
void Deflater::finish(std::string& out) {
  state_->run({}, Z_FINISH, out);
}

std::string GzipPrefix::end() const {
  std::string bytes("\x03\0", 2);  // an empty last block
  for (const std::uint32_t number : {crc, static_cast<std::uint32_t>(text)}) {
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(number >> shift);
  }
  return bytes;
}

// A place to cut is where a block ends with a byte, as it does after sync().
GzipPrefix gzip_prefix(const std::function<std::size_t(char* buffer, std::size_t size)>& read) {
  struct Stream {
    z_stream z{};
    Stream() {
      if (inflateInit2(&z, kGzip) != Z_OK) throw std::bad_alloc();
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { inflateEnd(&z); }
  } stream;
  constexpr int kUnusedBits = 7, kLastBlock = 64, kBlockEnd = 128;  // of z_stream::data_type
  std::array<char, kChunk> in, out;
  auto& z = stream.z;
  GzipPrefix found;
  std::uint64_t lines = 0;
  char last = 0;
  for (int status = Z_OK; status == Z_OK || status == Z_BUF_ERROR;) {
    if (z.avail_in == 0) {
      z.next_in = reinterpret_cast<Bytef*>(in.data());
      z.avail_in = static_cast<uInt>(read(in.data(), in.size()));
      if (z.avail_in == 0) break;
    }
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    status = inflate(&z, Z_BLOCK);
    if (const std::string_view text(out.data(), out.size() - z.avail_out); !text.empty()) {
      lines += static_cast<std::uint64_t>(std::ranges::count(text, '\n'));
      last = text.back();
    }
    found.whole = status == Z_STREAM_END;
    const bool cut =
        status == Z_OK && last == '\n' && (z.data_type & (kBlockEnd | kLastBlock | kUnusedBits)) == kBlockEnd;
    if (!found.whole && !cut) continue;
    found.size = z.total_in;
    found.lines = lines;
    found.text = z.total_out;
    found.crc = static_cast<std::uint32_t>(z.adler);
  }
  return found;
}

}  // namespace fffa::common
