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

// Reads what can be read of a gzip file that may be cut short or damaged: `text` is called with each piece, in order;
// false stops. `read` fills a buffer and gives the number of bytes, 0 at the end. True if the stream was whole.
bool inflate_prefix(const std::function<std::size_t(char* buffer, std::size_t size)>& read,
                    const std::function<bool(std::string_view text)>& text);

}  // namespace fffa::common
