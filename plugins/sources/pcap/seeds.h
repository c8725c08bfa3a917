// SPDX-License-Identifier: MIT
// Seeds of hash tables whose keys a capture chooses.
#pragma once

#include <sys/random.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <span>

namespace fffa::pcap {

// As few as these come at once, or not at all: then there is nothing safe to go on with.
inline void draw_seeds(std::span<std::uint32_t> seeds) {
  while (::getrandom(seeds.data(), seeds.size_bytes(), 0) != static_cast<ssize_t>(seeds.size_bytes())) {
    if (errno != EINTR) std::abort();
  }
}

}  // namespace fffa::pcap
