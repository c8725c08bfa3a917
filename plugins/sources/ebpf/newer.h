// SPDX-License-Identifier: MIT
// Numbers of kernels that are newer than the headers we may be built with.
#pragma once

#include <cstdint>
#include <cstring>

namespace fffa::ebpf {

// Of kernel 6.4's <linux/bpf.h>.
inline constexpr std::uint32_t kNetfilterProgram = 32;
inline constexpr std::uint32_t kNetfilterAttach = 45;

template <typename Enum>
__attribute__((no_sanitize("enum"))) Enum newer(std::uint32_t number) {
  static_assert(sizeof(Enum) == sizeof number);
  Enum value;
  std::memcpy(&value, &number, sizeof value);
  return value;
}

}  // namespace fffa::ebpf
