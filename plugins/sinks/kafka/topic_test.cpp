// SPDX-License-Identifier: MIT
#include "topic.h"

#include <gtest/gtest.h>

namespace fffa::kafka {
namespace {

std::string expanded(std::string_view text, const FlowRecord& record, const TextTable& texts) {
  std::string name;
  TopicTemplate::parse(text)->expand(record, texts, name);
  return name;
}

std::string refusal(std::string_view text) {
  const auto made = TopicTemplate::parse(text);
  return made.ok() ? "" : made.error().message;
}

TEST(Topic, FixedOrFromFields) {
  TextTable texts;
  FlowRecord record;
  record.aws.vpc = texts.intern("vpc-0a1b");
  record.flow = {{10, 0, 0, 1}, {10, 0, 0, 2}, 1, 53, 17, 4};
  EXPECT_TRUE(TopicTemplate::parse("flows")->fixed());
  EXPECT_EQ(expanded("flows", record, texts), "flows");
  EXPECT_FALSE(TopicTemplate::parse("flows-${aws_vpc}")->fixed());
  EXPECT_EQ(expanded("flows-${aws_vpc}.${proto}", record, texts), "flows-vpc-0a1b.UDP");
  EXPECT_EQ(expanded("${dst_port}-${src_ip}-${encapsulated}", record, texts), "53-10.0.0.1-false");
  EXPECT_EQ(expanded("${aws_eni}", record, texts), "unknown");
}

TEST(Topic, NothingFromARecordMakesAnotherName) {
  TextTable texts;
  FlowRecord record;
  for (const auto& [value, name] : {std::pair{"../x y\n\xc3\xbc", ".._x_y___"}, {".", "_"}, {"..", "_"}}) {
    record.interface = texts.intern(value);
    EXPECT_EQ(expanded("${interface}", record, texts), name);
  }
  record.interface = texts.intern(std::string(400, 'x'));
  EXPECT_EQ(expanded("a${interface}", record, texts).size(), kMostTopicChars);
}

TEST(Topic, WhatNoTopicCanBe) {
  EXPECT_NE(refusal("flows/all"), "");
  EXPECT_NE(refusal("a b${proto}"), "");
  EXPECT_NE(refusal(""), "");
  EXPECT_NE(refusal(".."), "");
  EXPECT_NE(refusal(std::string(250, 'x')), "");
  EXPECT_NE(refusal("x-${proto").find("without `}`"), std::string::npos);
  EXPECT_NE(refusal("x-${nonsense}").find("`${nonsense}`"), std::string::npos);
  EXPECT_NE(refusal("x-${labels}"), "");
  EXPECT_EQ(refusal("${proto}.${direction}"), "");
}

}  // namespace
}  // namespace fffa::kafka
