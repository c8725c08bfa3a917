// SPDX-License-Identifier: MIT
#include "sha1.h"

#include <gtest/gtest.h>

#include <random>

namespace fffa::detail {
namespace {

TEST(Sha1, OfRfc3174sFirstExample) {
  Sha1Block abc{0x61626380};
  abc[15] = 24;
  const Sha1Digest expected = {0xA9993E36, 0x4706816A, 0xBA3E2571, 0x7850C26C, 0x9CD0D89D};
  EXPECT_EQ(sha1(abc), expected);
  EXPECT_EQ(portable_sha1(abc), expected);
}

TEST(Sha1, TheProcessorsAndOursAreOne) {
  std::mt19937 random(1);
  for (int i = 0; i < 1000; ++i) {
    Sha1Block block;
    for (auto& word : block) word = static_cast<std::uint32_t>(random());
    ASSERT_EQ(sha1(block), portable_sha1(block));
  }
}

}  // namespace
}  // namespace fffa::detail
