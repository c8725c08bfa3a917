// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <sstream>

#include "fffa/format.h"
#include "format/refusals.h"
#include "format/vpc_fields.h"

namespace fffa {
namespace {

using testing::HasSubstr;

constexpr TimeNs kStart = 1'767'225'600'000'000'000;

struct Vpc {
  TextTable texts;
  std::unique_ptr<VpcFormat> format;

  explicit Vpc(std::string log_format = std::string(kVpcDefaultFormat), EniAddress address = EniAddress::packet) {
    VpcFormatOptions options;
    options.log_format = std::move(log_format);
    options.eni_address = address;
    make(std::move(options));
  }
  void make(VpcFormatOptions options) {
    auto made = make_vpc_format(texts, std::move(options));
    if (!made) throw std::logic_error(made.error().message);
    format = std::move(*made);
  }
  std::string operator()(const FlowRecord& record) {
    std::string out;
    format->append(record, out);
    return out;
  }
  FlowRecord record(Direction direction = Direction::ingress) {
    FlowRecord r;
    r.flow = {{198, 51, 100, 24}, {10, 20, 1, 15}, 51514, 443, 6, 4};
    if (direction == Direction::egress) {
      std::swap(r.flow.src, r.flow.dst);
      std::swap(r.flow.src_port, r.flow.dst_port);
    }
    r.direction = direction;
    r.packets = 12;
    r.bytes = 4310;
    r.first_seen = kStart + 999'999'999;
    r.last_seen = kStart + 58'999'999'999;
    r.interface = texts.intern("ens5");
    r.set(Has::tcp);
    r.vpc_tcp_flags = 19;
    return r;
  }
  FlowRecord aws_record(Direction direction = Direction::ingress) {
    auto r = record(direction);
    r.aws = {texts.intern("111122223333"), texts.intern("vpc-1"),
             texts.intern("subnet-1"),     texts.intern("i-1"),
             texts.intern("use1a"),        texts.intern("use1-az4"),
             texts.intern("us-east-1"),    texts.intern("eni-0a1b2c3d4e5f60001")};
    return r;
  }
};

void refuse(FlowRecord& record, std::uint64_t packets, std::uint64_t bytes) {
  record.set(Has::refused);
  record.refused_packets = packets;
  record.refused_bytes = bytes;
  record.refused_first_seen = record.first_seen + 5'000'000'000;
  record.refused_last_seen = record.first_seen + 6'000'000'000;
  record.refused_vpc_tcp_flags = 2;
}

TEST(Vpc, DefaultFormat) {
  Vpc vpc;
  EXPECT_EQ(vpc.format->header(),
            "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action "
            "log-status");
  EXPECT_EQ(vpc(vpc.aws_record()),
            "2 111122223333 eni-0a1b2c3d4e5f60001 198.51.100.24 10.20.1.15 51514 443 6 12 4310 1767225600 1767225658 "
            "ACCEPT OK\n");
}

TEST(Vpc, OffAws) {
  Vpc vpc;
  EXPECT_EQ(vpc(vpc.record()),
            "2 unknown ens5 198.51.100.24 10.20.1.15 51514 443 6 12 4310 1767225600 1767225658 ACCEPT OK\n");
}

TEST(Vpc, OverridesWin) {
  Vpc vpc;
  VpcFormatOptions options;
  options.log_format = "${account-id} ${region}";
  options.account_id = "999988887777";
  options.region = "eu-central-1";
  vpc.make(options);
  EXPECT_EQ(vpc(vpc.aws_record()), "999988887777 eu-central-1\n");
}

TEST(Vpc, VersionIsTheHighestOfItsFields) {
  const std::pair<const char*, const char*> cases[] = {
      {"${version}", "2"},
      {"${srcaddr} ${version}", "198.51.100.24 2"},
      {"${version} ${vpc-id}", "3 -"},
      {"${version} ${az-id} ${vpc-id}", "4 - -"},
      {"${version} ${traffic-path}", "5 -"},
      {"${version} ${ecs-task-id}", "7 -"},
      {"${version} ${reject-reason}", "8 -"},
      {"${version} ${resource-id}", "9 -"},
      {"${version} ${encryption-status}", "10 -"},
      {"${version} ${next-hop-vpc-id} ${asg-tag-2}", "11 - -"},
  };
  for (const auto& [log_format, line] : cases) {
    Vpc vpc{log_format};
    EXPECT_EQ(vpc(vpc.record()), std::string(line) + "\n") << log_format;
  }
}

TEST(Vpc, EveryFieldOfVersion5) {
  Vpc vpc{
      "${version} ${vpc-id} ${subnet-id} ${instance-id} ${tcp-flags} ${type} ${pkt-srcaddr} ${pkt-dstaddr} ${region} "
      "${az-id} ${sublocation-type} "
      "${sublocation-id} ${pkt-src-aws-service} ${pkt-dst-aws-service} ${flow-direction} ${traffic-path}"};
  EXPECT_EQ(vpc(vpc.aws_record(Direction::egress)),
            "5 vpc-1 subnet-1 i-1 19 IPv4 10.20.1.15 198.51.100.24 us-east-1 use1-az4 - - - - egress -\n");
}

TEST(Vpc, DirectionUnknown) {
  Vpc vpc{"${flow-direction}"};
  EXPECT_EQ(vpc(vpc.record(Direction::unknown)), "-\n");
}

TEST(Vpc, IcmpAndUdp) {
  Vpc vpc{"${srcport} ${dstport} ${protocol} ${tcp-flags} ${type}"};
  auto record = vpc.record();
  record.present = 0;
  record.flow.protocol = 1;
  record.flow.src_port = 0;
  record.flow.dst_port = 8 << 8;
  EXPECT_EQ(vpc(record), "0 0 1 0 IPv4\n");
  record.flow.protocol = 17;
  record.flow.family = 6;
  record.flow.dst_port = 53;
  EXPECT_EQ(vpc(record), "0 53 17 0 IPv6\n");
  record.flow.protocol = 6;  // TCP that was not measured
  EXPECT_EQ(vpc(record), "0 53 6 - IPv6\n");
}

TEST(Vpc, SrcaddrIsTheOuterOneOnlyBesidePktFields) {
  Vpc with{"${srcaddr} ${dstaddr} ${srcport} ${pkt-srcaddr}"},
      without{"${srcaddr} ${dstaddr} ${srcport} ${pkt-dst-aws-service}"};
  auto record = with.record();
  record.encapsulation = Encapsulation::geneve;
  record.outer = {{10, 0, 0, 1}, {10, 0, 0, 2}, 60'000, 6081, 17, 4};
  EXPECT_EQ(with(record), "10.0.0.1 10.0.0.2 51514 198.51.100.24\n");
  EXPECT_EQ(without(record), "198.51.100.24 10.20.1.15 51514 -\n");
}

TEST(Vpc, PrimaryAddressStandsOnItsOwnSide) {
  Vpc vpc{"${srcaddr} ${dstaddr} ${pkt-srcaddr} ${pkt-dstaddr}", EniAddress::primary};
  Batch batch;
  batch.interfaces.resize(1);
  batch.interfaces[0].interface = vpc.texts.intern("ens5");
  batch.interfaces[0].primary_ipv4 = {10, 20, 1, 1};
  vpc.format->interfaces(batch);
  EXPECT_EQ(vpc(vpc.record(Direction::ingress)), "198.51.100.24 10.20.1.1 198.51.100.24 10.20.1.15\n");
  EXPECT_EQ(vpc(vpc.record(Direction::egress)), "10.20.1.1 198.51.100.24 10.20.1.15 198.51.100.24\n");
  EXPECT_EQ(vpc(vpc.record(Direction::unknown)), "198.51.100.24 10.20.1.15 198.51.100.24 10.20.1.15\n");
  auto other = vpc.record();
  other.interface = vpc.texts.intern("ens6");
  EXPECT_EQ(vpc(other), "198.51.100.24 10.20.1.15 198.51.100.24 10.20.1.15\n");
  auto v6 = vpc.record();  // the interface has no IPv6 address that is known
  v6.flow.family = 6;
  v6.flow.src = v6.flow.dst = {0x20, 0x01, 0x0d, 0xb8};
  EXPECT_EQ(vpc(v6), "2001:db8:: 2001:db8:: 2001:db8:: 2001:db8::\n");
}

TEST(Vpc, RefusedPartOfIngressIsContained) {
  Vpc vpc{"${packets} ${bytes} ${start} ${end} ${action} ${tcp-flags}"};
  auto record = vpc.record();
  refuse(record, 2, 120);
  EXPECT_EQ(vpc(record), "10 4190 1767225600 1767225658 ACCEPT 19\n2 120 1767225605 1767225606 REJECT 2\n");
}

TEST(Vpc, AllRefusedGivesNoAcceptLine) {
  Vpc vpc{"${packets} ${bytes} ${action}"};
  auto record = vpc.record();
  refuse(record, 12, 4310);
  EXPECT_EQ(vpc(record), "12 4310 REJECT\n");
}

// Round trips alone, whose packets were in an earlier record.
TEST(Vpc, NoPacketsGiveNoLine) {
  Vpc vpc{"${packets} ${bytes} ${action}"};
  auto record = vpc.record();
  record.packets = record.bytes = 0;
  record.rtt_samples = 1;
  EXPECT_EQ(vpc(record), "");
}

TEST(Vpc, RefusedPartOfEgressComesOnTop) {
  Vpc vpc{"${packets} ${bytes} ${action}"};
  auto record = vpc.record(Direction::egress);
  refuse(record, 2, 120);
  EXPECT_EQ(vpc(record), "12 4310 ACCEPT\n2 120 REJECT\n");
  record.packets = record.bytes = 0;
  EXPECT_EQ(vpc(record), "2 120 REJECT\n");
}

TEST(Vpc, DeficitCarriesOver) {
  Vpc vpc{"${packets} ${bytes} ${action}"};
  auto record = vpc.record();
  EXPECT_EQ(vpc(record), "12 4310 ACCEPT\n");  // two of these are refused in the next window
  record.packets = 1;
  record.bytes = 60;
  refuse(record, 3, 180);
  EXPECT_EQ(vpc(record), "3 180 REJECT\n");
  record.present = 0;
  record.packets = 1;
  record.bytes = 60;
  EXPECT_EQ(vpc(record), "");
  record.packets = 5;
  record.bytes = 300;
  EXPECT_EQ(vpc(record), "4 240 ACCEPT\n");
  EXPECT_EQ(vpc(record), "5 300 ACCEPT\n");
}

TEST(Vpc, DeficitBelongsToItsFlow) {
  Vpc vpc{"${packets} ${action}"};
  auto record = vpc.record(), other = vpc.record();
  other.flow.src_port = 1;
  refuse(record, 14, 5000);
  EXPECT_EQ(vpc(record), "14 REJECT\n");
  EXPECT_EQ(vpc(other), "12 ACCEPT\n");
}

// Whatever the order of counting and refusing: over time, accepted + refused = counted, in packets and bytes.
TEST(Vpc, TotalsAddUpOverWindows) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    Vpc vpc{"${packets} ${bytes}"};
    std::uint64_t counted = 0, counted_bytes = 0, pending = 0, printed = 0, printed_bytes = 0;
    const auto window = [&](std::uint64_t packets, std::uint64_t refused) {
      auto record = vpc.record();
      record.packets = packets;
      record.bytes = packets * 60;
      if (refused != 0) refuse(record, refused, refused * 60);
      std::istringstream lines(vpc(record));
      for (std::uint64_t p = 0, b = 0; lines >> p >> b;) {
        printed += p;
        printed_bytes += b;
      }
      counted += packets;
      counted_bytes += packets * 60;
    };
    for (int i = 0; i < 20; ++i) {
      const std::uint64_t packets = 1 + random() % 5;
      pending += random() % (packets + 1);
      const std::uint64_t refused = random() % (pending + 1);
      pending -= refused;
      window(packets, refused);
    }
    window(1000, pending);
    EXPECT_EQ(printed, counted);
    EXPECT_EQ(printed_bytes, counted_bytes);
  }
}

TEST(Refusals, StateIsBounded) {
  detail::Refusals refusals;
  FlowRecord record;
  record.flow.family = 4;
  record.packets = 1;
  refuse(record, 2, 2);
  for (std::size_t i = 0; i < 2 * detail::Refusals::kCapacity; ++i) {
    record.flow.src = {static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(i >> 8),
                       static_cast<std::uint8_t>(i >> 16)};
    static_cast<void>(refusals.accepted(record));
  }
  EXPECT_EQ(refusals.lost(), detail::Refusals::kCapacity);
}

TEST(Vpc, NoDataAndSkipDataKeepIdentity) {
  Vpc vpc;
  InterfaceStatus status;
  status.interface = vpc.texts.intern("ens5");
  status.aws = vpc.aws_record().aws;
  std::string out;
  vpc.format->append_status(status, LogStatus::nodata, 1767225660, 1767225719, out);
  vpc.format->append_status(status, LogStatus::skipdata, 1767225720, 1767225779, out);
  EXPECT_EQ(out,
            "2 111122223333 eni-0a1b2c3d4e5f60001 - - - - - - - 1767225660 1767225719 - NODATA\n"
            "2 111122223333 eni-0a1b2c3d4e5f60001 - - - - - - - 1767225720 1767225779 - SKIPDATA\n");
  Vpc custom{
      "${version} ${interface-id} ${vpc-id} ${subnet-id} ${instance-id} ${region} ${az-id} ${type} ${tcp-flags} "
      "${flow-direction} ${log-status}"};
  status.aws = custom.aws_record().aws;
  out.clear();
  custom.format->append_status(status, LogStatus::nodata, 0, 59, out);
  EXPECT_EQ(out, "5 eni-0a1b2c3d4e5f60001 vpc-1 subnet-1 i-1 us-east-1 use1-az4 - - - NODATA\n");
}

TEST(Vpc, NoTextChangesTheNumberOfFields) {
  Vpc vpc{"${interface-id} ${vpc-id} ${log-status}"};
  const std::pair<std::string, std::string> cases[] = {
      {"my eni", "my%20eni"},
      {"a\nb\tc", "a%0Ab%09c"},
      {"-", "%2D"},
      {"100%", "100%25"},
      {"h\xC3\xA9", "h%C3%A9"},
      {"\x1b[31m\x7f", "%1B[31m%7F"},
      {"", "ens5"},
      {"eni-long enough for whole words", "eni-long%20enough%20for%20whole%20words"}};
  for (const auto& [text, printed] : cases) {
    auto record = vpc.record();
    record.aws.eni = vpc.texts.intern(text);
    EXPECT_EQ(vpc(record), printed + " - OK\n");
  }
}

TEST(Vpc, LongTextsGrowTheBuffer) {
  Vpc vpc{"${interface-id} ${vpc-id} ${log-status}"};
  auto record = vpc.record();
  record.aws.eni = record.aws.vpc = vpc.texts.intern(std::string(50'000, ' '));
  EXPECT_EQ(vpc(record).size(), 2 * 150'000 + 5u);
}

std::string error_of(std::string_view log_format) {
  const auto layout = detail::parse_log_format(log_format);
  return layout ? "" : layout.error().message;
}

TEST(LogFormat, WhiteSpaceIsFree) {
  const auto layout = detail::parse_log_format("  ${version}\n\t${srcaddr}  ");
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout->header, "version srcaddr");
}

TEST(LogFormat, ErrorsNameTheTokenAndTheNearest) {
  EXPECT_THAT(error_of("${version} ${src-addr}"), HasSubstr("no field `${src-addr}`; did you mean `${srcaddr}`?"));
  EXPECT_THAT(error_of("${account_id}"), HasSubstr("did you mean `${account-id}`?"));
  EXPECT_THAT(error_of("srcaddr"), HasSubstr("`srcaddr` is not of the form `${field-id}`; did you mean `${srcaddr}`?"));
  EXPECT_THAT(error_of("${version},${srcaddr}"), HasSubstr("`${version},${srcaddr}`"));
  EXPECT_THAT(error_of("${version}${srcaddr}"), HasSubstr("`${version}${srcaddr}`"));
  EXPECT_THAT(error_of("${version} ${version}"), HasSubstr("`${version}` appears twice"));
  EXPECT_THAT(error_of("${}"), HasSubstr("`${}`"));
  EXPECT_THAT(error_of(""), HasSubstr("names no field"));
  EXPECT_THAT(error_of(" \n"), HasSubstr("names no field"));
}

TEST(LogFormat, MakerReportsTheSameError) {
  TextTable texts;
  VpcFormatOptions options;
  options.log_format = "${nonsense}";
  const auto made = make_vpc_format(texts, options);
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.error().message, HasSubstr("${nonsense}"));
}

}  // namespace
}  // namespace fffa
