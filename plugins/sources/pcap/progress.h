// SPDX-License-Identifier: MIT
// How far a capture has been read, on a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace fffa::pcap {

// "capture.pcap: 43 %, 120.5 of 280.0 MB, 1.2 M packets"; without a total (0): "capture.pcap: 120.5 MB, 1.2 M packets".
std::string progress_line(const std::string& name, std::uint64_t done, std::uint64_t total, std::uint64_t packets);

// Writes to stderr, if that is a terminal: a line that the next one, or whatever else is written, overwrites.
class Progress {
 public:
  Progress(std::string name, std::uint64_t total);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  bool shown() const noexcept { return shown_; }
  // At most a few times a second; cheap enough to call for every few thousand packets.
  void show(std::uint64_t done, std::uint64_t packets);
  void clear();

 private:
  std::string name_;
  std::uint64_t total_;
  bool shown_;
  bool written_ = false;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace fffa::pcap
