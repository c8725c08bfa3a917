// SPDX-License-Identifier: MIT
#include "table.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <sstream>

namespace fffa::standard_output {
namespace {

FlowRecord record(const char* src, const char* dst, std::uint8_t protocol) {
  FlowRecord r;
  r.flow.family = std::string_view(src).find(':') == std::string_view::npos ? 4 : 6;
  const int family = r.flow.family == 4 ? AF_INET : AF_INET6;
  EXPECT_EQ(inet_pton(family, src, r.flow.src.data()), 1);
  EXPECT_EQ(inet_pton(family, dst, r.flow.dst.data()), 1);
  r.flow.src_port = 51514;
  r.flow.dst_port = 443;
  r.flow.protocol = protocol;
  r.direction = Direction::egress;
  r.packets = 12;
  r.bytes = 4'310'000;
  r.first_seen = 1'767'225'600'000'000'000;
  r.last_seen = r.first_seen + 58'123'000'000;
  return r;
}
FlowRecord tcp(const char* src, const char* dst) {
  auto r = record(src, dst, 6);
  r.set(Has::tcp);
  r.set(Has::handshake);
  r.tcp_flags = 0x1b;
  r.handshake_latency_us = 1234;
  return r;
}
std::string table_of(const std::vector<FlowRecord>& records, bool terminal = false) {
  TableFormat table(terminal);
  std::string out;
  for (const auto& r : records) table.append(r, out);
  return out;
}

TEST(Table, ColumnsLineUp) {
  auto icmp = record("10.0.0.1", "10.0.0.2", 1);
  icmp.flow.dst_port = 8 << 8;
  icmp.direction = Direction::ingress;
  icmp.bytes = 84;
  auto refused = record("10.0.0.1", "10.0.0.2", 17);
  refused.set(Has::refused);
  refused.refused_packets = 3;
  EXPECT_EQ(
      table_of({tcp("10.20.1.15", "198.51.100.24"), icmp, refused}),
      "TIME (UTC)   DIR PROTO  PACKETS   BYTES FLAGS    HANDSHAKE DURATION SOURCE -> DESTINATION\n"
      "00:00:58.123 out TCP         12   4.31M SAFP        1.23ms    58.1s 10.20.1.15:51514 -> 198.51.100.24:443\n"
      "00:00:58.123 in  ICMP        12      84 -                -    58.1s 10.0.0.1 -> 10.0.0.2 type 8 code 0\n"
      "00:00:58.123 out UDP         12   4.31M -                -    58.1s 10.0.0.1:51514 -> 10.0.0.2:443 refused 3\n");
}

TEST(Table, LongAddressesAreBrokenBeforeTheArrow) {
  const char* longest = "2001:db8:1111:2222:3333:4444:5555:6666";
  EXPECT_EQ(table_of({tcp(longest, longest)}).substr(90),
            "00:00:58.123 out TCP         12   4.31M SAFP        1.23ms    58.1s "
            "[2001:db8:1111:2222:3333:4444:5555:6666]:51514\n"
            "                                                                 -> "
            "[2001:db8:1111:2222:3333:4444:5555:6666]:443\n");
}

TEST(Table, NoLineIsLongerThan120) {
  auto worst = tcp("2001:1db8:1111:2222:3333:4444:5555:6666", "2001:1db8:1111:2222:3333:4444:5555:6666");
  worst.flow.dst_port = 65535;
  worst.packets = worst.bytes = 999'999'999;
  worst.tcp_flags = 0xff;
  worst.handshake_latency_us = 999'999;
  auto v4 = worst;
  v4.flow = tcp("255.255.255.255", "255.255.255.255").flow;
  std::istringstream lines(table_of({worst, v4, tcp("2001:db8::1", "2001:db8::2")}));
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_LE(line.size(), 120u) << line;
  EXPECT_EQ(count, 5u);  // header, two for the long one, one each
}

TEST(Table, HeaderComesAgainOnATerminalOnly) {
  const std::vector<FlowRecord> records(61, tcp("10.0.0.1", "10.0.0.2"));
  const auto headers = [](const std::string& text) {
    std::size_t n = 0;
    for (auto at = text.find("TIME"); at != text.npos; at = text.find("TIME", at + 1)) ++n;
    return n;
  };
  EXPECT_EQ(headers(table_of(records)), 1u);
  EXPECT_EQ(table_of(records).find('\x1b'), std::string::npos);
  EXPECT_EQ(headers(table_of(records, true)), 3u);
}

}  // namespace
}  // namespace fffa::standard_output
