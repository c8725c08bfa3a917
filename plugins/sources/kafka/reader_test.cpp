// SPDX-License-Identifier: MIT
#include "reader.h"

#include <gtest/gtest.h>

#include <string>

#include "fffa/testing/records.h"

namespace fffa::kafka_source {
namespace {

// A message as librdkafka gives it, headers apart: those come only from a broker (tests/kafka).
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
  const FlowRecord* read(Reader& reader, std::string& bytes) {
    rd_kafka_message_t message{};
    message.payload = bytes.data();
    message.len = bytes.size();
    return reader.read(message);
  }
  Malformed refusal(std::string bytes) {
    Reader reader(Format::json, texts);
    EXPECT_EQ(read(reader, bytes), nullptr);
    EXPECT_FALSE(reader.why().text.empty());
    return reader.why().reason;
  }
};

TEST_F(ReaderTest, ARecordInItsFormat) {
  Reader reader(Format::json, texts);
  auto text = json();
  const auto* const got = read(reader, text);
  ASSERT_NE(got, nullptr) << reader.why().text;
  EXPECT_EQ(got->packets, record.packets);
  EXPECT_EQ(got->sequence, record.sequence);
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
}

TEST_F(ReaderTest, AutoNeedsTheHeader) {
  Reader reader(Format::automatic, texts);
  auto text = json();
  EXPECT_EQ(read(reader, text), nullptr);
  EXPECT_EQ(reader.why().reason, Malformed::schema);
}

TEST_F(ReaderTest, NoPayloadIsNoRecord) {
  Reader reader(Format::protobuf, texts);
  EXPECT_EQ(reader.read(rd_kafka_message_t{}), nullptr);
}

}  // namespace
}  // namespace fffa::kafka_source
