// SPDX-License-Identifier: MIT
// gzip streams. Allocation failure is a bug here and throws std::bad_alloc.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace fffa::common {

// Compresses text as it comes. The bytes depend on the text and the calls only (no time stamp).
class Deflater {
 public:
  Deflater();
  ~Deflater();
  Deflater(Deflater&&) noexcept;
  Deflater& operator=(Deflater&&) noexcept;

  // Each appends what is ready to `out`. After sync() everything added so far can be read back.
  void add(std::string_view text, std::string& out);
  void sync(std::string& out);
  void finish(std::string& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// What can be kept of a gzip file that may be cut short or damaged.
struct GzipPrefix {
  bool whole = false;       // the stream has its end, at `size`
  std::uint64_t size = 0;   // bytes of the file: up to the last sync() or finish() behind a whole line
  std::uint64_t lines = 0;  // in them
  std::uint64_t text = 0;   // their characters ...
  std::uint32_t crc = 0;    // ... and checksum
  // What ends the stream at `size`.
  std::string end() const;
};
// `read` fills a buffer and gives the number of bytes, 0 at the end.
GzipPrefix gzip_prefix(const std::function<std::size_t(char* buffer, std::size_t size)>& read);

}  // namespace fffa::common
