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

GzipPrefix prefix_of(std::string_view bytes) {
  return gzip_prefix([&bytes](char* buffer, std::size_t size) {
    const auto n = std::min(size, bytes.size());
    std::memcpy(buffer, bytes.data(), n);
    bytes.remove_prefix(n);
    return n;
  });
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
  const auto prefix = prefix_of(out);
  EXPECT_TRUE(prefix.whole);
  EXPECT_EQ(prefix.size, out.size());
  EXPECT_EQ(prefix.text, text.size());
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
    const auto prefix = prefix_of(std::string_view(out).substr(0, cut));
    EXPECT_FALSE(prefix.whole);
    EXPECT_GE(prefix.size, synced);
    EXPECT_EQ(prefix.text, 8u);
    EXPECT_EQ(prefix.lines, 2u);
    testing::TemporaryFolder temporary;
    testing::write_plain(temporary.path() / "x.gz", out.substr(0, prefix.size) + prefix.end());
    EXPECT_EQ(testing::read_gzip(temporary.path() / "x.gz"), "one\ntwo\n") << cut;
  }
}

TEST(Gzip, DamageEndsThePrefix) {
  Deflater deflater;
  std::string out;
  deflater.add(random_text(100'000), out);
  deflater.finish(out);
  out[out.size() / 2] = static_cast<char>(~out[out.size() / 2]);
  EXPECT_FALSE(prefix_of(out).whole);
  EXPECT_EQ(prefix_of("no gzip at all").size, 0u);
  EXPECT_EQ(prefix_of("").size, 0u);
}

}  // namespace
}  // namespace fffa::common
