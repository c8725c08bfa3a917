// SPDX-License-Identifier: MIT
// SHA-1 (RFC 3174) of a message that fits into one block with its padding. Not for secrets.
#pragma once

#include <array>
#include <cstdint>

namespace fffa::detail {

using Sha1Block = std::array<std::uint32_t, 16>;  // padded
using Sha1Digest = std::array<std::uint32_t, 5>;

// With the instructions for it that x86-64 processors may have: in a third of the time.
Sha1Digest sha1(const Sha1Block& block) noexcept;
// In C++ alone.
Sha1Digest portable_sha1(const Sha1Block& block) noexcept;

}  // namespace fffa::detail
