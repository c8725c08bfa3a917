// SPDX-License-Identifier: MIT
// What the kernel lets this thread do.
#pragma once

#include <cstdint>

namespace fffa {

// The calling thread's effective capabilities, a bit each as linux/capability.h numbers them; 0 if they cannot be told.
// Needs no file descriptor, so that it works where none is left.
std::uint64_t effective_capabilities() noexcept;

}  // namespace fffa
