// SPDX-License-Identifier: MIT
// What the Protobuf format writes comes back as it was; what others may have written is refused, or makes a record.
#include <gtest/gtest.h>

#include <string>

#include "../../../tests/bench/formats/sample.h"
#include "fffa/fields.h"
#include "fffa/format.h"

namespace fffa {
namespace {

std::string written(const TextTable& texts, const FlowRecord& record) {
  std::string out;
  make_protobuf_format(texts)->append(record, out);
  return out;
}
std::string json(const TextTable& texts, const FlowRecord& record) {
  std::string out;
  make_json_format(texts)->append(record, out);
  return out;
}

TEST(ProtobufParser, ReadsBackWhatWasWritten) {
  TextTable texts;
  const auto parser = make_protobuf_parser(texts);
  for (const bool v6 : {false, true}) {
    for (const auto& record : {bench::tunnelled(texts, v6), bench::sample(texts, 4, v6)}) {
      const auto read = parser->parse(written(texts, record));
      ASSERT_TRUE(read.ok()) << read.error().message;
      EXPECT_EQ(json(texts, *read), json(texts, record));
      EXPECT_EQ(identity(*read), identity(record));
      EXPECT_EQ(read->present, record.present);
      EXPECT_EQ(read->outer, record.outer);
      EXPECT_EQ(read->first_seen, record.first_seen) << "to the nanosecond";
    }
  }
}

TEST(ProtobufParser, WhatWasReadMergesAsTheOriginal) {
  TextTable texts;
  const auto parser = make_protobuf_parser(texts);
  auto a = bench::tunnelled(texts, true), b = bench::tunnelled(texts, true);
  b.first_seen += 60'000'000'000, b.last_seen += 60'000'000'000;
  b.rtt_sum_us += 7, b.rtt_samples += 2, b.jitter_sum_us += 5, b.jitter_samples += 3;
  auto read = *parser->parse(written(texts, a));
  merge(read, *parser->parse(written(texts, b)));
  merge(a, b);
  EXPECT_EQ(json(texts, read), json(texts, a));
}

TEST(ProtobufParser, TextsMayComeFromAnotherProcess) {
  TextTable theirs, ours;
  ours.intern("something else");
  const auto record = bench::tunnelled(theirs, false);
  const auto read = make_protobuf_parser(ours)->parse(written(theirs, record));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(json(ours, *read), json(theirs, record));
}

TEST(ProtobufParser, EveryPrefixIsRefusedOrARecord) {
  TextTable texts;
  const auto parser = make_protobuf_parser(texts);
  const auto message = written(texts, bench::tunnelled(texts, true));
  std::size_t refused = 0;
  for (std::size_t size = 0; size < message.size(); ++size)
    refused += !parser->parse(std::string_view(message).substr(0, size)).ok();
  EXPECT_GT(refused, message.size() / 2);
}

TEST(ProtobufParser, SaysWhichFieldIsWrong) {
  TextTable texts;
  const auto parser = make_protobuf_parser(texts);
  const auto good = written(texts, bench::sample(texts, 1, false));
  const auto refusal = [&](const std::string& message) {
    const auto read = parser->parse(message);
    return read.ok() ? "taken" : read.error().message;
  };
  EXPECT_EQ(refusal(good), "taken");
  EXPECT_EQ(refusal(good + std::string("\xa2\x06\x02\x08\x01", 5)), "taken") << "field 100 of a newer version";
  EXPECT_EQ(refusal(good + "\x0b"), "no Protobuf message: broken at byte " + std::to_string(good.size()));
  EXPECT_EQ(refusal(good + "\x22\x03"
                           "abc"),
            "src_ip is not an address");
  EXPECT_EQ(refusal(good + "\x28\x80\x80\x04"), "src_port is too large a number");
  EXPECT_EQ(refusal(good + "\x72\x01x"), "packets is of another type");
  EXPECT_EQ(refusal(good + "\x1a\x03"
                           "FTP"),
            "proto is none of the values that this field has");
  EXPECT_EQ(refusal(good + "\x0a\x01"
                           "4"),
            "version is not version 3");
  EXPECT_EQ(refusal(good + std::string("\x81\x01\xff\xff\xff\xff\xff\xff\xff\x7f", 10)), "first_seen is not a time");
  EXPECT_EQ(refusal(good + "\x92\x05\x01\xff"), "host is not UTF-8");
  EXPECT_EQ(refusal(good + "\x70\x81\x80\x80\x80\x80\x80\x08"), "the record has more packets or bytes than can be");
  EXPECT_EQ(refusal(""), "the record has no proto");
  EXPECT_EQ(refusal("\x1a\x03TCP"), "the record has no pkt_src_ip and pkt_dst_ip of one family");
}

TEST(ProtobufParser, AFullTextTableTakesNoFlowForAnother) {
  TextTable theirs, full_table(1, 1000);
  full_table.intern("taken");
  auto record = bench::sample(theirs, 1, false);
  const auto parser = make_protobuf_parser(full_table);
  const auto refused = parser->parse(written(theirs, record));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, "host finds no room in the text table");
  record.host = record.interface = Text::null;
  record.set_label(theirs.intern("a"), theirs.intern("b"));
  const auto read = parser->parse(written(theirs, record));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->run_id, Text::null);
  EXPECT_EQ(read->label_count, 0);
  EXPECT_EQ(read->labels_lost, 1U);
}

}  // namespace
}  // namespace fffa
