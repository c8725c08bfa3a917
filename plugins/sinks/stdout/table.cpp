// SPDX-License-Identifier: MIT
#include "table.h"

#include <array>
#include <cstdio>

#include "fffa/fields.h"
#include "fffa/print.h"

namespace fffa::standard_output {
namespace {

constexpr std::size_t kWidth = 120;
constexpr std::size_t kRowsPerHeader = 30;
constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmpV6 = 58, kSctp = 132;

// A cell of fixed width and the space after it.
void left(std::string& out, std::string_view text, std::size_t width) {
  out += text;
  out.append(text.size() < width ? width - text.size() + 1 : 1, ' ');
}
void right(std::string& out, std::string_view text, std::size_t width) {
  if (text.size() < width) out.append(width - text.size(), ' ');
  out += text;
  out += ' ';
}

std::string scaled(double value, const char* unit) {
  std::array<char, 32> text;
  const int size = std::snprintf(text.data(), text.size(),
                                 value < 10    ? "%.2f%s"
                                 : value < 100 ? "%.1f%s"
                                               : "%.0f%s",
                                 value, unit);
  return {text.data(), static_cast<std::size_t>(size)};
}

// Exact up to six digits.
std::string count(std::uint64_t value) {
  const auto number = static_cast<double>(value);
  if (value < 1'000'000) return std::to_string(value);
  if (value < 1'000'000'000) return scaled(number / 1e6, "M");
  if (value < 1'000'000'000'000) return scaled(number / 1e9, "G");
  return scaled(number / 1e12, "T");
}

std::string time_span(std::uint64_t microseconds) {
  const auto number = static_cast<double>(microseconds);
  if (microseconds < 1000) return std::to_string(microseconds) + "us";
  if (microseconds < 1'000'000) return scaled(number / 1e3, "ms");
  return scaled(number / 1e6, "s");
}

// One letter a flag, in the order of tcp_flags.
std::string flags(std::uint8_t tcp_flags) {
  constexpr std::pair<unsigned, char> kLetters[] = {{2, 'S'}, {16, 'A'}, {1, 'F'},  {4, 'R'},
                                                    {8, 'P'}, {32, 'U'}, {64, 'E'}, {128, 'C'}};
  std::string text;
  for (const auto& [bit, letter] : kLetters) {
    if ((tcp_flags & bit) != 0) text += letter;
  }
  return text.empty() ? "NONE" : text;
}

std::string end_point(const Tuple& flow, const Address& address, std::uint16_t port) {
  std::array<char, kAddressChars> text;
  const std::string shown(text.data(), print_address(address, flow.family, text.data()));
  if (flow.protocol != kTcp && flow.protocol != kUdp && flow.protocol != kSctp) return shown;
  return (flow.family == 6 ? "[" + shown + "]" : shown) + ":" + std::to_string(port);
}

std::string notes(const FlowRecord& record) {
  std::string text;
  if (record.flow.protocol == kIcmp || record.flow.protocol == kIcmpV6) {
    text +=
        " type " + std::to_string(record.flow.dst_port >> 8) + " code " + std::to_string(record.flow.dst_port & 0xff);
  }
  if (record.has(Has::refused) && record.refused_packets != 0) text += " refused " + count(record.refused_packets);
  if (record.incomplete) text += " incomplete";
  return text;
}

std::string columns(const FlowRecord& record) {
  std::array<char, kTimeChars> time;
  std::string row;
  left(row, std::string_view(time.data(), print_time(record.last_seen, time.data())).substr(11, 12), 12);
  left(row, record.direction == Direction::ingress ? "in" : record.direction == Direction::egress ? "out" : "-", 3);
  left(row, protocol_name(record.flow.protocol), 6);
  right(row, count(record.packets), 7);
  right(row, count(record.bytes), 7);
  left(row, record.has(Has::tcp) ? flags(record.tcp_flags) : "-", 8);
  right(row, record.has(Has::handshake) ? time_span(record.handshake_latency_us) : "-", 9);
  right(row, time_span(static_cast<std::uint64_t>(record.last_seen - record.first_seen) / 1000), 8);
  return row;
}

std::string column_names() {
  std::string row;
  left(row, "TIME (UTC)", 12);
  left(row, "DIR", 3);
  left(row, "PROTO", 6);
  right(row, "PACKETS", 7);
  right(row, "BYTES", 7);
  left(row, "FLAGS", 8);
  right(row, "HANDSHAKE", 9);
  right(row, "DURATION", 8);
  return row + "SOURCE -> DESTINATION";
}

}  // namespace

void TableFormat::append(const FlowRecord& record, std::string& out) {
  if (rows_ == 0 || (terminal_ && rows_ % kRowsPerHeader == 0)) {
    if (terminal_) out += "\x1b[1m";
    out += column_names();
    if (terminal_) out += "\x1b[0m";
    out += '\n';
  }
  ++rows_;
  const auto row = columns(record);
  const auto source = end_point(record.flow, record.flow.src, record.flow.src_port);
  const auto target = "-> " + end_point(record.flow, record.flow.dst, record.flow.dst_port) + notes(record);
  out += row;
  out += source;
  if (row.size() + source.size() + 1 + target.size() <= kWidth) {
    out += ' ';
  } else {
    out += '\n';
    out.append(row.size() - 3, ' ');
  }
  out += target;
  out += '\n';
}

}  // namespace fffa::standard_output
