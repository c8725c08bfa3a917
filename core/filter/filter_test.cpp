// SPDX-License-Identifier: MIT
#include "filter/filter.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <ostream>

namespace fffa::core {
namespace {

TextTable& texts() {
  static TextTable table;
  return table;
}

void set(Tuple& tuple, int family, const char* src, const char* dst) {
  tuple.family = family == AF_INET ? 4 : 6;
  EXPECT_EQ(inet_pton(family, src, tuple.src.data()), 1);
  EXPECT_EQ(inet_pton(family, dst, tuple.dst.data()), 1);
}

// A refused TCP flow, with much null: no rule, no NAT, no drop reason.
FlowRecord sample() {
  FlowRecord r;
  set(r.flow, AF_INET, "10.1.2.3", "192.0.2.1");
  r.flow.protocol = 6;
  r.flow.src_port = 40000;
  r.flow.dst_port = 443;
  r.direction = Direction::egress;
  r.packets = 3;
  r.bytes = 180;
  r.interface = texts().intern("eth0");
  r.set(Has::tcp);
  r.tcp_flags = 2 | 4;
  r.initiator = true;
  r.conn_state = ConnState::REJ;
  r.set(Has::netfilter);
  r.netfilter_verdict = Verdict::drop;
  r.netfilter_hook = NetfilterHook::forward;
  r.netfilter_priority = -150;
  r.set(Has::refused);
  r.refused_packets = 3;
  r.set(Has::gwlb_endpoint);
  r.gwlb_endpoint_id = 0xabcdef0123456789;
  return r;
}

struct Case {
  const char* text;
  bool expected;
  friend std::ostream& operator<<(std::ostream& out, const Case& one) { return out << one.text; }
};

struct Matches : testing::TestWithParam<Case> {};
TEST_P(Matches, Sample) {
  std::vector<FilterProblem> problems;
  const auto filter = Filter::parse(GetParam().text, problems);
  ASSERT_TRUE(filter) << problems.front().offset << ": " << problems.front().message;
  EXPECT_TRUE(problems.empty());
  EXPECT_EQ(filter->matches(sample(), texts()), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(Numbers, Matches,
                         testing::Values(Case{"packets == 3", true}, Case{"packets != 3", false},
                                         Case{"packets < 3", false}, Case{"packets <= 3", true},
                                         Case{"packets > 2", true}, Case{"packets >= 4", false},
                                         Case{"packets in [1, 3]", true}, Case{"packets not in [1,3]", false},
                                         Case{"dst_port == 0x1bb", true}, Case{"bytes < 18446744073709551615", true},
                                         Case{"packets > -1", true}, Case{"netfilter_priority == -150", true},
                                         Case{"netfilter_priority < -149", true},
                                         Case{"netfilter_priority < -150", false}, Case{"netfilter_priority < 0", true},
                                         Case{"netfilter_priority > -9223372036854775808", true},
                                         Case{"direction == egress", true}, Case{"direction in [ingress]", false},
                                         Case{"direction == 1", true}));
INSTANTIATE_TEST_SUITE_P(Texts, Matches,
                         testing::Values(Case{"netfilter_verdict == DROP", true},
                                         Case{"netfilter_verdict in [ACCEPT, 'REJECT']", false},
                                         Case{"netfilter_verdict in [DROP, REJECT] or refused_packets > 0", true},
                                         Case{"proto == TCP", true}, Case{"proto in [\"UDP\", PROTO_47]", false},
                                         Case{"interface == eth0", true}, Case{"interface != 'eth0'", false},
                                         Case{"interface == 'host'", false}, Case{"conn_state == REJ", true},
                                         Case{"tcp_flags == SYN|RST", true}, Case{"tcp_flags == 'RST|SYN'", true},
                                         Case{"tcp_flags in [NONE, SYN]", false},
                                         Case{"aws_account == 123456789012", false},
                                         Case{"gwlb_endpoint_id == vpce-0abcdef0123456789", true},
                                         Case{"gwlb_endpoint_id != abcdef0123456789", false}));
INSTANTIATE_TEST_SUITE_P(Addresses, Matches,
                         testing::Values(Case{"src_ip == 10.1.2.3", true}, Case{"src_ip != 10.1.2.3", false},
                                         Case{"src_ip in 10.0.0.0/8", true}, Case{"src_ip not in 10.0.0.0/8", false},
                                         Case{"src_ip in 10.1.2.2/31", true}, Case{"src_ip in 10.1.2.0/31", false},
                                         Case{"src_ip in 0.0.0.0/0", true}, Case{"src_ip in ::/0", false},
                                         Case{"dst_ip in [192.0.2.1, 2001:db8::/32]", true},
                                         Case{"dst_ip in ['192.0.2.0/28']", true}, Case{"src_ip in 10.1.2.3", true}));
INSTANTIATE_TEST_SUITE_P(Booleans, Matches,
                         testing::Values(Case{"initiator", true}, Case{"not initiator", false},
                                         Case{"initiator == true", true}, Case{"initiator == false", false},
                                         Case{"initiator != false", true}, Case{"encapsulated", false}));
// A comparison with null is false; `not` turns it round.
INSTANTIATE_TEST_SUITE_P(Nulls, Matches,
                         testing::Values(Case{"drops == null", true}, Case{"drops != null", false},
                                         Case{"refused_packets != null", true}, Case{"drops == 0", false},
                                         Case{"drops != 0", false}, Case{"drops < 1", false}, Case{"drops >= 0", false},
                                         Case{"drops not in [1]", false}, Case{"not drops == 0", true},
                                         Case{"not (drops > 0)", true}, Case{"drop_reason != 'X'", false},
                                         Case{"nat_src_ip in 0.0.0.0/0", false},
                                         Case{"nat_src_ip not in 10.0.0.0/8", false},
                                         Case{"first_seen == null", true}));
INSTANTIATE_TEST_SUITE_P(
    Logic, Matches,
    testing::Values(Case{"packets > 1 and bytes > 1", true}, Case{"packets > 1 and bytes > 1000", false},
                    Case{"packets > 9 or bytes > 1 and dst_port == 443", true},
                    Case{"(packets > 9 or bytes > 1) and dst_port == 80", false},
                    Case{"packets == 3 or packets == 4 and bytes == 0", true},
                    Case{"not (packets > 9 or dst_port == 443)", false}, Case{"not packets > 9 and initiator", true},
                    Case{"not not initiator", true}, Case{"not (not initiator and initiator)", true},
                    Case{"((((initiator))))", true}, Case{"\n initiator\n  and\tpackets>2\n", true}));

TEST(Filter, EveryCombinationOfThree) {
  // Against the same in C++: order, brackets and jumps.
  for (unsigned bits = 0; bits < 8; ++bits) {
    const bool a = bits & 1, b = bits & 2, c = bits & 4;
    FlowRecord r;
    r.initiator = a;
    r.cumulative = b;
    r.incomplete = c;
    const auto says = [&](const char* text) {
      std::vector<FilterProblem> problems;
      return Filter::parse(text, problems)->matches(r, texts());
    };
    EXPECT_EQ(says("initiator or cumulative and incomplete"), a || (b && c));
    EXPECT_EQ(says("(initiator or cumulative) and incomplete"), (a || b) && c);
    EXPECT_EQ(says("not (initiator and cumulative) or incomplete"), !(a && b) || c);
    EXPECT_EQ(says("not (initiator or not (cumulative and not incomplete))"), !(a || !(b && !c)));
    EXPECT_EQ(says("initiator and not cumulative or not initiator and cumulative"), a != b);
    EXPECT_EQ(says("not initiator and not cumulative and not incomplete"), !a && !b && !c);
  }
}

TEST(Filter, Ipv6Prefixes) {
  FlowRecord r;
  set(r.flow, AF_INET6, "2001:db8:1:2::3", "::1");
  const auto says = [&](const char* text) {
    std::vector<FilterProblem> problems;
    return Filter::parse(text, problems)->matches(r, texts());
  };
  EXPECT_TRUE(says("src_ip in 2001:db8::/32"));
  EXPECT_TRUE(says("src_ip in 2001:db8:1:2::3/128"));
  EXPECT_TRUE(says("src_ip in 2001:db8:1:2::/63"));
  EXPECT_FALSE(says("src_ip in 2001:db8:1::/64"));
  EXPECT_TRUE(says("dst_ip == ::1"));
  EXPECT_FALSE(says("dst_ip in 0.0.0.0/0"));
}

// ---- what is refused

struct Wrong {
  const char* text;
  std::size_t offset;
  const char* message;    // part of it
  const char* hint = "";  // part of it
  friend std::ostream& operator<<(std::ostream& out, const Wrong& one) { return out << one.text; }
};
struct Refuses : testing::TestWithParam<Wrong> {};
TEST_P(Refuses, WithOneProblem) {
  std::vector<FilterProblem> problems;
  EXPECT_FALSE(Filter::parse(GetParam().text, problems));
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].offset, GetParam().offset);
  EXPECT_NE(problems[0].message.find(GetParam().message), std::string::npos) << problems[0].message;
  EXPECT_NE(problems[0].hint.find(GetParam().hint), std::string::npos) << problems[0].hint;
}

INSTANTIATE_TEST_SUITE_P(
    Syntax, Refuses,
    testing::Values(Wrong{"", 0, "expected a field, got the end"}, Wrong{"packets", 0, "compare it with something"},
                    Wrong{"packets >", 9, "expected a value, got the end"},
                    Wrong{"packets 5", 8, "expected an operator behind `packets`, got `5`"},
                    Wrong{"packets = 5", 8, "got `=`", "write `==`"},
                    Wrong{"initiator && packets > 1", 10, "got `&&`", "write `and`"},
                    Wrong{"packets > 1 || initiator", 12, "got `||`", "write `or`"},
                    Wrong{"!initiator", 0, "got `!`", "write `not`"},
                    Wrong{"5 < packets", 0, "expected a field, got `5`", "the field stands first"},
                    Wrong{"1 < packets < 5", 0, "expected a field"},
                    Wrong{"packets > 1 < 5", 12, "expected `and`, `or` or the end, got `<`"},
                    Wrong{"(initiator", 10, "expected `)`, got the end"},
                    Wrong{"initiator)", 9, "expected `and`, `or` or the end, got `)`"},
                    Wrong{"initiator and", 13, "expected a field"}, Wrong{"and initiator", 0, "got `and`"},
                    Wrong{"proto in TCP", 9, "expected a list", "proto in [a, b]"},
                    Wrong{"proto in []", 10, "expected a value, got `]`"},
                    Wrong{"proto in [TCP UDP]", 14, "expected `,` or `]`, got `UDP`"},
                    Wrong{"proto in [TCP", 13, "got the end"}, Wrong{"proto not TCP", 10, "expected `in` behind `not`"},
                    Wrong{"drop_reason == 'abc", 15, "got `'`", "never closed"},
                    Wrong{"initiator AND encapsulated", 10, "expected an operator"},
                    Wrong{"initiator and \x01", 14, "got `?`"},
                    Wrong{"packets \xe2\x89\xa5 5", 8, "got `\xe2\x89\xa5`"}));
INSTANTIATE_TEST_SUITE_P(
    Types, Refuses,
    testing::Values(
        Wrong{"refusd_packets > 0", 0, "no field is called `refusd_packets`", "`refused_packets`"},
        Wrong{"qqqqqqq > 0", 0, "no field", "`fffa fields`"}, Wrong{"x", 0, "no field is called `x`"},
        Wrong{"proto < TCP", 6, "`<` does not go with `proto`, which is text", "==, != or in"},
        Wrong{"src_ip > 10.0.0.1", 7, "which is an address"}, Wrong{"first_seen > 5", 11, "which is a time", "null"},
        Wrong{"initiator in [true]", 10, "`in` does not go with `initiator`", "== or !="},
        Wrong{"initiator == 1", 13, "expected true or false, got `1`"},
        Wrong{"netfilter_verdict == DORP", 21, "is never `DORP`", "`DROP`"},
        Wrong{"proto in [TCP, tcp]", 15, "is never `tcp`", "`TCP`"},
        Wrong{"conn_state == zzzzzz", 14, "is never `zzzzzz`", "one of S0, S1"},
        Wrong{"packets > 1.5", 10, "expected a whole number of packets, got `1.5`"},
        Wrong{"bytes > 10MB", 8, "whole number of bytes"}, Wrong{"bytes > 18446744073709551616", 8, "whole number"},
        Wrong{"netfilter_priority > -9223372036854775809", 21, "whole number"},
        Wrong{"packets == DROP", 11, "expected a whole number of packets, got `DROP`"},
        Wrong{"src_ip == 10.0.0.0/8", 10, "not equal to a whole prefix", "src_ip in 10.0.0.0/8"},
        Wrong{"src_ip in 10.1.2.3/8", 10, "bits set behind the prefix", "10.0.0.0/8"},
        Wrong{"src_ip in 2001:db8::1/32", 10, "bits set behind the prefix", "2001:db8::/32"},
        Wrong{"src_ip in 10.0.0.0/33", 10, "expected an address or prefix"},
        Wrong{"src_ip == fe80", 10, "expected an address, got `fe80`"},
        Wrong{"src_ip == 10.0.1", 10, "expected an address"}, Wrong{"tcp_flags == SYN|ACH", 13, "`ACH` is no TCP flag"},
        Wrong{"labels == 'a'", 0, "made while printing"},
        Wrong{"interface == host", 13, "not with another field", "'host'"},
        Wrong{"drop_reason == true", 15, "a word of the language", "'true'"},
        Wrong{"drops > null", 8, "null goes with == and != only"}, Wrong{"drops in [1, null]", 13, "null goes with"},
        Wrong{"gwlb_endpoint_id == xyz", 20, "expected hex digits"}));

TEST(Filter, WhatIsWrongWithFieldsAndValuesComesAtOnce) {
  std::vector<FilterProblem> problems;
  EXPECT_FALSE(Filter::parse("pakets > 0 and proto == tcp or bytes > many and (initiator", problems));
  ASSERT_EQ(problems.size(), 4u);
  EXPECT_EQ(problems[0].offset, 0u);
  EXPECT_EQ(problems[1].offset, 24u);
  EXPECT_EQ(problems[2].offset, 39u);
  EXPECT_EQ(problems[3].offset, 58u);
}

TEST(Filter, IsBounded) {
  std::vector<FilterProblem> problems;
  const auto nested = [](std::size_t depth) { return std::string(depth, '(') + "initiator" + std::string(depth, ')'); };
  EXPECT_TRUE(Filter::parse(nested(Filter::kDeepest), problems));
  EXPECT_FALSE(Filter::parse(nested(Filter::kDeepest + 1), problems));
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].offset, Filter::kDeepest);
  EXPECT_FALSE(Filter::parse(std::string(Filter::kLongest, '('), problems));
  EXPECT_FALSE(Filter::parse(std::string(Filter::kLongest + 1, ' '), problems));
  EXPECT_EQ(problems.size(), 3u);
  std::string wrong = "proto in [x";
  while (wrong.size() + 4 < Filter::kLongest) wrong += ", x";
  EXPECT_FALSE(Filter::parse(wrong + "]", problems));
  EXPECT_EQ(problems.size(), 13u);
  std::string many = "initiator";
  while (many.size() + 14 < Filter::kLongest) many += " and initiator";
  EXPECT_TRUE(Filter::parse(many, problems));
}

TEST(Filter, AreTheSameIfWrittenAlike) {
  std::vector<FilterProblem> problems;
  const auto a = Filter::parse("initiator", problems), b = Filter::parse("initiator", problems);
  EXPECT_TRUE(same_filter(a, b));
  EXPECT_TRUE(same_filter({}, {}));
  EXPECT_FALSE(same_filter(a, {}));
  EXPECT_FALSE(same_filter({}, a));
  EXPECT_FALSE(same_filter(a, Filter::parse("not initiator", problems)));
}

}  // namespace
}  // namespace fffa::core
