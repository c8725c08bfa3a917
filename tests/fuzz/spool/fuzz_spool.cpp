// SPDX-License-Identifier: MIT
// The first byte chooses. 0: the rest is a batch, as the payload of a frame would be: it is decoded, and what comes out
// survives being written and read again. Else: a sound segment is made, damaged as the rest says, and read: what comes
// out is what was written, in order, however much of it.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../require.h"
#include "spool/batch_codec.h"
#include "spool/frame.h"
#include "spool/segment.h"

namespace {

using namespace fffa;
using namespace fffa::core;
using fuzz::require;

void batch(std::string_view bytes) {
  TextTable texts;
  BatchDecoder decoder(texts);
  Batch first, second;
  std::string refused;
  if (!decoder.decode(bytes, first, refused)) return;
  std::string written;
  BatchEncoder(texts).append(first, written);
  refused.clear();
  require(decoder.decode(written, second, refused) && refused.empty());
  require(second.size() == first.size() && second.interfaces.size() == first.interfaces.size());
  require(second.window == first.window && second.watermark == first.watermark);
  require(second.volume() == first.volume());
}

// Takes numbers off the input; 0 at its end.
struct Input {
  std::string_view rest;
  std::size_t number(std::size_t bytes) {
    std::size_t value = 0;
    for (; bytes > 0 && !rest.empty(); --bytes, rest.remove_prefix(1))
      value = value << 8 | static_cast<unsigned char>(rest.front());
    return value;
  }
};

void segment(Input in) {
  std::vector<std::string> payloads;
  std::string image;
  for (auto n = in.number(1) % 16; n > 0; --n) {
    auto& payload = payloads.emplace_back(in.number(1) * (n % 5 == 0 ? 2000 : 1), static_cast<char>('a' + n));
    const auto header = encode_header({static_cast<std::uint32_t>(payload.size()), {1, n, n}, crc32(payload)});
    image.append(header.data(), header.size()).append(payload);
  }
  const bool cut = in.number(1) % 2 == 0;
  if (cut) image.resize(image.size() - std::min(image.size(), in.number(2)));
  const bool whole = !cut && in.rest.empty();
  while (!in.rest.empty() && !image.empty()) {
    const auto at = in.number(2) % image.size();
    image[at] = static_cast<char>(image[at] ^ in.number(1));
  }
  const Descriptor file(::memfd_create("segment", MFD_CLOEXEC));
  require(::write(file.get(), image.data(), image.size()) == static_cast<ssize_t>(image.size()));
  const auto found = survey(file.get(), image.size());
  require(found.end + found.behind == image.size() && found.frames <= payloads.size());
  std::size_t next = 0;
  std::uint32_t frames = 0;
  std::string payload;
  for (std::uint64_t at = 0; const auto frame = find_frame(file.get(), at, image.size());) {
    require(frame->at >= at && frame->header.size() <= image.size() - frame->at);
    at = frame->at + frame->header.size();
    ++frames;
    if (!read_payload(file.get(), *frame, payload)) continue;
    while (next < payloads.size() && payloads[next] != payload) ++next;
    require(next++ < payloads.size());
  }
  require(frames == found.frames);
  require(!whole || (frames == payloads.size() && !found.damaged && found.behind == 0));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  data[0] == 0 ? batch(rest) : segment({rest});
  return 0;
}
