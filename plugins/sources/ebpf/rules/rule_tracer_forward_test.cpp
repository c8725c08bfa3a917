// SPDX-License-Identifier: MIT
// Forwarded packets, translated and not.
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <fstream>

#include "tracing_test.h"

namespace fffa::ebpf {
namespace {

constexpr const char* kServer4 = "10.78.0.2";
constexpr const char* kServer6 = "fd78::2";

// `there` is the client, `here` the router, behind it a server.
class RuleTracerForward : public TracingTest {
 protected:
  RuleTracerForward() {
    veth.here.ip("link add veth1 type veth peer name srv0 netns " + server.name());
    veth.here.ip("address add 10.78.0.1/24 dev veth1");
    veth.here.ip("address add fd78::1/64 nodad dev veth1");
    veth.here.ip("link set veth1 up");
    server.ip("address add 10.78.0.2/24 dev srv0");
    server.ip("address add fd78::2/64 nodad dev srv0");
    server.ip("link set srv0 up");
    server.ip("route add default via 10.78.0.1");
    server.ip("-6 route add default via fd78::1");
    veth.there.ip("route add default via 10.77.0.1");
    veth.there.ip("-6 route add default via fd77::1");
    std::ofstream("/proc/sys/net/ipv4/ip_forward") << "1";
    std::ofstream("/proc/sys/net/ipv6/conf/all/forwarding") << "1";
  }
  static Tuple to4(std::uint16_t port, std::uint8_t protocol) {
    return tuple(kThere4, 30000, kServer4, port, protocol);
  }
  static Tuple to6(std::uint16_t port, std::uint8_t protocol) {
    return tuple(kThere6, 30000, kServer6, port, protocol);
  }

  Netns server{"server"};
};

TEST_F(RuleTracerForward, Iptables) {
  iptables({"-P", "FORWARD", "DROP"});
  iptables({"-A", "FORWARD", "-p", "udp", "--dport", "53", "-j", "DROP"});
  iptables({"-A", "FORWARD", "-i", "veth0", "-o", "veth1", "-p", "tcp", "--dport", "22", "-j", "REJECT"});
  iptables({"-A", "FORWARD", "-p", "tcp", "--dport", "443", "-j", "ACCEPT"});
  ip6tables({"-A", "FORWARD", "-p", "udp", "--dport", "53", "-j", "ACCEPT"});
  start();
  EXPECT_EQ(decided_in(to4(443, IPPROTO_TCP)), "accept forward 0 filter FORWARD 3 ACCEPT [tcp dpt:443]");
  EXPECT_EQ(decided_in(to4(53, IPPROTO_UDP)), "drop forward 0 filter FORWARD 1 DROP [udp dpt:53]");
  EXPECT_EQ(decided_in(to4(22, IPPROTO_TCP)),
            "reject forward 0 filter FORWARD 2 REJECT "
            "[in:veth0 out:veth1 tcp dpt:22 reject-with icmp-port-unreachable]");
  EXPECT_EQ(decided_in(to4(5, IPPROTO_UDP)), "drop forward 0 filter FORWARD - policy []");
  EXPECT_EQ(decided_in(to6(53, IPPROTO_UDP)), "accept forward 0 filter FORWARD 1 ACCEPT [udp dpt:53]");
  EXPECT_EQ(decided_in(to6(54, IPPROTO_UDP)), "accept forward 0 filter FORWARD - policy []");
}

TEST_F(RuleTracerForward, Nft) {
  nft(R"(table inet t {
    chain web { tcp dport 80 drop; tcp dport 443 accept; }
    chain forw {
      type filter hook forward priority 0; policy drop;
      meta l4proto tcp jump web
      iifname "veth0" udp dport 53 accept
      icmp type echo-request reject with icmp admin-prohibited
    }
    chain post { type filter hook postrouting priority 0; policy accept; udp dport 53 ip6 version 6 drop; }
  })");
  start();
  EXPECT_EQ(decided_in(to4(80, IPPROTO_TCP)), "drop forward 0 t web 1 DROP [tcp dport 80]");
  EXPECT_EQ(decided_in(to6(443, IPPROTO_TCP)), "accept forward 0 t web 2 ACCEPT [tcp dport 443]");
  EXPECT_EQ(decided_in(to4(53, IPPROTO_UDP)), "accept forward 0 t forw 2 ACCEPT [iifname \"veth0\" udp dport 53]");
  EXPECT_EQ(decided_in(to6(53, IPPROTO_UDP)), "drop post_routing 0 t post 1 DROP [udp dport 53 ip6 version 6]");
  EXPECT_EQ(decided_in(tuple(kThere4, 0, kServer4, kEcho4, IPPROTO_ICMP)),
            "reject forward 0 t forw 3 REJECT [icmp type echo-request]");
  EXPECT_EQ(decided_in(to4(81, IPPROTO_TCP)), "drop forward 0 t forw - policy []");
}

// The client's packets are known as it sent them, the server's answers as it sent those.
TEST_F(RuleTracerForward, DnatAndMasquerade) {
  iptables({"-t", "nat", "-A", "PREROUTING", "-d", kHere4, "-p", "udp", "--dport", "1053", "-j", "DNAT",
            "--to-destination", "10.78.0.2:53"});
  iptables({"-t", "nat", "-A", "POSTROUTING", "-o", "veth1", "-j", "MASQUERADE"});
  iptables({"-A", "FORWARD", "-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "ACCEPT"});
  iptables({"-A", "FORWARD", "-p", "udp", "-d", kServer4, "--dport", "53", "-j", "ACCEPT"});
  iptables({"-A", "FORWARD", "-p", "udp", "--dport", "54", "-j", "DROP"});
  start();
  const Tuple request = tuple(kThere4, 30001, kHere4, 1053, IPPROTO_UDP);
  EXPECT_EQ(decided_in(request), "accept forward 0 filter FORWARD 2 ACCEPT [dst:10.78.0.2 udp dpt:53]");
  EXPECT_EQ(decided_in(tuple(kThere4, 30002, kServer4, 54, IPPROTO_UDP)),
            "drop forward 0 filter FORWARD 3 DROP [udp dpt:54]");
  const Tuple answer = tuple(kServer4, 53, "10.78.0.1", 30001, IPPROTO_UDP);
  {
    const Netns::Inside peer(server);
    send(answer);
  }
  EXPECT_EQ(say(wait_for(*tracer, {answer, interface_index("veth1")})),
            "accept forward 0 filter FORWARD 1 ACCEPT [ctstate ESTABLISHED]");
}

TEST_F(RuleTracerForward, NftDnatAndMasquerade) {
  nft(R"(table inet n {
    chain pre { type nat hook prerouting priority -100; ip daddr 10.77.0.1 tcp dport 8443 dnat ip to 10.78.0.2:443; }
    chain post { type nat hook postrouting priority 100; oifname "veth1" masquerade; }
    chain forw { type filter hook forward priority 0; policy drop; ct status dnat accept; }
  })");
  start();
  EXPECT_EQ(decided_in(tuple(kThere4, 30003, kHere4, 8443, IPPROTO_TCP)),
            "accept forward 0 n forw 1 ACCEPT [ct status dnat]");
  EXPECT_EQ(decided_in(to4(443, IPPROTO_TCP)), "drop forward 0 n forw - policy []");
}

TEST_F(RuleTracerForward, RawAndMangleOnlyWhenTheyDrop) {
  iptables({"-t", "raw", "-A", "PREROUTING", "-p", "udp", "--dport", "1", "-j", "DROP"});
  iptables({"-t", "raw", "-A", "PREROUTING", "-p", "udp", "--dport", "2", "-j", "ACCEPT"});
  iptables({"-t", "mangle", "-A", "FORWARD", "-p", "udp", "--dport", "3", "-j", "DROP"});
  iptables({"-t", "mangle", "-A", "FORWARD", "-p", "udp", "--dport", "2", "-j", "ACCEPT"});
  iptables({"-A", "FORWARD", "-p", "udp", "--dport", "2"});
  start();
  EXPECT_EQ(decided_in(to4(1, IPPROTO_UDP)), "drop pre_routing -300 raw PREROUTING 1 DROP [udp dpt:1]");
  EXPECT_EQ(decided_in(to4(3, IPPROTO_UDP)), "drop forward -150 mangle FORWARD 1 DROP [udp dpt:3]");
  EXPECT_EQ(decided_in(to4(2, IPPROTO_UDP)), "accept forward 0 filter FORWARD - policy []");
}

}  // namespace
}  // namespace fffa::ebpf
