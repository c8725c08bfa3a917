// SPDX-License-Identifier: MIT
#include "spool/batch_codec.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "fffa/detail/protobuf_wire.h"
#include "fffa/fields.h"
#include "spool/test_folder.h"

namespace fffa::core {
namespace {

FlowRecord record_of(TextTable& texts) {
  FlowRecord record;
  record.flow = {{10, 0, 0, 1}, {10, 0, 0, 2}, 40'000, 443, 6, 4};
  record.host = texts.intern("host-a");
  record.run_id = texts.intern("8c5a2f6e-4b8e-4a57-9d6c-0f7a1b2c3d4e");
  record.interface = texts.intern("ens5");
  record.ifindex = 2;
  record.direction = Direction::egress;
  record.sequence = 17;
  record.emitted = 1'767'225'600'000'000'001;
  record.packets = 5;
  record.bytes = 500;
  record.first_seen = 1'767'225'600'000'000'000;
  record.last_seen = 1'767'225'601'000'000'000;
  record.set(Has::tcp);
  record.conn_state = ConnState::SF;
  record.rtt_sum_us = 1001;
  record.rtt_samples = 3;
  record.min_rtt_us = 300;
  record.max_rtt_us = 400;
  record.set_label(texts.intern("team"), texts.intern("core"));
  return record;
}

Batch batch_of(TextTable& texts) {
  Batch batch;
  batch.window = {1'767'225'600'000'000'000, 1'767'225'660'000'000'000};
  batch.watermark = kEndOfInput;
  batch.records = {record_of(texts), record_of(texts)};
  auto& cumulative = batch.records[1];
  cumulative.cumulative = true;
  cumulative.new_packets = 2;
  cumulative.new_bytes = 200;
  cumulative.labels_lost = 3;
  InterfaceStatus status;
  status.interface = texts.intern("ens5");
  status.ifindex = 2;
  status.up = false;
  status.seen = {1, 2};
  status.filtered = {3, 4};
  status.lost = {5, ~std::uint64_t{0}};
  std::size_t n = 0;
  for (auto* text : {&status.aws.account, &status.aws.vpc, &status.aws.subnet, &status.aws.instance, &status.aws.az,
                     &status.aws.az_id, &status.aws.region, &status.aws.eni})
    *text = texts.intern("aws " + std::to_string(n++) + " \xff");
  status.primary_ipv4 = {10, 0, 0, 1};
  status.primary_ipv6 = {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  batch.interfaces = {status, {}};
  return batch;
}

std::string encoded(const TextTable& texts, const Batch& batch) {
  std::string out;
  BatchEncoder(texts).append(batch, out);
  return out;
}
std::string json(const TextTable& texts, const FlowRecord& record) {
  std::string out;
  make_json_format(texts)->append(record, out);
  return out;
}

TEST(BatchCodec, EverythingComesBack) {
  TextTable texts;
  const auto batch = batch_of(texts);
  Batch read;
  std::string refused;
  ASSERT_TRUE(BatchDecoder(texts).decode(encoded(texts, batch), read, refused));
  EXPECT_EQ(refused, "");
  EXPECT_EQ(read.window, batch.window);
  EXPECT_EQ(read.watermark, batch.watermark);
  ASSERT_EQ(read.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(json(texts, read.records[i]), json(texts, batch.records[i]));
    EXPECT_EQ(read.records[i].sequence, batch.records[i].sequence);
    EXPECT_EQ(read.records[i].run_id, batch.records[i].run_id);
    EXPECT_EQ(read.records[i].rtt_sum_us, batch.records[i].rtt_sum_us);
    EXPECT_EQ(read.records[i].present, batch.records[i].present);
    EXPECT_EQ(read.records[i].new_packets, batch.records[i].new_packets);
    EXPECT_EQ(read.records[i].new_bytes, batch.records[i].new_bytes);
    EXPECT_EQ(read.records[i].labels_lost, batch.records[i].labels_lost);
  }
  EXPECT_EQ(read.volume(), batch.volume());
  ASSERT_EQ(read.interfaces.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto &a = read.interfaces[i], &b = batch.interfaces[i];
    EXPECT_TRUE(a.interface == b.interface && a.ifindex == b.ifindex && a.up == b.up);
    EXPECT_TRUE(a.seen == b.seen && a.filtered == b.filtered && a.lost == b.lost);
    EXPECT_EQ(a.aws, b.aws);
    EXPECT_TRUE(a.primary_ipv4 == b.primary_ipv4 && a.primary_ipv6 == b.primary_ipv6);
  }
}

TEST(BatchCodec, CapturesMayBeginWithTheEpoch) {
  TextTable texts;
  Batch batch, read;
  batch.records = {record_of(texts), record_of(texts)};
  batch.records[0].first_seen = 1;
  batch.records[0].last_seen = 5'000'000'000;
  batch.records[1].first_seen = batch.records[1].last_seen = 0;
  std::string refused;
  ASSERT_TRUE(BatchDecoder(texts).decode(encoded(texts, batch), read, refused));
  ASSERT_EQ(read.size(), 2U) << refused;
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(json(texts, read.records[i]), json(texts, batch.records[i]));
}

TEST(BatchCodec, AnotherProcessReadsIt) {
  TextTable theirs, ours;
  ours.intern("something else");
  const auto batch = batch_of(theirs);
  Batch read;
  std::string refused;
  ASSERT_TRUE(BatchDecoder(ours).decode(encoded(theirs, batch), read, refused));
  EXPECT_EQ(json(ours, read.records[0]), json(theirs, batch.records[0]));
  EXPECT_EQ(ours.view(read.interfaces[0].aws.eni), theirs.view(batch.interfaces[0].aws.eni));
}

TEST(BatchCodec, TextsWithoutRoomAreNull) {
  TextTable theirs, full(3, 1000);
  full.intern("host-a"), full.intern("ens5"), full.intern("taken");
  const auto batch = batch_of(theirs);
  Batch read;
  std::string refused;
  ASSERT_TRUE(BatchDecoder(full).decode(encoded(theirs, batch), read, refused));
  EXPECT_EQ(read.records.at(0).run_id, Text::null);
  EXPECT_EQ(read.records.at(0).labels_lost, 1U);
  EXPECT_EQ(read.records.at(1).labels_lost, 4U);
  EXPECT_EQ(read.interfaces.at(0).aws.eni, Text::null);
  EXPECT_GT(full.overflows(), 0U);
}

TEST(BatchCodec, ARecordThatIsNoneIsLeftOut) {
  TextTable texts;
  auto batch = batch_of(texts);
  batch.records[0].flow = {};
  Batch read;
  std::string refused;
  ASSERT_TRUE(BatchDecoder(texts).decode(encoded(texts, batch), read, refused));
  EXPECT_EQ(read.size(), 1U);
  EXPECT_NE(refused, "");
}

TEST(BatchCodec, FieldsOfANewerVersionArePassedOver) {
  TextTable texts;
  auto bytes = encoded(texts, batch_of(texts));
  detail::wire::put_number(bytes, 100, 7);
  detail::wire::put_bytes(bytes, 101, "new");
  Batch read;
  std::string refused;
  ASSERT_TRUE(BatchDecoder(texts).decode(bytes, read, refused));
  EXPECT_EQ(read.size(), 2U);
}

TEST(BatchCodec, EveryPrefixIsABatchOrNone) {
  TextTable texts;
  const auto bytes = encoded(texts, batch_of(texts));
  std::size_t none = 0;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    Batch read;
    std::string refused;
    none += !BatchDecoder(texts).decode(std::string_view(bytes).substr(0, size), read, refused);
  }
  EXPECT_GT(none, bytes.size() / 2);
}

TEST(BatchCodec, ProtocReadsIt) {
  TextTable texts;
  const testing::Folder folder;
  testing::write_file(folder.path() / "batch", encoded(texts, batch_of(texts)));
  const std::string command = "protoc --decode=fffa.v3.BufferedBatch -I " FFFA_PROTO_FOLDER " " FFFA_PROTO_FOLDER
                              "/buffer.proto <" +
                              (folder.path() / "batch").string() + " 2>&1";
  FILE* const pipe = ::popen(command.c_str(), "r");
  std::string text;
  for (std::array<char, 4096> part; std::fgets(part.data(), part.size(), pipe) != nullptr;) text += part.data();
  ASSERT_EQ(::pclose(pipe), 0) << text;
  for (const char* line :
       {"window_end: 1767225660000000000", "watermark: 9223372036854775807", "down: true",
        "lost_bytes: 18446744073709551615", "new_packets: 2", "labels_lost: 3", "src_ip: \"\\n\\000\\000\\001\"",
        "sequence: 17", "primary_ipv4: \"\\n\\000\\000\\001\"", "aws_eni: \"aws 7 \\377\""})
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
}

}  // namespace
}  // namespace fffa::core
