// SPDX-License-Identifier: MIT
#include "progress.h"

#include <unistd.h>

#include <array>
#include <cstdio>

namespace fffa::pcap {
namespace {

constexpr auto kEvery = std::chrono::milliseconds(250);
constexpr std::size_t kNameColumns = 40;

void write_all(const std::string& text) {
  static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
}

// What a terminal may be shown of a name: its end, without control characters.
std::string tame(std::string name) {
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  if (name.size() > kNameColumns) name = "..." + name.substr(name.size() - kNameColumns + 3);
  return name;
}

}  // namespace

std::string progress_line(const std::string& name, std::uint64_t done, std::uint64_t total, std::uint64_t packets) {
  std::array<char, 96> text{};
  const double megabytes = static_cast<double>(done) / 1e6;
  if (total != 0) {
    std::snprintf(text.data(), text.size(), ": %3.0f %%, %.1f of %.1f MB",
                  100.0 * static_cast<double>(done) / static_cast<double>(total), megabytes,
                  static_cast<double>(total) / 1e6);
  } else {
    std::snprintf(text.data(), text.size(), ": %.1f MB", megabytes);
  }
  return tame(name) + text.data() + ", " + std::to_string(packets) + " packets";
}

Progress::Progress(std::string name, std::uint64_t total)
    : name_(std::move(name)),
      total_(total),
      shown_(::isatty(STDERR_FILENO) != 0),
      next_(std::chrono::steady_clock::now() + kEvery) {}

void Progress::show(std::uint64_t done, std::uint64_t packets) {
  if (!shown_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + kEvery;
  // the cursor goes back to the line's beginning: records that go to the same terminal overwrite it
  write_all("\r" + progress_line(name_, done, total_, packets) + "\x1b[K\r");
  written_ = true;
}

void Progress::clear() {
  if (written_) write_all("\r\x1b[K");
  written_ = false;
}

}  // namespace fffa::pcap
