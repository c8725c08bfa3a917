// SPDX-License-Identifier: MIT
#include "config/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>

#include "fffa/detail/descriptor.h"
#include "fffa/text.h"

namespace fffa::core {
namespace {

std::string too_large(const std::string& name, std::size_t limit) {
  return "read " + name + ": larger than " + std::to_string(limit >> 10) + " KiB";
}

bool is_text(unsigned char byte) {
  return byte == '\t' || byte == '\n' || byte == '\r' || (byte >= 0x20 && byte != 0x7f);
}

}  // namespace

Result<std::string> read_regular_file(const std::filesystem::path& path, std::size_t limit) {
  const std::string name = path.string();
  // O_NONBLOCK: opening a pipe that nobody writes to would wait for ever
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) return system_error("open " + name);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return system_error("stat " + name);
  if (S_ISDIR(status.st_mode)) return fail("read " + name + ": it is a directory");
  if (!S_ISREG(status.st_mode)) return fail("read " + name + ": not a regular file");
  if (static_cast<std::uint64_t>(status.st_size) > limit) return fail(too_large(name, limit));
  std::string text;
  std::array<char, 65536> buffer;
  while (true) {  // until the end, not for st_size bytes: /proc files say 0
    const ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("read " + name);
    if (n == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(n));
    if (text.size() > limit) return fail(too_large(name, limit));
  }
}

bool check_text(std::string_view text, const std::shared_ptr<const std::string>& file, Diagnostics& diagnostics) {
  std::uint32_t line = 1;
  std::size_t line_start = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const std::size_t length = is_text(byte) ? utf8_length(text.substr(i)) : 0;
    if (length == 0) {
      std::array<char, 8> hex;
      std::snprintf(hex.data(), hex.size(), "0x%02x", byte);
      diagnostics.add({{file, line, static_cast<std::uint32_t>(i - line_start + 1)},
                       "",
                       std::string("not a text file: byte ") + hex.data(),
                       "a configuration is YAML in UTF-8"});
      return false;
    }
    i += length;
    if (byte == '\n') {
      ++line;
      line_start = i;
    }
  }
  return true;
}

}  // namespace fffa::core
