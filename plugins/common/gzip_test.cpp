// SPDX-License-Identifier: MIT
#include "fffa_common/gzip.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "test_files.h"

namespace fffa::common {
namespace {

std::string random_text(std::size_t size) {
  std::mt19937 random(1);
  std::string text(size, '\0');
  for (auto& c : text) c = static_cast<char>(random());
  return text;
}

// What inflate_prefix() makes of `bytes`, and whether it was whole.
std::pair<std::string, bool> inflated(std::string_view bytes) {
  std::string text;
  const bool whole = inflate_prefix(
      [&bytes](char* buffer, std::size_t size) {
        const auto n = std::min(size, bytes.size());
        std::memcpy(buffer, bytes.data(), n);
        bytes.remove_prefix(n);
        return n;
      },
      [&text](std::string_view piece) {
        text += piece;
        return true;
      });
  return {text, whole};
}

TEST(Gzip, RoundTrip) {
  testing::TemporaryFolder temporary;
  const auto text = random_text(500'000) + std::string(500'000, 'a');
  Deflater deflater;
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 7777) deflater.add(std::string_view(text).substr(i, 7777), out);
  deflater.finish(out);
  testing::write_plain(temporary.path() / "x.gz", out);
  EXPECT_EQ(testing::read_gzip(temporary.path() / "x.gz"), text);
  EXPECT_EQ(inflated(out), std::pair(text, true));
}

TEST(Gzip, EverythingBeforeASyncSurvivesACut) {
  Deflater deflater;
  std::string out;
  deflater.add("one\ntwo\n", out);
  deflater.sync(out);
  const auto synced = out.size();
  deflater.sync(out);  // nothing new
  deflater.add("three\n", out);
  deflater.finish(out);
  for (std::size_t cut = synced; cut < out.size(); ++cut) {
    const auto [text, whole] = inflated(std::string_view(out).substr(0, cut));
    EXPECT_TRUE(text.starts_with("one\ntwo\n")) << cut;
    EXPECT_FALSE(whole);
  }
}

TEST(Gzip, DamageEndsThePrefix) {
  Deflater deflater;
  std::string out;
  deflater.add(random_text(100'000), out);
  deflater.finish(out);
  out[out.size() / 2] = static_cast<char>(~out[out.size() / 2]);
  EXPECT_FALSE(inflated(out).second);
  EXPECT_EQ(inflated("no gzip at all"), std::pair(std::string(), false));
  EXPECT_EQ(inflated(""), std::pair(std::string(), false));
}

}  // namespace
}  // namespace fffa::common
