// SPDX-License-Identifier: MIT
// Real rules and real packets, in namespaces: which rule is said to have decided what.
#include "rule_tracer.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <fstream>

#include "tracing_test.h"

namespace fffa::ebpf {
namespace {

using RuleTracerTest = TracingTest;

TEST_F(RuleTracerTest, NoRulesDecideNothing) {
  start();
  EXPECT_EQ(decided_in(tcp(443), 0.3), "none");
  EXPECT_GT(tracer->stats().events, 0U);
  EXPECT_TRUE(messages.all.empty()) << messages.all.front();
}

TEST_F(RuleTracerTest, NftInput) {
  nft(R"(table inet t {
    set ports { type inet_service; elements = { 22, 23 }; }
    chain refuse { udp dport 9 drop; meta l4proto tcp reject with tcp reset; return; };
    chain in {
      type filter hook input priority 5; policy drop;
      tcp dport 443 counter log prefix "a b" flags tcp sequence,options accept
      tcp dport @ports counter packets 5 bytes 7 drop comment "no ssh"
      udp dport { 53, 54 } reject with icmpx admin-prohibited
      udp dport vmap { 60 : accept, 61 : drop, 62 : jump refuse }
      udp dport 9 jump refuse
      tcp dport 7 goto refuse
      icmp type echo-request accept
      icmpv6 type echo-request drop
    }
  })");
  start();
  EXPECT_EQ(decided_in(tcp(443)), "accept local_in 5 t in 1 ACCEPT [tcp dport 443]");
  EXPECT_EQ(decided_in(tcp6(443)), "accept local_in 5 t in 1 ACCEPT [tcp dport 443]");
  EXPECT_EQ(decided_in(tcp(22)), "drop local_in 5 t in 2 DROP [tcp dport @ports comment \"no ssh\"]");
  EXPECT_EQ(decided_in(udp(53)), "reject local_in 5 t in 3 REJECT [udp dport { 53, 54 }]");
  EXPECT_EQ(decided_in(udp6(54)), "reject local_in 5 t in 3 REJECT [udp dport { 53, 54 }]");
  EXPECT_EQ(decided_in(udp(60)),
            "accept local_in 5 t in 4 ACCEPT [udp dport vmap { 60 : accept, 61 : drop, 62 : jump refuse }]");
  EXPECT_EQ(decided_in(udp(61)),
            "drop local_in 5 t in 4 DROP [udp dport vmap { 60 : accept, 61 : drop, 62 : jump refuse }]");
  EXPECT_EQ(decided_in(udp(62)), "drop local_in 5 t in - policy []");
  EXPECT_EQ(decided_in(udp(9)), "drop local_in 5 t refuse 1 DROP [udp dport 9]");
  EXPECT_EQ(decided_in(tcp(7)), "reject local_in 5 t refuse 2 REJECT [meta l4proto tcp]");
  EXPECT_EQ(decided_in(tuple(kThere4, 0, kHere4, kEcho4, IPPROTO_ICMP)),
            "accept local_in 5 t in 7 ACCEPT [icmp type echo-request]");
  EXPECT_EQ(decided_in(tuple(kThere6, 0, kHere6, kEcho6, IPPROTO_ICMPV6)),
            "drop local_in 5 t in 8 DROP [icmpv6 type echo-request]");
  EXPECT_EQ(decided_in(tcp(1)), "drop local_in 5 t in - policy []");
  EXPECT_EQ(tracer->stats().overruns, 0U);
}

TEST_F(RuleTracerTest, NftOutput) {
  nft(R"(table ip t {
    chain out {
      type filter hook output priority 0; policy accept;
      udp dport 53 drop
      tcp dport 443 accept
      icmp type echo-request reject
    }
  })");
  start();
  EXPECT_EQ(decided_out(tuple(kHere4, 4000, kThere4, 53, IPPROTO_UDP)), "drop local_out 0 t out 1 DROP [udp dport 53]");
  EXPECT_EQ(decided_out(tuple(kHere4, 4000, kThere4, 443, IPPROTO_TCP)),
            "accept local_out 0 t out 2 ACCEPT [tcp dport 443]");
  EXPECT_EQ(decided_out(tuple(kHere4, 0, kThere4, kEcho4, IPPROTO_ICMP)),
            "reject local_out 0 t out 3 REJECT [icmp type echo-request]");
  EXPECT_EQ(decided_out(tuple(kHere4, 4001, kThere4, 54, IPPROTO_UDP)), "accept local_out 0 t out - policy []");
}

TEST_F(RuleTracerTest, SeveralTables) {
  nft(R"(
  table inet a {
    chain in { type filter hook input priority 0; policy accept; udp dport 1 accept; udp dport 3 accept; };
    chain nat { type nat hook prerouting priority -100; policy accept; udp dport 4 accept; };
  }
  table inet b {
    chain in { type filter hook input priority 10; policy accept; udp dport { 1, 2 } accept; udp dport 3 drop; };
    chain pre { type filter hook prerouting priority -200; policy accept; udp dport 5 drop; udp dport 6 accept; };
  })");
  start();
  EXPECT_EQ(decided_in(udp(1)), "accept local_in 10 b in 1 ACCEPT [udp dport { 1, 2 }]");
  EXPECT_EQ(decided_in(udp(2)), "accept local_in 10 b in 1 ACCEPT [udp dport { 1, 2 }]");
  EXPECT_EQ(decided_in(udp(3)), "drop local_in 10 b in 2 DROP [udp dport 3]");
  EXPECT_EQ(decided_in(udp(4)), "accept local_in 10 b in - policy []");
  EXPECT_EQ(decided_in(udp(5)), "drop pre_routing -200 b pre 1 DROP [udp dport 5]");
  EXPECT_EQ(decided_in(udp(6)), "accept local_in 10 b in - policy []");
}

TEST_F(RuleTracerTest, IptablesInput) {
  iptables({"-N", "USER"});
  iptables({"-A", "USER", "-p", "udp", "-j", "DROP"});
  iptables({"-A", "INPUT", "-p", "tcp", "--dport", "443", "-j", "ACCEPT"});
  iptables({"-A", "INPUT", "-p", "tcp", "--dport", "444", "-j", "REJECT", "--reject-with", "tcp-reset"});
  iptables({"-A", "INPUT", "-p", "udp", "--dport", "1", "-j", "REJECT"});
  iptables({"-A", "INPUT", "-p", "udp", "--dport", "2", "-j", "USER"});
  iptables({"-A", "INPUT", "-i", "veth0", "-s", "10.77.0.0/24", "-p", "udp", "--dport", "3", "-m", "comment",
            "--comment", "it's \"fine\"\n2  0 0 ACCEPT */", "-j", "ACCEPT"});
  iptables({"-A", "INPUT", "-p", "udp", "--dport", "4", "-j", "NFQUEUE", "--queue-num", "9", "--queue-bypass"});
  iptables({"-A", "INPUT", "!", "-s", "10.0.0.0/24", "-p", "icmp", "-j", "ACCEPT"});
  iptables({"-P", "INPUT", "DROP"});
  ip6tables({"-A", "INPUT", "-p", "tcp", "--dport", "443", "-j", "ACCEPT"});
  ip6tables({"-A", "INPUT", "-s", "fd77::/64", "-p", "icmpv6", "-j", "DROP"});
  start();
  EXPECT_EQ(decided_in(tcp(443)), "accept local_in 0 filter INPUT 1 ACCEPT [tcp dpt:443]");
  EXPECT_EQ(decided_in(tcp(444)), "reject local_in 0 filter INPUT 2 REJECT [tcp dpt:444 reject-with tcp-reset]");
  EXPECT_EQ(decided_in(udp(1)),
            "reject local_in 0 filter INPUT 3 REJECT [udp dpt:1 reject-with icmp-port-unreachable]");
  EXPECT_EQ(decided_in(udp(2)), "drop local_in 0 filter USER 1 DROP [udp]");
  EXPECT_EQ(decided_in(udp(3)),
            "accept local_in 0 filter INPUT 5 ACCEPT "
            "[in:veth0 src:10.77.0.0/24 udp dpt:3 /* it's \"fine\" 2 0 0 ACCEPT */ */]");
  EXPECT_EQ(decided_in(udp(4)), "queue local_in 0 filter INPUT 6 NFQUEUE [udp dpt:4 NFQUEUE num 9 bypass]");
  EXPECT_EQ(decided_in(tuple(kThere4, 0, kHere4, kEcho4, IPPROTO_ICMP)),
            "accept local_in 0 filter INPUT 7 ACCEPT [src:!10.0.0.0/24 icmp]");
  EXPECT_EQ(decided_in(udp(5)), "drop local_in 0 filter INPUT - policy []");
  EXPECT_EQ(decided_in(tcp6(443)), "accept local_in 0 filter INPUT 1 ACCEPT [tcp dpt:443]");
  EXPECT_EQ(decided_in(tuple(kThere6, 0, kHere6, kEcho6, IPPROTO_ICMPV6)),
            "drop local_in 0 filter INPUT 2 DROP [src:fd77::/64 ipv6-icmp]");
}

TEST_F(RuleTracerTest, RulesChange) {
  nft("table ip t { chain in { type filter hook input priority 0; udp dport 1 accept; udp dport 2 accept\n}\n}");
  start();
  const auto one = udp(1), two = udp(2);
  EXPECT_EQ(decided_in(one), "accept local_in 0 t in 1 ACCEPT [udp dport 1]");
  EXPECT_EQ(decided_in(two), "accept local_in 0 t in 2 ACCEPT [udp dport 2]");
  nft("insert rule ip t in udp dport 3 drop");
  run_for(*tracer, 0.3);
  EXPECT_EQ(say(tracer->find(in(one))), "accept local_in 0 t in 2 ACCEPT [udp dport 1]");
  EXPECT_EQ(decided_in(udp(3)), "drop local_in 0 t in 1 DROP [udp dport 3]");
  nft("flush chain ip t in\nadd rule ip t in udp dport 2 drop");
  run_for(*tracer, 0.3);
  EXPECT_EQ(say(tracer->find(in(one))), "none");
  EXPECT_EQ(say(tracer->find(in(two))), "none");
  EXPECT_EQ(decided_in(udp(2)), "drop local_in 0 t in 1 DROP [udp dport 2]");
  // the same handles, for other rules
  nft("delete table ip t\n"
      "table ip t { chain in { type filter hook input priority 0; udp dport 4 accept; udp dport 2 drop\n}\n}");
  const auto three = udp(4);
  EXPECT_EQ(decided_in(three), "accept local_in 0 t in 1 ACCEPT [udp dport 4]");
  nft("delete table ip t\n"
      "table ip t { chain in { type filter hook input priority 0; udp dport 5 accept; udp dport 6 drop\n}\n}");
  run_for(*tracer, 0.3);
  EXPECT_EQ(say(tracer->find(in(three))), "none");
  EXPECT_EQ(decided_in(udp(5)), "accept local_in 0 t in 1 ACCEPT [udp dport 5]");
  // a chain of the same name at another priority
  nft("flush chain ip t in\ndelete chain ip t in\n"
      "add chain ip t in { type filter hook input priority 7; policy accept; }");
  const auto four = udp(5);
  EXPECT_EQ(decided_in(four), "accept local_in 7 t in - policy []");
  nft("flush ruleset");
  run_for(*tracer, 0.1);
  EXPECT_EQ(say(tracer->find(in(four))), "none");
  EXPECT_EQ(decided_in(udp(5), 0.3), "none");
}

// Tables are made anew all the time, with the same handles for other rules: whatever is said names the packet's port.
TEST_F(RuleTracerTest, NeverAWrongRule) {
  RuleTracerOptions options;
  options.rate = 5000;
  start(options);
  std::vector<Tuple> sent;
  int known = 0;
  const auto check = [&] {
    for (const auto& flow : sent) {
      const Rule* rule = tracer->find(in(flow));
      if (rule == nullptr) continue;
      ++known;
      EXPECT_EQ(rule->match_info, "udp dport " + std::to_string(flow.dst_port));
    }
  };
  for (int round = 0; round < 60; ++round) {
    std::string rules;
    for (int i = 0; i < 8; ++i)
      rules += "udp dport " + std::to_string((i * 3 + round) % 8 + 1) + (i % 2 == 0 ? " accept\n" : " drop\n");
    nft((round == 0 ? "" : "delete table ip t\n") +
        std::string("table ip t { chain in { type filter hook input priority 0;\n") + rules + "}\n}");
    sent.clear();
    for (std::uint16_t port = 1; port <= 8; ++port) {
      sent.push_back(udp(port));
      send_there(sent.back());
      if ((port + round) % 3 == 0) tracer->read();
      check();
    }
    run_for(*tracer, round % 4 == 0 ? 0.15 : 0.01);
    check();
  }
  EXPECT_GT(known, 100);
}

TEST_F(RuleTracerTest, ConntrackStaysOff) {
  nft("table ip t { chain in { type filter hook input priority 0; udp dport 1 accept\n}\n}");
  start();
  EXPECT_NE(decided_in(udp(1)), "none");
  EXPECT_NE(decided_in(udp(2)), "none");
  std::ifstream file("/proc/sys/net/netfilter/nf_conntrack_count");
  int count = 0;
  file >> count;
  EXPECT_EQ(count, 0);
}

}  // namespace
}  // namespace fffa::ebpf
