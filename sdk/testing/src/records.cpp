// SPDX-License-Identifier: MIT
#include "fffa/testing/records.h"

namespace fffa::testing {

namespace {

constexpr TimeNs kSecond = 1'000'000'000;

void set_tuple(FlowRecord& record, std::uint32_t flow) {
  constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58;
  const bool six = flow % 2 != 0;
  record.flow.family = six ? 6 : 4;
  record.flow.protocol = flow % 3 == 0 ? kTcp : flow % 3 == 1 ? kUdp : six ? kIcmp6 : kIcmp;
  if (six) {
    record.flow.src = {0x20, 0x01, 0x0d, 0xb8};
    record.flow.dst = {0x20, 0x01, 0x0d, 0xb8, 0, 1};
    record.flow.src[15] = static_cast<std::uint8_t>(flow);
    record.flow.dst[15] = 1;
  } else {
    record.flow.src = {10, 0, 0, static_cast<std::uint8_t>(flow)};
    record.flow.dst = {192, 0, 2, 1};
  }
  const bool ports = flow % 3 != 2;
  record.flow.src_port = ports ? static_cast<std::uint16_t>(40000 + flow) : std::uint16_t{0};
  record.flow.dst_port = ports ? 443 : 8 << 8;
}

}  // namespace

FlowRecord sample_record(TestContext& context, std::uint32_t number, TimeNs first_seen, TimeNs last_seen) {
  FlowRecord record;
  set_tuple(record, number % 64);
  record.host = context.host();
  record.run_id = context.run_id();
  record.interface = context.texts().intern("eth0");
  record.ifindex = 2;
  record.direction = number % 2 == 0 ? Direction::ingress : Direction::egress;
  record.packets = 1 + number % 10;
  record.bytes = record.packets * (60 + number % 1400);
  record.first_seen = first_seen;
  record.last_seen = last_seen;
  if (record.flow.protocol == 6) {
    record.set(Has::tcp);
    record.tcp_flags = 16;
    record.conn_state = ConnState::OTH;
    record.set(Has::window);
    record.min_window_size = record.max_window_size = record.last_window_size = 64240;
  }
  return record;
}

Batch sample_batch(TestContext& context, std::size_t records, TimeNs watermark) {
  Batch batch;
  batch.watermark = watermark;
  const TimeNs start = watermark - kSecond;
  const auto first = static_cast<std::uint32_t>(watermark / kSecond * 7);  // other flows in other batches
  for (std::uint32_t i = 0; i < records; ++i) {
    const TimeNs seen = start + static_cast<TimeNs>(i) * kSecond / static_cast<TimeNs>(records + 1);
    batch.records.push_back(sample_record(context, first + i, seen, seen + kSecond / 1000));
  }
  InterfaceStatus status;
  status.interface = context.texts().intern("eth0");
  status.ifindex = 2;
  status.seen = batch.volume();
  batch.interfaces.push_back(status);
  return batch;
}

std::vector<Batch> sample_stream(TestContext& context, std::size_t batches, std::size_t records_each) {
  constexpr TimeNs kLate = 7200 * kSecond;
  std::vector<Batch> stream;
  TimeNs watermark = context.clock().now();
  for (std::size_t i = 0; i < batches; ++i) {
    watermark += kSecond;
    stream.push_back(sample_batch(context, i % 5 == 0 ? 0 : records_each, watermark));
    if (i % 7 == 6) {
      auto& batch = stream.back();
      batch.records.push_back(sample_record(context, 1, watermark - kLate, watermark - kLate + 1));
      batch.interfaces[0].seen = batch.volume();
    }
  }
  Batch last;
  last.watermark = kEndOfInput;
  stream.push_back(std::move(last));
  return stream;
}

}  // namespace fffa::testing
