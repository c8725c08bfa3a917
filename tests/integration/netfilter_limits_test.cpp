// SPDX-License-Identifier: MIT
// Where netfilter's records end: other namespaces, more connections than can be traced, missing rights, a killed
// process, packets that no firewall dropped.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "firewall.h"
#include "netfilter_run.h"
#include "queue_listener.h"

namespace fffa::integration {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr int kCapPerfmon = 38;
constexpr int kCapSysAdmin = 21;

Tuple forwarded(Family family, std::uint16_t src_port, std::uint16_t dst_port) {
  return {RoutedPath::client_address(family), src_port, RoutedPath::server_address(family), dst_port};
}

void load_forward(const Firewall& firewall, std::vector<Rule> rules, bool accepts) {
  firewall.load(Family::ip4, {"filter", {{"FORWARD", std::move(rules), "filter", "forward", 0, accepts}}});
}
Rule raw(std::string text) {
  Rule rule;
  rule.raw = std::move(text);
  return rule;
}

unsigned index_of(const Netns& netns, const char* interface) {
  const Netns::Inside inside(netns);
  return ::if_nametoindex(interface);
}

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(NetfilterLimits, OtherNamespacesAreNotHeardOf) {
  const RoutedPath path;
  const RoutedPath others[] = {RoutedPath("a-"), RoutedPath("b-")};
  for (const auto& other : others) {
    // the same in every number that a packet carries
    ASSERT_EQ(index_of(other.router, "cl0"), index_of(path.router, "cl0"));
    ASSERT_EQ(index_of(other.router, "sv0"), index_of(path.router, "sv0"));
    load_forward(Firewall(other.router, Dialect::iptables), {}, false);
  }
  NetfilterRun run(path.router);
  const Responder server(path.server, {}, {4000});
  for (int i = 0; i < 5; ++i) {
    send_udp(path.client, forwarded(Family::ip4, 40000, 4000), 10);
    for (const auto& other : others) {
      send_udp(other.client, forwarded(Family::ip4, 40000, 4000), 10);
      send_udp(other.client, forwarded(Family::ip4, 40001, 4000), 10);
      send_udp(other.router,
               {RoutedPath::far_address(Family::ip4), 40000, RoutedPath::server_address(Family::ip4), 4000}, 10);
    }
  }
  std::this_thread::sleep_for(told());
  const RunRecords all = run.stop();
  std::size_t flows = 0;
  for (const auto& [flow, records] : all.by_flow()) {
    if (!flow.starts_with("UDP ")) continue;  // the kernel's own multicast reports
    ++flows;
    EXPECT_EQ(records.sum("packets"), 50u) << flow;
    EXPECT_EQ(records.sum("netfilter_accepts"), 50u) << flow;
    EXPECT_EQ(records.sum("netfilter_drops"), 0u) << flow;
    EXPECT_EQ(records.sum("drops"), 0u) << flow;
    EXPECT_EQ(records.last("netfilter_verdict"), "ACCEPT") << flow;
  }
  EXPECT_EQ(flows, 2u) << "the flow where it comes in and where it goes out";
}

// Peak resident memory, in MiB.
std::size_t peak_memory(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;) {
    std::size_t kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib / 1024;
  }
  return 0;
}

TEST(NetfilterLimits, FarMoreConnectionsThanCanBeTraced) {
  constexpr std::size_t kSources = 1000;
  constexpr std::size_t kPorts = 100;
  constexpr std::size_t kTraceRate = 200;
  const RoutedPath path;
  const Firewall firewall(path.router, Dialect::iptables);
  load_forward(firewall, {raw("-p udp --dport 4000:4049 -j ACCEPT"), raw("-p udp --dport 4050:4099 -j DROP")}, false);
  // an address behind the router that the server takes for somebody else's: it answers nothing
  const std::string silent = "10.78.2.9";
  path.router.ip("neighbour replace " + silent + " lladdr 02:00:00:78:02:02 nud permanent dev sv0");
  NetfilterRun run(path.router, {.netfilter = "{rate: " + std::to_string(kTraceRate) + "}",
                                 .window = "1s",
                                 .source = "table_size: 524288, ",
                                 .cache = "max_memory: 256MiB, "});
  const auto began = std::chrono::steady_clock::now();
  const std::size_t sent = send_udp_burst(path.client, {RoutedPath::client_address(Family::ip4), 20000, silent, 4000},
                                          kSources, kPorts, 50'000);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::this_thread::sleep_for(told());
  const std::size_t memory = peak_memory(run.process().pid());
  const RunRecords all = run.stop();
  const ChainCounts counts = firewall.counts(Family::ip4, "filter", "FORWARD");
  std::cout << sent << " connections in " << took.count() << " s, peak memory " << memory << " MiB" << std::endl;
  EXPECT_EQ(all.udp_sum("netfilter_accepts", "ingress", "cl0"), counts.rules.at(0).packets);
  EXPECT_EQ(all.udp_sum("netfilter_accepts", "egress", "sv0"), counts.rules.at(0).packets);
  EXPECT_EQ(all.udp_sum("netfilter_drops", "ingress", "cl0"), counts.rules.at(1).packets);
  EXPECT_EQ(all.udp_sum("refused_packets", "ingress", "cl0"), counts.rules.at(1).packets);
  EXPECT_EQ(all.udp_sum("refused_bytes", "ingress", "cl0"), counts.rules.at(1).bytes);
  EXPECT_GT(counts.rules.at(1).packets, sent / 3);
  std::size_t traced = 0;
  for (const auto& [flow, records] : all.by_flow()) {
    if (!records.values("netfilter_rule_num").empty()) ++traced;
  }
  EXPECT_GT(traced, 10u);
  EXPECT_LT(static_cast<double>(traced), 2 * kTraceRate * (took.count() + 3)) << "both records of a connection";
#ifndef __SANITIZE_ADDRESS__  // which keeps what was freed
  EXPECT_LT(memory, 256u);
#endif
}

// A port scan: closed ports answer with resets, between packets of the same sender that are dropped without a word.
TEST(NetfilterLimits, AnAnswerToAnotherConnectionRefusesNothing) {
  constexpr std::uint16_t kClosed = 5000, kDropped = 5001, kRejected = 5002;
  constexpr std::size_t kTimes = 50;
  const RoutedPath path;
  const Firewall firewall(path.router, Dialect::iptables);
  firewall.load(Family::ip4,
                {"filter",
                 {{"INPUT",
                   {raw("-p tcp --dport 5001 -j DROP"), raw("-p tcp --dport 5002 -j REJECT --reject-with tcp-reset")},
                   "filter",
                   "input"}}});
  NetfilterRun run(path.router, {.netfilter = "{rules: off}"});
  const auto flow = [](std::uint16_t port) {
    return Tuple{RoutedPath::client_address(Family::ip4), 40000, RoutedPath::near_address(Family::ip4), port};
  };
  for (std::size_t i = 0; i < kTimes; ++i) {
    for (const auto port : {kClosed, kDropped, kRejected}) try_tcp(path.client, flow(port), 1);
  }
  std::this_thread::sleep_for(told());
  const RunRecords all = run.stop();
  const auto of = [&](std::uint16_t port) { return all.of("TCP", flow(port), "ingress", "cl0"); };
  EXPECT_EQ(of(kClosed).sum("netfilter_accepts"), kTimes);
  EXPECT_EQ(of(kDropped).sum("netfilter_drops"), kTimes);
  EXPECT_EQ(of(kDropped).sum("netfilter_rejects"), 0u);
  EXPECT_EQ(of(kRejected).sum("netfilter_rejects"), kTimes);
}

// The same by UDP, where the answers are ICMP errors.
TEST(NetfilterLimits, AnIcmpErrorAboutAnotherPacketRefusesNothing) {
  constexpr std::uint16_t kClosed = 5000, kDropped = 5001, kRejected = 5002;
  constexpr std::size_t kTimes = 50;
  const RoutedPath path;
  set_sysctl(path.router, "net/ipv4/icmp_ratelimit", "0");
  const Firewall firewall(path.router, Dialect::iptables);
  firewall.load(
      Family::ip4,
      {"filter",
       {{"INPUT", {raw("-p udp --dport 5001 -j DROP"), raw("-p udp --dport 5002 -j REJECT")}, "filter", "input"}}});
  NetfilterRun run(path.router, {.netfilter = "{rules: off}"});
  const auto flow = [](std::uint16_t port) {
    return Tuple{RoutedPath::client_address(Family::ip4), 40000, RoutedPath::near_address(Family::ip4), port};
  };
  for (std::size_t i = 0; i < kTimes; ++i) {
    for (const auto port : {kClosed, kDropped, kRejected}) send_udp(path.client, flow(port), 1);
  }
  std::this_thread::sleep_for(told());
  const RunRecords all = run.stop();
  const auto of = [&](std::uint16_t port) { return all.of("UDP", flow(port), "ingress", "cl0"); };
  EXPECT_EQ(of(kClosed).sum("netfilter_accepts"), kTimes);
  EXPECT_EQ(of(kDropped).sum("netfilter_drops"), kTimes);
  EXPECT_EQ(of(kDropped).sum("netfilter_rejects"), 0u);
  EXPECT_EQ(of(kRejected).sum("netfilter_rejects"), kTimes);
}

// Without it the verifier refuses all our programs: said once, by name.
TEST(NetfilterLimits, WithoutPerfmonItSaysSoOnce) {
  const RoutedPath path;
  FffaProcess fffa(path.router,
                   "sources:\n  capture: {type: ebpf, interfaces: [cl0]}\n"
                   "sinks:\n  out: {type: stdout, inputs: [capture], format: json}\n",
                   {.without_capabilities = {kCapPerfmon, kCapSysAdmin}});
  EXPECT_EQ(fffa.wait(), 3);
  EXPECT_EQ(occurrences(fffa.log(), "missing CAP_PERFMON"), 1u) << fffa.log();
}

// Two of them on one machine find room for both their hooks, and one may have no table of its own to trace with.
TEST(NetfilterLimits, ASecondOneCountsTheSame) {
  if (kernel_version() < 606)
    GTEST_SKIP() << "TC filters have one place before kernel 6.6: a second fffa is refused there";
  const RoutedPath path;
  const Firewall firewall(path.router, Dialect::iptables);
  load_forward(firewall, {raw("-p udp --dport 4000 -j ACCEPT"), raw("-p udp --dport 4001 -j DROP")}, true);
  const Responder server(path.server, {}, {4000});
  NetfilterRun first(path.router);
  NetfilterRun second(path.router);
  send_udp(path.client, forwarded(Family::ip4, 40000, 4000), 10);
  send_udp(path.client, forwarded(Family::ip4, 40000, 4001), 10);
  std::this_thread::sleep_for(told());
  for (auto* run : {&first, &second}) {
    const RunRecords all = run->stop();
    const FlowRecords accepted = all.of("UDP", forwarded(Family::ip4, 40000, 4000), "ingress", "cl0");
    const FlowRecords dropped = all.of("UDP", forwarded(Family::ip4, 40000, 4001), "ingress", "cl0");
    EXPECT_EQ(accepted.sum("netfilter_accepts"), 10u) << run->process().log();
    EXPECT_EQ(dropped.sum("netfilter_drops"), 10u) << run->process().log();
    EXPECT_EQ(dropped.last("netfilter_verdict"), "DROP");
    // its rule, or none
    for (const auto& number : dropped.values("netfilter_rule_num")) EXPECT_EQ(number, 2);
  }
}

// By default: netfilter where the kernel allows, and nothing of it where there is no rule.
TEST(NetfilterLimits, WithoutRulesThereAreVerdictsAndNothingIsSwitchedOn) {
  const RoutedPath path;
  const Responder server(path.server, {443}, {4000});
  NetfilterRun run(path.router, {.netfilter = "", .hooks = ""});
  for (const Family family : {Family::ip4, Family::ip6}) {
    send_udp(path.client, forwarded(family, 40000, 4000), 10);
    talk_tcp(path.client, forwarded(family, 40443, 443));
  }
  std::this_thread::sleep_for(told());
  // with conntrack's hooks in place, those would be its connections
  EXPECT_EQ(get_sysctl(path.router, "net/netfilter/nf_conntrack_count"), "0");
  {
    const Netns::Inside inside(path.router);
    std::istringstream tables(output_of({"nft", "list", "tables"}));
    for (std::string line; std::getline(tables, line);) EXPECT_NE(line.find(" fffa"), std::string::npos) << line;
    EXPECT_EQ(output_of({"nft", "list", "ruleset"}).find("ct "), std::string::npos);
  }
  const RunRecords all = run.stop();
  for (const Family family : {Family::ip4, Family::ip6}) {
    const FlowRecords in = all.of("UDP", forwarded(family, 40000, 4000), "ingress", "cl0");
    EXPECT_EQ(in.sum("netfilter_accepts"), 10u);
    EXPECT_EQ(in.last("netfilter_verdict"), "ACCEPT");
    EXPECT_EQ(in.last("netfilter_hook"), "NF_INET_FORWARD");
    EXPECT_EQ(in.last("netfilter_table"), nullptr);
    EXPECT_EQ(in.last("netfilter_rule_num"), nullptr);
    EXPECT_EQ(in.last("nat_src_ip"), nullptr);
    const FlowRecords tcp = all.of("TCP", forwarded(family, 40443, 443), "ingress", "cl0");
    EXPECT_EQ(tcp.sum("netfilter_accepts"), tcp.sum("packets"));
  }
}

// `netfilter` not among the hooks: nothing of it is there.
TEST(NetfilterLimits, SwitchedOffItLeavesNoTrace) {
  const RoutedPath path;
  load_forward(Firewall(path.router, Dialect::iptables), {}, false);
  NetfilterRun run(path.router, {.netfilter = "", .hooks = "[ingress, egress]"});
  send_udp(path.client, forwarded(Family::ip4, 40000, 4000), 10);
  {
    const Netns::Inside inside(path.router);
    EXPECT_EQ(output_of({"nft", "list", "tables"}).find("fffa"), std::string::npos);
  }
  const FlowRecords records = run.stop().of("UDP", forwarded(Family::ip4, 40000, 4000), "ingress", "cl0");
  EXPECT_EQ(records.sum("packets"), 10u);
  for (const auto* field : {"netfilter_verdict", "netfilter_drops", "refused_packets", "drops", "drop_reason"})
    EXPECT_EQ(records.last(field), nullptr) << field;
}

// Ids of the BPF links that a process holds.
std::vector<std::uint32_t> links_of(pid_t pid) {
  std::vector<std::uint32_t> ids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fdinfo")) {
    std::ifstream info(entry.path());
    for (std::string word; info >> word;) {
      std::uint32_t id = 0;
      if (word == "link_id:" && info >> id) ids.push_back(id);
    }
  }
  return ids;
}

bool link_exists(std::uint32_t id) {
  const int fd = bpf_link_get_fd_by_id(id);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

TEST(NetfilterLimits, KilledItLeavesNeitherLinkNorTable) {
  const RoutedPath path;
  load_forward(Firewall(path.router, Dialect::iptables), {raw("-p udp --dport 4000 -j DROP")}, true);
  NetfilterRun run(path.router);
  send_udp(path.client, forwarded(Family::ip4, 40000, 4000), 10);
  const auto links = links_of(run.process().pid());
  EXPECT_GE(links.size(), 5u) << "two of each interface, and netfilter's";
  run.process().signal(SIGKILL);
  EXPECT_EQ(run.process().wait(), -SIGKILL);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  for (const auto id : links) {  // the kernel takes them away a moment later
    while (link_exists(id) && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(milliseconds(20));
    EXPECT_FALSE(link_exists(id));
  }
  const Netns::Inside inside(path.router);
  const std::string tables = output_of({"nft", "list", "tables"});
  EXPECT_EQ(tables.find("fffa"), std::string::npos) << tables;
  EXPECT_NE(tables.find("filter"), std::string::npos) << "others' tables stay: " << tables;
}

// The firewall lets them pass, and nobody listens.
TEST(NetfilterLimits, OtherDropsHaveTheirReasonAndAreNoRefusals) {
  const RoutedPath path;
  NetfilterRun run(path.router);
  for (const Family family : {Family::ip4, Family::ip6}) {
    const Tuple closed{RoutedPath::client_address(family), 40000, RoutedPath::near_address(family), 4999};
    send_udp(path.client, closed, 6);
    try_tcp(path.client, closed, 2);
  }
  std::this_thread::sleep_for(told());
  const RunRecords all = run.stop();
  for (const Family family : {Family::ip4, Family::ip6}) {
    const Tuple closed{RoutedPath::client_address(family), 40000, RoutedPath::near_address(family), 4999};
    for (const char* proto : {"UDP", "TCP"}) {
      const FlowRecords records = all.of(proto, closed, "ingress", "cl0");
      const std::uint64_t sent = std::string(proto) == "UDP" ? 6 : 2;
      EXPECT_EQ(records.last("drop_reason"), "NO_SOCKET") << proto;
      EXPECT_EQ(records.sum("drops"), sent) << proto;
      EXPECT_EQ(records.sum("netfilter_accepts"), sent) << proto;
      EXPECT_EQ(records.sum("netfilter_drops"), 0u) << proto;
      EXPECT_EQ(records.sum("refused_packets"), 0u) << proto;
    }
  }
}

// The kernel drops it between two hooks, and gives no reason. No rule does; with one that queues, packets are followed
// from hook to hook, and what is freed on the way is not always the firewall's doing.
TEST(NetfilterLimits, AGroupThatNobodyJoinedIsNoRefusal) {
  const RoutedPath path;
  path.client.ip("link set eth0 multicast on");
  path.client.ip("-6 route add multicast ff02::/16 dev eth0 table local");
  NetfilterRun run(path.router);
  for (const bool queues : {false, true}) {
    if (queues) {
      Firewall(path.router, Dialect::iptables)
          .load(
              Family::ip6,
              {"filter", {{"INPUT", {raw("-p udp --dport 9 -j NFQUEUE --queue-num 1")}, "filter", "input", 0, true}}});
      std::this_thread::sleep_for(told());
    }
    const Tuple nobody{RoutedPath::client_address(Family::ip6), 40000, queues ? "ff02::1235" : "ff02::1234", 4000};
    send_udp(path.client, nobody, 5);
    std::this_thread::sleep_for(told());
  }
  const RunRecords all = run.stop();
  for (const auto* group : {"ff02::1234", "ff02::1235"}) {
    const FlowRecords records =
        all.of("UDP", {RoutedPath::client_address(Family::ip6), 40000, group, 4000}, "ingress", "cl0");
    EXPECT_EQ(records.sum("packets"), 5u) << group;
    EXPECT_EQ(records.sum("drops"), 5u) << group;
    EXPECT_EQ(records.sum("netfilter_drops"), 0u) << group;
    EXPECT_EQ(records.sum("refused_packets"), 0u) << group;
    EXPECT_NE(records.last("netfilter_verdict"), "DROP") << group;
  }
}

// Not to look for rules is no reason to miss what a queue decided.
TEST(NetfilterLimits, QueuesAreFollowedWithoutRules) {
  const RoutedPath path;
  load_forward(
      Firewall(path.router, Dialect::iptables),
      {raw("-p udp --dport 4000 -j NFQUEUE --queue-num 1"), raw("-p udp --dport 4001 -j NFQUEUE --queue-num 2")}, true);
  const Responder server(path.server, {}, {4000});
  const QueueListener accepting(path.router, 1, QueueListener::Answer::accept);
  const QueueListener dropping(path.router, 2, QueueListener::Answer::drop);
  NetfilterRun run(path.router, {.netfilter = "{rules: off}"});
  send_udp(path.client, forwarded(Family::ip4, 40000, 4000), 6);
  send_udp(path.client, forwarded(Family::ip4, 40000, 4001), 7);
  std::this_thread::sleep_for(told());
  const RunRecords all = run.stop();
  const FlowRecords accepted = all.of("UDP", forwarded(Family::ip4, 40000, 4000), "ingress", "cl0");
  EXPECT_EQ(accepted.sum("netfilter_accepts"), 6u);
  EXPECT_EQ(accepted.sum("netfilter_queues"), 6u);
  const FlowRecords dropped = all.of("UDP", forwarded(Family::ip4, 40000, 4001), "ingress", "cl0");
  EXPECT_EQ(dropped.sum("netfilter_drops"), 7u);
  EXPECT_EQ(dropped.sum("netfilter_queues"), 7u);
  EXPECT_EQ(dropped.last("netfilter_verdict"), "DROP");
}

// A source address that does not belong there.
TEST(NetfilterLimits, TheReversePathFilterIsNoFirewall) {
  const RoutedPath path;
  path.client.ip("address add 10.99.0.1/32 dev eth0");
  path.router.ip("route add 10.99.0.0/24 via " + RoutedPath::server_address(Family::ip4));
  set_sysctl(path.router, "net/ipv4/conf/cl0/rp_filter", "1");
  NetfilterRun run(path.router);
  const Tuple spoofed{"10.99.0.1", 40000, RoutedPath::server_address(Family::ip4), 4000};
  send_udp(path.client, spoofed, 7);
  std::this_thread::sleep_for(told());
  const FlowRecords records = run.stop().of("UDP", spoofed, "ingress", "cl0");
  EXPECT_EQ(records.sum("packets"), 7u);
  EXPECT_EQ(records.sum("drops"), 7u);
  EXPECT_NE(records.last("drop_reason"), nullptr);  // IP_RPFILTER where the kernel has that name
  EXPECT_NE(records.last("drop_reason"), "NETFILTER_DROP");
  EXPECT_EQ(records.sum("refused_packets"), 0u);
  EXPECT_EQ(records.sum("netfilter_accepts"), 0u);
}

// Packets and bytes of the Flow Log lines of a tuple, by action and direction.
struct Line {
  std::uint64_t lines = 0, packets = 0, bytes = 0;
};
Line line_of(const std::vector<std::string>& lines, const Tuple& flow, const std::string& action,
             const std::string& direction) {
  Line sum;
  for (const auto& line : lines) {
    std::istringstream in(line);
    std::vector<std::string> word;
    for (std::string next; in >> next;) word.push_back(next);
    if (word.size() != 12 || word[0] != flow.src || word[1] != flow.dst || word[2] != std::to_string(flow.src_port) ||
        word[3] != std::to_string(flow.dst_port) || word[7] != action || word[9] != direction)
      continue;
    ++sum.lines;
    sum.packets += std::stoull(word[5]);
    sum.bytes += std::stoull(word[6]);
    EXPECT_EQ(word[10], "-") << "reject-reason: " << line;
    EXPECT_EQ(word[11], "OK") << line;
  }
  return sum;
}

// What passes while fffa starts is counted with its verdict or not at all.
TEST(NetfilterLimits, VerdictsAreThereFromTheFirstPacketOn) {
  const RoutedPath path;
  load_forward(Firewall(path.router, Dialect::iptables), {raw("-p udp --dport 4000 -j REJECT")}, true);
  const Tuple refused = forwarded(Family::ip4, 40000, 4000);
  std::atomic<bool> done{false};
  std::thread sender([&] {
    while (!done) {
      send_udp(path.client, refused, 1);
      std::this_thread::sleep_for(milliseconds(2));
    }
  });
  NetfilterRun run(path.router);
  done = true;
  sender.join();
  std::this_thread::sleep_for(told());
  const FlowRecords records = run.stop().of("UDP", refused, "ingress", "cl0");
  EXPECT_GE(records.sum("packets"), 1u);
  // between counting and the verdict of one packet lies the moment in which both begin
  EXPECT_LE(records.sum("packets"), records.sum("refused_packets") + 1);
  EXPECT_EQ(records.sum("netfilter_accepts"), 0u);
}

// A TCP connection that is older than fffa.
TEST(NetfilterLimits, AnOldConnectionLearnsItsRule) {
  const RoutedPath path;
  load_forward(Firewall(path.router, Dialect::iptables), {raw("-p tcp --dport 4000 -j ACCEPT")}, true);
  const Responder server(path.server, {4000}, {});
  const Netns::Inside inside(path.client);
  const int connection = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(4000);
  ASSERT_EQ(::inet_pton(AF_INET, RoutedPath::server_address(Family::ip4).c_str(), &to.sin_addr), 1);
  ASSERT_EQ(::connect(connection, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  sockaddr_in own{};
  socklen_t size = sizeof own;
  ASSERT_EQ(::getsockname(connection, reinterpret_cast<sockaddr*>(&own), &size), 0);
  NetfilterRun run(path.router);
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(::send(connection, "x", 1, MSG_NOSIGNAL), 1);
    std::this_thread::sleep_for(milliseconds(100));
  }
  ::close(connection);
  std::this_thread::sleep_for(told());
  const FlowRecords records = run.stop().of("TCP", forwarded(Family::ip4, ntohs(own.sin_port), 4000), "ingress", "cl0");
  EXPECT_EQ(records.last("netfilter_rule_num"), 1) << "asked for, for want of a first packet";
  EXPECT_EQ(records.last("netfilter_match_info"), "tcp dpt:4000");
}

TEST(NetfilterLimits, FlowLogsHaveALineForWhatWasRefused) {
  const RoutedPath path;
  const Firewall firewall(path.router, Dialect::iptables);
  load_forward(firewall, {raw("-p udp --dport 4000 -j ACCEPT"), raw("-p udp --dport 4001 -j REJECT")}, false);
  firewall.load(Family::ip4,
                {"security", {{"OUTPUT", {raw("-p udp --dport 4002 -j DROP")}, "filter", "output", 50, true}}});
  const Responder server(path.server, {}, {4000});
  // one window for all, unless the hour ends just now
  NetfilterRun run(path.router, {.window = "1h", .flow_logs = true});
  const Tuple both = forwarded(Family::ip4, 40000, 4000);
  const Tuple refused = forwarded(Family::ip4, 40000, 4001);
  const Tuple own{RoutedPath::far_address(Family::ip4), 40000, RoutedPath::server_address(Family::ip4), 4002};
  send_udp(path.client, both, 5);
  firewall.insert(Family::ip4, "filter", "FORWARD", 1, raw("-p udp --dport 4000 -j DROP"));
  send_udp(path.client, both, 8);
  send_udp(path.client, refused, 3);
  send_udp(path.router, own, 4);
  std::this_thread::sleep_for(told());
  run.stop();
  const auto lines = run.flow_logs();
  constexpr std::uint64_t kBytes = 20 + 8 + 10;
  const auto expect = [&](const Tuple& flow, const char* action, const char* direction, std::uint64_t packets) {
    const Line line = line_of(lines, flow, action, direction);
    EXPECT_EQ(line.packets, packets) << flow.dst_port << ' ' << action << ' ' << direction;
    EXPECT_EQ(line.bytes, packets * kBytes) << flow.dst_port << ' ' << action << ' ' << direction;
    EXPECT_EQ(line.lines, packets == 0 ? 0u : 1u) << flow.dst_port << ' ' << action << ' ' << direction;
  };
  expect(both, "ACCEPT", "ingress", 5);
  expect(both, "REJECT", "ingress", 8);
  expect(both, "ACCEPT", "egress", 5);
  expect(both, "REJECT", "egress", 0);
  expect(refused, "REJECT", "ingress", 3);
  expect(refused, "ACCEPT", "ingress", 0);
  expect(own, "REJECT", "egress", 4);
  expect(own, "ACCEPT", "egress", 0);
}

}  // namespace
}  // namespace fffa::integration
