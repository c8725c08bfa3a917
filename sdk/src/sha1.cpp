// SPDX-License-Identifier: MIT
#include "sha1.h"

#include <bit>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace fffa::detail {
namespace {

constexpr Sha1Digest kStart = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};

#if defined(__x86_64__)
bool has_sha_instructions() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
}

// Four rounds at a time; the highest lane of a vector is its first word.
[[gnu::target("sha,sse4.1")]] Sha1Digest x86_sha1(const Sha1Block& block) noexcept {
  constexpr int kReversed = 0x1B;
  __m128i w[4];
  for (int i = 0; i < 4; ++i)
    w[i] = _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block.data()) + i), kReversed);
  const __m128i start = _mm_setr_epi32(static_cast<int>(kStart[3]), static_cast<int>(kStart[2]),
                                       static_cast<int>(kStart[1]), static_cast<int>(kStart[0]));
  __m128i abcd = start, before = start;
  __m128i e = _mm_add_epi32(_mm_setr_epi32(0, 0, 0, static_cast<int>(kStart[4])), w[0]);
#pragma GCC unroll 20
  for (int t = 0; t < 20; ++t) {
    if (t >= 4)
      w[t & 3] = _mm_sha1msg2_epu32(_mm_xor_si128(_mm_sha1msg1_epu32(w[t & 3], w[(t + 1) & 3]), w[(t + 2) & 3]),
                                    w[(t + 3) & 3]);
    if (t > 0) e = _mm_sha1nexte_epu32(before, w[t & 3]);
    before = abcd;
    switch (t / 5) {
      case 0: abcd = _mm_sha1rnds4_epu32(abcd, e, 0); break;
      case 1: abcd = _mm_sha1rnds4_epu32(abcd, e, 1); break;
      case 2: abcd = _mm_sha1rnds4_epu32(abcd, e, 2); break;
      default: abcd = _mm_sha1rnds4_epu32(abcd, e, 3); break;
    }
  }
  Sha1Digest digest;
  const __m128i sum = _mm_shuffle_epi32(_mm_add_epi32(abcd, start), kReversed);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(digest.data()), sum);
  const __m128i last = _mm_sha1nexte_epu32(before, _mm_setr_epi32(0, 0, 0, static_cast<int>(kStart[4])));
  digest[4] = static_cast<std::uint32_t>(_mm_extract_epi32(last, 3));
  return digest;
}
#endif

}  // namespace

Sha1Digest portable_sha1(const Sha1Block& block) noexcept {
  std::uint32_t a = kStart[0], b = kStart[1], c = kStart[2], d = kStart[3], e = kStart[4];
  Sha1Block w = block;
  const auto schedule = [&w](unsigned t) {
    if (t >= 16) w[t & 15] = std::rotl(w[(t + 13) & 15] ^ w[(t + 8) & 15] ^ w[(t + 2) & 15] ^ w[t & 15], 1);
    return w[t & 15];
  };
  const auto step = [&](unsigned t, std::uint32_t f, std::uint32_t k) {
    const std::uint32_t next = std::rotl(a, 5) + f + e + k + schedule(t);
    e = d;
    d = c;
    c = std::rotl(b, 30);
    b = a;
    a = next;
  };
#pragma GCC unroll 20
  for (unsigned t = 0; t < 20; ++t) step(t, d ^ (b & (c ^ d)), 0x5A827999);
#pragma GCC unroll 20
  for (unsigned t = 20; t < 40; ++t) step(t, b ^ c ^ d, 0x6ED9EBA1);
#pragma GCC unroll 20
  for (unsigned t = 40; t < 60; ++t) step(t, (b & c) | (d & (b | c)), 0x8F1BBCDC);
#pragma GCC unroll 20
  for (unsigned t = 60; t < 80; ++t) step(t, b ^ c ^ d, 0xCA62C1D6);
  return {kStart[0] + a, kStart[1] + b, kStart[2] + c, kStart[3] + d, kStart[4] + e};
}

Sha1Digest sha1(const Sha1Block& block) noexcept {
#if defined(__x86_64__)
  static const bool kInstructions = has_sha_instructions();
  if (kInstructions) return x86_sha1(block);
#endif
  return portable_sha1(block);
}

}  // namespace fffa::detail
