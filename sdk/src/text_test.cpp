// SPDX-License-Identifier: MIT
#include "fffa/text.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace {

using fffa::Text;
using fffa::TextTable;

TEST(Utf8, LengthOfTheFirstCharacter) {
  EXPECT_EQ(fffa::utf8_length("a\xff"), 1U);
  EXPECT_EQ(fffa::utf8_length("\xc3\xa9x"), 2U);
  EXPECT_EQ(fffa::utf8_length("\xe2\x82\xac"), 3U);
  EXPECT_EQ(fffa::utf8_length("\xf0\x9f\x98\x80"), 4U);
  for (const char* wrong : {"\x80", "\xc1\x80", "\xc3", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                            "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82"})
    EXPECT_EQ(fffa::utf8_length(wrong), 0U) << static_cast<int>(static_cast<unsigned char>(wrong[0]));
}

TEST(TextTable, SameTextSameHandle) {
  TextTable table;
  const Text one = table.intern("eth0");
  EXPECT_NE(one, Text::null);
  EXPECT_EQ(table.intern(std::string("eth") + "0"), one);
  EXPECT_NE(table.intern("eth1"), one);
  EXPECT_EQ(table.view(one), "eth0");
  EXPECT_EQ(table.size(), 2u);
}

TEST(TextTable, EmptyAndUnknownHandlesAreEmpty) {
  TextTable table;
  EXPECT_EQ(table.intern(""), Text::null);
  EXPECT_EQ(table.view(Text::null), "");
  EXPECT_EQ(table.view(static_cast<Text>(1)), "");
  EXPECT_EQ(table.view(static_cast<Text>(0xffffffff)), "");
}

TEST(TextTable, FullTableGivesNullAndCounts) {
  TextTable table(3, 1000);
  for (const char* text : {"a", "b", "c"}) EXPECT_NE(table.intern(text), Text::null);
  EXPECT_EQ(table.intern("d"), Text::null);
  EXPECT_NE(table.intern("b"), Text::null);
  EXPECT_EQ(table.overflows(), 1u);

  TextTable bytes(100, 10);
  EXPECT_NE(bytes.intern("12345678"), Text::null);
  EXPECT_EQ(bytes.intern("123"), Text::null);
  EXPECT_NE(bytes.intern("12"), Text::null);
  EXPECT_EQ(bytes.overflows(), 1u);
}

TEST(TextTable, ViewsStayWhereTheyAre) {
  TextTable table;
  const Text first = table.intern("first");
  const Text large = table.intern(std::string(100'000, 'x'));
  const char* place = table.view(first).data();
  for (int i = 0; i < 20'000; ++i) table.intern("text number " + std::to_string(i));
  EXPECT_EQ(table.view(first).data(), place);
  EXPECT_EQ(table.view(first), "first");
  EXPECT_EQ(table.view(large), std::string(100'000, 'x'));
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = "text number " + std::to_string(i);
    ASSERT_EQ(table.view(table.intern(text)), text);
  }
  EXPECT_EQ(table.size(), 20'002u);
}

// Readers follow a writer through the handles that it published; under ThreadSanitizer this finds races.
TEST(TextTable, ReadersNeedNoLock) {
  TextTable table;
  std::atomic<std::uint32_t> published{0};
  std::atomic<bool> wrong{false};
  std::thread writer([&] {
    for (std::uint32_t i = 1; i <= 30'000; ++i) {
      const Text handle = table.intern(std::to_string(i));
      published.store(static_cast<std::uint32_t>(handle), std::memory_order_relaxed);
    }
  });
  const auto read = [&] {
    for (std::uint32_t last = 0; last < 30'000;) {
      last = published.load(std::memory_order_relaxed);
      const auto text = table.view(static_cast<Text>(last));
      // The handle may have arrived without its text (relaxed): then the table does not know it yet.
      if (!text.empty() && text != std::to_string(last)) wrong = true;
    }
  };
  std::thread reader(read);
  read();
  writer.join();
  reader.join();
  EXPECT_FALSE(wrong);
}

TEST(TextTable, WritersAgree) {
  TextTable table;
  std::vector<Text> mine(5000), theirs(5000);
  const auto write = [&table](std::vector<Text>& handles) {
    for (std::size_t i = 0; i < handles.size(); ++i) handles[i] = table.intern("text " + std::to_string(i));
  };
  std::thread other([&] { write(theirs); });
  write(mine);
  other.join();
  EXPECT_EQ(mine, theirs);
  EXPECT_EQ(table.size(), 5000u);
}

}  // namespace
