// SPDX-License-Identifier: MIT
// The tracer beside others: its table, its limits, what is asked for, what is missing.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>

#include "bounded_command.h"
#include "fffa/detail/descriptor.h"
#include "hook_table.h"
#include "tracing_test.h"

namespace fffa::ebpf {
namespace {

using RuleTracerLife = TracingTest;

bool table_exists(const std::string& name) {
  return output_of({"/usr/sbin/nft", "list", "table", "inet", name}, std::chrono::seconds(5), 1 << 20).ok();
}

// Of two instances in one namespace each has its own.
TEST_F(RuleTracerLife, HooksAreHeldByASecondOneAsWell) {
  auto first = HookTable::make();
  ASSERT_TRUE(first) << first.error().message;
  const auto second = HookTable::make();
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_TRUE(table_exists("fffa_hooks"));
  EXPECT_TRUE(table_exists("fffa_hooks_2"));
  first->reset();
  EXPECT_FALSE(table_exists("fffa_hooks"));
}

TEST_F(RuleTracerLife, TheTableGoesWithTheProcess) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Descriptor reading(ends[0]), writing(ends[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto started = RuleTracer::start({}, messages);
    const char said = started ? 'y' : 'n';
    [[maybe_unused]] const auto written = ::write(writing.get(), &said, 1);
    for (;;) ::pause();
  }
  char said = 0;
  ASSERT_EQ(::read(reading.get(), &said, 1), 1);
  EXPECT_EQ(said, 'y');
  EXPECT_TRUE(table_exists("fffa"));
  nft("flush ruleset");
  EXPECT_TRUE(table_exists("fffa"));
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(table_exists("fffa"));
}

TEST_F(RuleTracerLife, AnotherNameWhereItIsTaken) {
  nft("table inet fffa { chain in { type filter hook input priority 0; udp dport 1 accept\n}\n}");
  start();
  EXPECT_EQ(tracer->table(), "fffa_2");
  EXPECT_EQ(decided_in(udp(1)), "accept local_in 0 fffa in 1 ACCEPT [udp dport 1]");
}

TEST_F(RuleTracerLife, TwoOfThem) {
  start();
  auto other = RuleTracer::start({}, messages);
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_EQ((*other)->table(), "fffa_2");
  EXPECT_EQ(decided_in(udp(1), 0.3), "none");
  EXPECT_EQ(decided_out(tuple(kHere4, 4000, kThere4, 54, IPPROTO_UDP), 0.3), "none");
  nft("table inet t { chain in { type filter hook input priority 0; udp dport 1 drop\n}\n}");
  const auto flow = udp(1);
  EXPECT_EQ(decided_in(flow), "drop local_in 0 t in 1 DROP [udp dport 1]");
  EXPECT_EQ(say(wait_for(**other, in(flow))), "drop local_in 0 t in 1 DROP [udp dport 1]");
}

TEST_F(RuleTracerLife, KeepsTheRate) {
  nft("table inet t { chain in { type filter hook input priority 0; meta l4proto udp drop\n}\n}");
  RuleTracerOptions options;
  options.rate = 20;
  start(options);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 500; ++i) send_there(udp(1));
  run_for(*tracer, 0.5);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(tracer->stats().packets, 10U);
  EXPECT_LE(tracer->stats().packets, static_cast<std::uint64_t>(20 * (taken.count() + 1)) + 1);
}

TEST_F(RuleTracerLife, OldestFlowsAreForgotten) {
  nft("table inet t { chain in { type filter hook input priority 0; meta l4proto udp drop\n}\n}");
  RuleTracerOptions options;
  options.max_flows = 2;
  start(options);
  const auto one = udp(1), two = udp(1), three = udp(1);
  EXPECT_NE(decided_in(one), "none");
  EXPECT_NE(decided_in(two), "none");
  EXPECT_NE(say(tracer->find(in(one))), "none");
  EXPECT_NE(decided_in(three), "none");
  EXPECT_EQ(say(tracer->find(in(two))), "none");
  EXPECT_NE(say(tracer->find(in(one))), "none");
}

TEST_F(RuleTracerLife, WantedFlowsAreTraced) {
  nft(R"(table inet t { chain in { type filter hook input priority 0;
    meta l4proto udp drop; icmp type echo-request drop; icmpv6 type echo-request drop;
}
})");
  start();
  for (const auto& flow : {udp(1), udp6(1), tuple(kThere4, 0, kHere4, kEcho4, IPPROTO_ICMP),
                           tuple(kThere6, 0, kHere6, kEcho6, IPPROTO_ICMPV6)}) {
    const std::string first = decided_in(flow);
    EXPECT_NE(first, "none");
    tracer->forget(in(flow));
    EXPECT_EQ(decided_in(flow, 0.1), "none");  // only the first packet is traced
    tracer->want(in(flow));
    run_for(*tracer, 0.2);
    EXPECT_EQ(decided_in(flow), first);
    tracer->forget(in(flow));
    EXPECT_EQ(decided_in(flow, 0.1), "none");  // asked for once, traced once
  }
}

// A connection of the test's, made before the tracer.
struct Connection {
  Connection(const integration::VethPair& veth, const Tuple& flow)
      : listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(flow.dst_port);
    if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) std::abort();
    ::listen(listener.get(), 1);
    const Netns::Inside peer(veth.there);
    client = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in from{};
    from.sin_family = AF_INET;
    from.sin_port = htons(flow.src_port);
    if (::bind(client.get(), reinterpret_cast<sockaddr*>(&from), sizeof from) != 0) std::abort();
    std::copy_n(flow.dst.begin(), 4, reinterpret_cast<std::uint8_t*>(&address.sin_addr));
    if (::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) std::abort();
  }
  void send() const { EXPECT_EQ(::send(client.get(), "x", 1, 0), 1); }
  Descriptor listener;
  Descriptor client;
};

TEST_F(RuleTracerLife, WantedConnectionsThatAreOlder) {
  nft("table inet t { chain in { type filter hook input priority 0; tcp dport 443 accept\n}\n}");
  const auto flow = tcp(443);
  const Connection connection(veth, flow);
  start();
  connection.send();
  EXPECT_EQ(say(wait_for(*tracer, in(flow), 0.2)), "none");
  tracer->want(in(flow));
  run_for(*tracer, 0.2);
  connection.send();
  EXPECT_EQ(say(wait_for(*tracer, in(flow))), "accept local_in 0 t in 1 ACCEPT [tcp dport 443]");
}

TEST_F(RuleTracerLife, SampledPackets) {
  nft("table inet t { chain in { type filter hook input priority 0; meta l4proto udp drop\n}\n}");
  RuleTracerOptions options;
  options.mode = RuleTracerOptions::Mode::sampled;
  start(options);
  const auto flow = udp(1);
  for (int i = 0; i < 2000; ++i) send_there(flow);
  EXPECT_EQ(say(wait_for(*tracer, in(flow))), "drop local_in 0 t in 1 DROP [meta l4proto udp]");
  EXPECT_LT(tracer->stats().packets, 100U);
}

TEST_F(RuleTracerLife, CommentsOfAnyBytes) {
  nft("table ip t {\n comment \"of the table\"\n chain in {\n comment \"udp drop # handle 3\"\n"
      "type filter hook input priority 0;\n"
      "udp dport 1 accept comment \"a \\ b\n\t\tdrop # handle 4\"\n"
      "udp dport 2 accept comment \"\xff\xfe {x} \xe2\x82\xac\"\n"
      "udp dport 3 log prefix \"accept drop \" drop\n"
      "}\n}");
  start();
  EXPECT_EQ(decided_in(udp(1)), "accept local_in 0 t in 1 ACCEPT [udp dport 1 comment \"a \\ b drop # handle 4\"]");
  EXPECT_EQ(decided_in(udp(2)),
            "accept local_in 0 t in 2 ACCEPT [udp dport 2 comment \"\xef\xbf\xbd\xef\xbf\xbd {x} \xe2\x82\xac\"]");
  EXPECT_EQ(decided_in(udp(3)), "drop local_in 0 t in 3 DROP [udp dport 3]");
}

TEST_F(RuleTracerLife, IptablesCommentsOfAnyBytes) {
  iptables({"-A", "INPUT", "-p", "udp", "--dport", "4", "-m", "comment", "--comment",
            "\xff\n3        0     0 ACCEPT     17   --  *      *", "-j", "DROP"});
  iptables({"-A", "INPUT", "-p", "udp", "--dport", "5", "-m", "comment", "--comment", "\\\"\t'", "-j", "DROP"});
  start();
  EXPECT_EQ(decided_in(udp(4)),
            "drop local_in 0 filter INPUT 1 DROP "
            "[udp dpt:4 /* \xef\xbf\xbd 3 0 0 ACCEPT 17 -- * * */]");
  EXPECT_EQ(decided_in(udp(5)), "drop local_in 0 filter INPUT 2 DROP [udp dpt:5 /* \\\" ' */]");
}

TEST_F(RuleTracerLife, WithoutPrivilegesItIsUnavailable) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(9);
    const auto started = RuleTracer::start({}, messages);
    const bool said = !started && started.error().disposition == Disposition::unavailable &&
                      started.error().message.find("CAP_NET_ADMIN") != std::string::npos;
    ::_exit(said ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(RuleTracerLife, LegacyTablesAreNoticed) {
  EXPECT_FALSE(has_legacy_iptables());
}

}  // namespace
}  // namespace fffa::ebpf
