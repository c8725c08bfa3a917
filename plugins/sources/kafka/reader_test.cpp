// SPDX-License-Identifier: MIT
#include "reader.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>

#include "fffa/testing/records.h"

namespace fffa::kafka_source {
namespace {

class ReaderTest : public ::testing::Test {
 protected:
  fffa::testing::TestContext context;
  TextTable& texts = context.texts();
  FlowRecord record =
      fffa::testing::sample_record(context, 1, fffa::testing::kTestStart, fffa::testing::kTestStart + 5);

  ReaderTest() { record.host = texts.intern("h"); }
  std::string json() {
    std::string text;
    make_json_format(texts)->append(record, text);
    text.pop_back();
    return text;
  }
  std::string protobuf() {
    std::string text;
    make_protobuf_format(texts)->append(record, text);
    return text;
  }
  // Packets of the record; nothing: it is none.
  std::optional<std::uint64_t> read(Format format, const std::string& bytes, std::optional<std::string_view> schema) {
    Reader reader(format, texts);
    const auto* const got = reader.read(bytes, schema);
    if (got != nullptr) return got->packets;
    EXPECT_FALSE(reader.why().text.empty());
    reason = reader.why().reason;
    return std::nullopt;
  }
  Malformed refusal(const std::string& bytes) {
    EXPECT_EQ(read(Format::json, bytes, std::nullopt), std::nullopt);
    return reason;
  }

  Malformed reason{};
};

TEST_F(ReaderTest, TheHeaderSaysWhichFormat) {
  EXPECT_EQ(read(Format::automatic, json(), "fffa.v3.Flow+json"), record.packets);
  EXPECT_EQ(read(Format::automatic, protobuf(), "fffa.v3.Flow+protobuf"), record.packets);
  EXPECT_EQ(read(Format::automatic, json(), std::nullopt), std::nullopt);
  EXPECT_EQ(reason, Malformed::schema);
}

TEST_F(ReaderTest, AFixedFormatNeedsNoHeaderAndTakesNoOther) {
  EXPECT_EQ(read(Format::json, json(), std::nullopt), record.packets);
  EXPECT_EQ(read(Format::protobuf, protobuf(), "fffa.v3.Flow+protobuf"), record.packets);
  EXPECT_EQ(read(Format::json, json(), "fffa.v3.Flow+protobuf"), std::nullopt);
  EXPECT_EQ(reason, Malformed::schema);
}

TEST_F(ReaderTest, AnotherSchemaIsNotGuessedAt) {
  for (const auto format : {Format::automatic, Format::json, Format::protobuf}) {
    EXPECT_EQ(read(format, json(), "fffa.v4.Flow+json"), std::nullopt);
    EXPECT_EQ(reason, Malformed::schema);
  }
}

TEST_F(ReaderTest, WhatIsNone) {
  EXPECT_EQ(refusal("{"), Malformed::syntax);
  EXPECT_EQ(refusal(""), Malformed::syntax);
  EXPECT_EQ(refusal(std::string(70000, 'x')), Malformed::too_large);
  record.host = Text::null;
  EXPECT_EQ(refusal(json()), Malformed::no_host);
  record.host = context.host();
  record.cumulative = true;
  EXPECT_EQ(refusal(json()), Malformed::cumulative);
  EXPECT_EQ(read(Format::protobuf, "", std::nullopt), std::nullopt);
}

}  // namespace
}  // namespace fffa::kafka_source
