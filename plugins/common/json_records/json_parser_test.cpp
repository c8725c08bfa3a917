// SPDX-License-Identifier: MIT
// What the JSON format writes comes back as it was; what others may have written is refused, or makes a record.
#include "fffa_json/json_parser.h"

#include <gtest/gtest.h>

#include <string>

#include "../../../tests/bench/formats/sample.h"
#include "fffa/fields.h"

namespace fffa {
namespace {

std::string line(const TextTable& texts, const FlowRecord& record) {
  std::string out;
  make_json_format(texts)->append(record, out);
  return out;
}

TEST(JsonParser, ReadsBackWhatWasWritten) {
  TextTable theirs, ours;
  const auto parser = make_json_parser(ours);
  for (const bool v6 : {false, true}) {
    for (const auto& record : {bench::tunnelled(theirs, v6), bench::sample(theirs, 4, v6)}) {
      const auto read = parser->parse(line(theirs, record));
      ASSERT_TRUE(read.ok()) << read.error().message;
      EXPECT_EQ(line(ours, *read), line(theirs, record));
      EXPECT_EQ(read->present, record.present);
      EXPECT_EQ(read->outer, record.outer);
      EXPECT_EQ(read->first_seen, record.first_seen / 1000 * 1000);
    }
  }
}

TEST(JsonParser, EveryPrefixIsRefused) {
  TextTable texts;
  const auto parser = make_json_parser(texts);
  auto text = line(texts, bench::tunnelled(texts, true));
  text.pop_back();
  for (std::size_t size = 0; size < text.size(); ++size)
    ASSERT_FALSE(parser->parse(std::string_view(text).substr(0, size)).ok()) << size;
  EXPECT_TRUE(parser->parse(text).ok());
}

class Refusals : public testing::TestWithParam<std::pair<std::string, std::string>> {};

// `"name":` something else, in a good record.
TEST_P(Refusals, SayWhichFieldIsWrong) {
  TextTable texts;
  auto text = line(texts, bench::sample(texts, 1, false));
  const auto& [member, expected] = GetParam();
  text.insert(text.size() - 2, "," + member);
  const auto read = make_json_parser(texts)->parse(text);
  EXPECT_EQ(read.ok() ? "taken" : read.error().message, expected);
}

INSTANTIATE_TEST_SUITE_P(
    JsonParser, Refusals,
    testing::Values(std::pair{R"("newer":{"a":[1,{"b":null}]})", "taken"},
                    std::pair{R"("packets":"1")", "packets is not a number"},
                    std::pair{R"("packets":-1)", "packets is not a number"},
                    std::pair{R"("packets":1.5)", "packets is not a whole number"},
                    std::pair{R"("src_ip":"1.2.3")", "src_ip is not an address"},
                    std::pair{R"("src_ip":"1.2.3.4\u0000")", "src_ip is not an address"},
                    std::pair{R"("first_seen":"1012-12-30T00:00:00Z")", "first_seen is not a time"},
                    std::pair{R"("first_seen":"2026-02-30T00:00:00Z")", "first_seen is not a time"},
                    std::pair{R"("first_seen":"2026-01-01T00:00:00.Z")", "first_seen is not a time"},
                    std::pair{R"("first_seen":"2026-01-01T00:00:00+00:00")", "first_seen is not a time"},
                    std::pair{R"("host":["a"])", "host is a list"}, std::pair{R"("host":{"a":1})", "host is an object"},
                    std::pair{R"("labels":"x")", "labels has names and values"},
                    std::pair{R"("gwlb_endpoint_id":"vpce-0zz")",
                              "gwlb_endpoint_id is not an id of hexadecimal digits"},
                    std::pair{R"("tcp_flags":"SYN|FOO")", "tcp_flags is none of the values that this field has"},
                    std::pair{R"("initiator":"yes")", "initiator is neither true nor false"}));

TEST(JsonParser, OnlyObjects) {
  TextTable texts;
  const auto parser = make_json_parser(texts);
  for (const std::string text : {"", "null", "1", "\"x\"", "[]", "[{}]", "{} {}", "{", "\xff"})
    EXPECT_FALSE(parser->parse(text).ok()) << text;
  EXPECT_EQ(parser->parse("{}").error().message, "the record has no proto");
  EXPECT_EQ(parser->parse("{,").error().message, "no JSON object: broken at byte 2");
  const std::string deep = "{\"a\":" + std::string(100'000, '[');
  EXPECT_FALSE(parser->parse(deep).ok());
}

}  // namespace
}  // namespace fffa
