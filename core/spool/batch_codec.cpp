// SPDX-License-Identifier: MIT
#include "spool/batch_codec.h"

#include <algorithm>
#include <array>

#include "fffa/detail/protobuf_wire.h"

namespace fffa::core {
namespace {

namespace wire = detail::wire;

// Field numbers of proto/buffer.proto.
namespace in_batch {
enum : unsigned { window_start = 1, window_end, watermark, interface, record };
}
namespace in_record {
enum : unsigned { flow = 1, new_packets, new_bytes, labels_lost, early };
}
namespace in_interface {
enum : unsigned { name = 1, ifindex, down, numbers, aws = numbers + 6, ipv4 = aws + 8, ipv6 };
}

constexpr std::array kIdentity = {&AwsIdentity::account,  &AwsIdentity::vpc, &AwsIdentity::subnet,
                                  &AwsIdentity::instance, &AwsIdentity::az,  &AwsIdentity::az_id,
                                  &AwsIdentity::region,   &AwsIdentity::eni};

// In the order of their fields; of a mutable or a constant one.
template <typename Status>
auto numbers_of(Status& s) {
  return std::array{&s.seen.packets,   &s.seen.bytes,   &s.filtered.packets,
                    &s.filtered.bytes, &s.lost.packets, &s.lost.bytes};
}

// Times of the first second of 1970, which captures may have and a parser takes for mistakes: such a record is moved by
// a second while it is written.
constexpr TimeNs kSecond = 1'000'000'000;
constexpr std::array kOptionalTimes = {&FlowRecord::emitted, &FlowRecord::refused_first_seen,
                                       &FlowRecord::refused_last_seen};  // 0: not set
bool is_early(const FlowRecord& record) noexcept {
  return std::min(record.first_seen, record.last_seen) < kSecond ||
         std::ranges::any_of(kOptionalTimes, [&](auto time) { return record.*time != 0 && record.*time < kSecond; });
}
void move_times(FlowRecord& record, TimeNs by) noexcept {
  record.first_seen += by;
  record.last_seen += by;
  for (const auto time : kOptionalTimes)
    if (record.*time != 0) record.*time += by;
}

std::string_view as_bytes(const Address& address, std::size_t size) {
  return {reinterpret_cast<const char*>(address.data()), size};
}
bool read_address(std::string_view bytes, std::size_t size, Address& address) {
  if (bytes.size() != size) return false;
  std::ranges::copy(bytes, address.begin());
  return true;
}

void put_text(std::string& out, unsigned field, const TextTable& texts, Text text) {
  if (text != Text::null) wire::put_bytes(out, field, texts.view(text));
}

}  // namespace

void BatchEncoder::append(const Batch& batch, std::string& out) {
  wire::put_number(out, in_batch::window_start, static_cast<std::uint64_t>(batch.window.start));
  wire::put_number(out, in_batch::window_end, static_cast<std::uint64_t>(batch.window.end));
  wire::put_number(out, in_batch::watermark, static_cast<std::uint64_t>(batch.watermark));
  for (const auto& status : batch.interfaces) {
    message_.clear();
    put_text(message_, in_interface::name, texts_, status.interface);
    wire::put_number(message_, in_interface::ifindex, status.ifindex);
    wire::put_number(message_, in_interface::down, status.up ? 0 : 1);
    unsigned field = in_interface::numbers;
    for (const auto* number : numbers_of(status)) wire::put_number(message_, field++, *number);
    for (const auto text : kIdentity) put_text(message_, field++, texts_, status.aws.*text);
    if (status.primary_ipv4 != Address{})
      wire::put_bytes(message_, in_interface::ipv4, as_bytes(status.primary_ipv4, 4));
    if (status.primary_ipv6 != Address{})
      wire::put_bytes(message_, in_interface::ipv6, as_bytes(status.primary_ipv6, 16));
    wire::put_bytes(out, in_batch::interface, message_);
  }
  for (const auto& record : batch) {
    flow_.clear();
    message_.clear();
    const bool early = is_early(record);
    if (early) {
      auto moved = record;
      move_times(moved, kSecond);
      records_->append(moved, flow_);
    } else {
      records_->append(record, flow_);
    }
    wire::put_bytes(message_, in_record::flow, flow_);
    wire::put_number(message_, in_record::new_packets, record.new_packets);
    wire::put_number(message_, in_record::new_bytes, record.new_bytes);
    wire::put_number(message_, in_record::labels_lost, record.labels_lost);
    wire::put_number(message_, in_record::early, early ? 1 : 0);
    wire::put_bytes(out, in_batch::record, message_);
  }
}

bool BatchDecoder::decode(std::string_view bytes, Batch& batch, std::string& refused) {
  wire::Reader in(bytes);
  bool good = true;
  for (wire::Item item; good && in.next(item);) {
    switch (item.field) {
      case in_batch::window_start: batch.window.start = static_cast<TimeNs>(item.number); break;
      case in_batch::window_end: batch.window.end = static_cast<TimeNs>(item.number); break;
      case in_batch::watermark: batch.watermark = static_cast<TimeNs>(item.number); break;
      case in_batch::interface: good = interface(item.bytes, batch); break;
      case in_batch::record: good = record(item.bytes, batch, refused); break;
      default: break;  // of a newer version
    }
  }
  return good && in.good();
}

bool BatchDecoder::record(std::string_view message, Batch& batch, std::string& refused) {
  wire::Reader in(message);
  std::string_view flow;
  std::uint64_t new_packets = 0, new_bytes = 0, labels_lost = 0, early = 0;
  for (wire::Item item; in.next(item);) {
    switch (item.field) {
      case in_record::flow: flow = item.bytes; break;
      case in_record::new_packets: new_packets = item.number; break;
      case in_record::new_bytes: new_bytes = item.number; break;
      case in_record::labels_lost: labels_lost = item.number; break;
      case in_record::early: early = item.number; break;
      default: break;
    }
  }
  if (!in.good()) return false;
  auto parsed = records_->parse(flow);
  if (!parsed) {
    refused = parsed.error().message;
    return true;
  }
  auto& record = batch.records.emplace_back(*parsed);
  record.new_packets = new_packets;
  record.new_bytes = new_bytes;
  record.labels_lost += static_cast<std::uint32_t>(labels_lost);
  if (early != 0) move_times(record, -kSecond);
  return true;
}

bool BatchDecoder::interface(std::string_view message, Batch& batch) {
  wire::Reader in(message);
  auto& status = batch.interfaces.emplace_back();
  const auto numbers = numbers_of(status);
  bool good = true;
  for (wire::Item item; good && in.next(item);) {
    switch (item.field) {
      case in_interface::name: status.interface = texts_.intern(item.bytes); break;
      case in_interface::ifindex: status.ifindex = static_cast<std::uint32_t>(item.number); break;
      case in_interface::down: status.up = item.number == 0; break;
      case in_interface::ipv4: good = read_address(item.bytes, 4, status.primary_ipv4); break;
      case in_interface::ipv6: good = read_address(item.bytes, 16, status.primary_ipv6); break;
      default:
        if (item.field >= in_interface::numbers && item.field < in_interface::aws)
          *numbers[item.field - in_interface::numbers] = item.number;
        if (item.field >= in_interface::aws && item.field < in_interface::ipv4)
          status.aws.*kIdentity[item.field - in_interface::aws] = texts_.intern(item.bytes);
    }
  }
  return good && in.good();
}

}  // namespace fffa::core
