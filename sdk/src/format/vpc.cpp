// SPDX-License-Identifier: MIT
// The VPC Flow Log format: a format string compiled into a list of tokens, one switch per field.
#include <memory>
#include <utility>

#include "fffa/fields.h"
#include "fffa/format.h"
#include "fffa/print.h"
#include "format/digits.h"
#include "format/refusals.h"
#include "format/vpc_fields.h"
#include "format/vpc_text.h"

namespace fffa {
namespace {

using detail::put;
using detail::put_number;
using detail::VpcToken;

constexpr std::uint8_t kIcmp = 1, kTcp = 6, kIcmpV6 = 58;
constexpr std::size_t kTokenChars = 64;  // more than a value without text takes, with its space

// What the two lines of a record differ in.
struct Line {
  std::string_view action;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  TimeNs start = 0;
  TimeNs end = 0;
  std::uint8_t tcp_flags = 0;
};

bool is_icmp(const Tuple& flow) {
  return flow.protocol == kIcmp || flow.protocol == kIcmpV6;
}
std::uint64_t seconds(TimeNs time) {
  return time < 0 ? 0 : static_cast<std::uint64_t>(time) / detail::kNsPerSecond;
}

class VpcTextFormat final : public VpcFormat {
 public:
  VpcTextFormat(const TextTable& texts, VpcFormatOptions options, detail::VpcLayout layout)
      : texts_(texts), options_(std::move(options)), layout_(std::move(layout)) {
    make_room(nullptr, 0);
  }

  std::string_view header() const override { return layout_.header; }
  std::uint64_t deficits_lost() const noexcept override { return refusals_.lost(); }

  void interfaces(const Batch& batch) override {
    if (!batch.interfaces.empty()) interfaces_ = batch.interfaces;
  }

  void append(const FlowRecord& record, std::string& out) override {
    const auto accepted = refusals_.accepted(record);
    if (accepted.packets != 0) {
      append_line(
          record,
          {"ACCEPT", accepted.packets, accepted.bytes, record.first_seen, record.last_seen, record.vpc_tcp_flags}, out);
    }
    if (!record.has(Has::refused) || record.refused_packets == 0) return;
    const bool timed = record.refused_first_seen != 0;
    append_line(
        record,
        {"REJECT", record.refused_packets, record.refused_bytes, timed ? record.refused_first_seen : record.first_seen,
         timed ? record.refused_last_seen : record.last_seen, record.refused_vpc_tcp_flags},
        out);
  }

  void append_status(const InterfaceStatus& interface, LogStatus status, std::int64_t start, std::int64_t end,
                     std::string& out) override {
    char* place = buffer_.get();
    for (const auto token : layout_.tokens) {
      switch (token) {
        case VpcToken::start: place = detail::put_signed(place, start); break;
        case VpcToken::end: place = detail::put_signed(place, end); break;
        case VpcToken::log_status: place = put(place, status == LogStatus::nodata ? "NODATA" : "SKIPDATA"); break;
        default: place = put_identity(place, token, interface.aws, interface.interface);
      }
      *place++ = ' ';
    }
    finish(place, out);
  }

 private:
  const TextTable& texts_;
  const VpcFormatOptions options_;
  const detail::VpcLayout layout_;
  detail::Refusals refusals_;
  std::vector<InterfaceStatus> interfaces_;
  std::unique_ptr<char[]> buffer_;
  std::size_t size_ = 0;

  void append_line(const FlowRecord& record, const Line& line, std::string& out) {
    char* place = buffer_.get();
    for (const auto token : layout_.tokens) {
      place = put_value(place, token, record, line);
      *place++ = ' ';
    }
    finish(place, out);
  }

  // The last space becomes the end of the line.
  void finish(char* place, std::string& out) const {
    place[-1] = '\n';
    out.append(buffer_.get(), place);
  }

  char* put_value(char* out, VpcToken token, const FlowRecord& record, const Line& line) {
    const Tuple& flow = record.flow;
    switch (token) {
      case VpcToken::src_addr: return put_own_address(out, record, Direction::egress);
      case VpcToken::dst_addr: return put_own_address(out, record, Direction::ingress);
      case VpcToken::src_port: return put_number(out, is_icmp(flow) ? 0 : flow.src_port);
      case VpcToken::dst_port: return put_number(out, is_icmp(flow) ? 0 : flow.dst_port);
      case VpcToken::protocol: return put_number(out, flow.protocol);
      case VpcToken::packets: return put_number(out, line.packets);
      case VpcToken::bytes: return put_number(out, line.bytes);
      case VpcToken::start: return put_number(out, seconds(line.start));
      case VpcToken::end: return put_number(out, seconds(line.end));
      case VpcToken::action: return put(out, line.action);
      case VpcToken::log_status: return put(out, "OK");
      case VpcToken::tcp_flags: return put_tcp_flags(out, record, line);
      case VpcToken::type: return put(out, flow.family == 4 ? "IPv4" : flow.family == 6 ? "IPv6" : "-");
      case VpcToken::pkt_src_addr: return detail::put_address(out, flow.src, flow.family);
      case VpcToken::pkt_dst_addr: return detail::put_address(out, flow.dst, flow.family);
      case VpcToken::direction:
        return put(out, record.direction == Direction::ingress  ? "ingress"
                        : record.direction == Direction::egress ? "egress"
                                                                : "-");
      default: return put_identity(out, token, record.aws, record.interface);
    }
  }

  static char* put_tcp_flags(char* out, const FlowRecord& record, const Line& line) {
    if (record.flow.protocol != kTcp) return put(out, "0");
    return record.has(Has::tcp) ? put_number(out, line.tcp_flags) : put(out, "-");
  }

  // Where the interface is; the same in every line about it.
  char* put_identity(char* out, VpcToken token, const AwsIdentity& aws, Text interface) {
    switch (token) {
      case VpcToken::version: return put_number(out, layout_.version);
      case VpcToken::account:
        if (!options_.account_id.empty()) return put_text(out, options_.account_id);
        return aws.account == Text::null ? put(out, "unknown") : put_text(out, texts_.view(aws.account));
      case VpcToken::interface: return put_text(out, texts_.view(aws.eni != Text::null ? aws.eni : interface));
      case VpcToken::vpc: return put_text(out, texts_.view(aws.vpc));
      case VpcToken::subnet: return put_text(out, texts_.view(aws.subnet));
      case VpcToken::instance: return put_text(out, texts_.view(aws.instance));
      case VpcToken::region: return put_text(out, options_.region.empty() ? texts_.view(aws.region) : options_.region);
      case VpcToken::az_id: return put_text(out, texts_.view(aws.az_id));
      default: return put(out, "-");
    }
  }

  // srcaddr is the interface's own side at egress, dstaddr at ingress.
  char* put_own_address(char* out, const FlowRecord& record, Direction own_side) const {
    const Tuple& tuple = layout_.outer_addresses && record.outer.family != 0 ? record.outer : record.flow;
    const Address& carried = own_side == Direction::egress ? tuple.src : tuple.dst;
    if (options_.eni_address == EniAddress::primary && record.direction == own_side) {
      if (const auto* primary = primary_address(record.interface, tuple.family))
        return detail::put_address(out, *primary, tuple.family);
    }
    return detail::put_address(out, carried, tuple.family);
  }
  const Address* primary_address(Text interface, std::uint8_t family) const {
    for (const auto& status : interfaces_) {
      if (status.interface != interface) continue;
      const Address& primary = family == 4 ? status.primary_ipv4 : status.primary_ipv6;
      return primary == Address{} ? nullptr : &primary;
    }
    return nullptr;
  }

  // A text may have any length: afterwards there is room again for everything that has a fixed one.
  char* put_text(char* out, std::string_view text) {
    return detail::put_vpc_text(make_room(out, text.size() * detail::kVpcGrowth), text);
  }
  char* make_room(char* out, std::size_t chars) {
    const std::size_t fixed = layout_.tokens.size() * kTokenChars;
    const std::size_t used = out == nullptr ? 0 : static_cast<std::size_t>(out - buffer_.get());
    if (size_ >= used + chars + fixed) return out;
    const std::size_t size = 2 * (used + chars + fixed);
    auto larger = std::make_unique_for_overwrite<char[]>(size);
    if (used != 0) std::memcpy(larger.get(), buffer_.get(), used);
    buffer_ = std::move(larger);
    size_ = size;
    return buffer_.get() + used;
  }
};

}  // namespace

Result<std::unique_ptr<VpcFormat>> make_vpc_format(const TextTable& texts, VpcFormatOptions options) {
  auto layout = detail::parse_log_format(options.log_format);
  if (!layout) return layout.error();
  return std::unique_ptr<VpcFormat>(std::make_unique<VpcTextFormat>(texts, std::move(options), std::move(*layout)));
}

}  // namespace fffa
