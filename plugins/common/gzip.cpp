// SPDX-License-Identifier: MIT
#include "fffa_common/gzip.h"

#include <zlib.h>

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

bool inflate_prefix(const std::function<std::size_t(char* buffer, std::size_t size)>& read,
                    const std::function<bool(std::string_view text)>& text) {
  struct Stream {
    z_stream z{};
    Stream() {
      if (inflateInit2(&z, kGzip) != Z_OK) throw std::bad_alloc();
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { inflateEnd(&z); }
  } stream;
  std::array<char, kChunk> in, out;
  auto& z = stream.z;
  int status = Z_OK;
  while (status == Z_OK || status == Z_BUF_ERROR) {
    if (z.avail_in == 0) {
      z.next_in = reinterpret_cast<Bytef*>(in.data());
      z.avail_in = static_cast<uInt>(read(in.data(), in.size()));
      if (z.avail_in == 0) return false;
    }
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    status = inflate(&z, Z_NO_FLUSH);
    const std::size_t size = out.size() - z.avail_out;
    if (size != 0 && !text({out.data(), size})) return false;
  }
  return status == Z_STREAM_END;
}

}  // namespace fffa::common
