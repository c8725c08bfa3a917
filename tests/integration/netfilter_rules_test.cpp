// SPDX-License-Identifier: MIT
// Which rule decided: as the tools list it, while rules come and go, whatever their comments are made of.
#include <gtest/gtest.h>

#include <csignal>
#include <sstream>
#include <thread>

#include "firewall.h"
#include "netfilter_run.h"

namespace fffa::integration {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::uint16_t kPort = 3000;

Rule on(std::uint16_t port, Action action, Proto proto = Proto::udp) {
  return {.proto = proto, .port = port, .action = action, .argument = {}, .raw = {}};
}
Rule raw(std::string text) {
  Rule rule;
  rule.raw = std::move(text);
  return rule;
}

class NetfilterRules : public ::testing::TestWithParam<Dialect> {
 protected:
  NetfilterRules() : firewall_(path_.router, GetParam()) {}
  bool iptables() const { return GetParam() == Dialect::iptables; }
  std::string table() const { return iptables() ? "filter" : "fw"; }
  std::string chain() const { return iptables() ? "FORWARD" : "forwarding"; }
  void load(std::vector<Rule> rules, bool accepts) const {
    firewall_.load(Family::ip4, {table(), {{chain(), std::move(rules), "filter", "forward", 0, accepts}}});
  }
  static Tuple forwarded(std::uint16_t src_port, std::uint16_t dst_port) {
    return {RoutedPath::client_address(Family::ip4), src_port, RoutedPath::server_address(Family::ip4), dst_port};
  }
  static FlowRecords arrived(const RunRecords& records, const Tuple& flow, const char* proto = "UDP") {
    return records.of(proto, flow, "ingress", "cl0");
  }

  RoutedPath path_;
  Firewall firewall_;
};

// An HTTPS connection that the third rule accepts; every fifth packet is lost to another table before.
TEST_P(NetfilterRules, TheClassicExample) {
  const Family family = iptables() ? Family::ip4 : Family::inet;
  Rule answers = on(443, Action::accept, Proto::tcp);
  answers.reply = true;
  firewall_.load(
      family,
      {"filter",
       {{"FORWARD",
         {on(53, Action::accept), on(22, Action::drop, Proto::tcp), on(443, Action::accept, Proto::tcp), answers},
         "filter",
         "forward",
         0,
         false}}});
  const std::string lossy = iptables() ? "PREROUTING" : "pre";
  firewall_.load(family, {"mangle",
                          {{lossy,
                            {raw(iptables() ? "-p tcp --dport 443 -m statistic --mode nth --every 5 --packet 4 -j DROP"
                                            : "tcp dport 443 numgen inc mod 5 == 4 counter drop")},
                            "filter",
                            "prerouting",
                            -150,
                            true}}});
  const Responder server(path_.server, {443}, {});
  NetfilterRun run(path_.router);
  const Tuple https = forwarded(40443, 443);
  talk_tcp(path_.client, https, 15);
  std::this_thread::sleep_for(told());
  const FlowRecords records = arrived(run.stop(), https, "TCP");
  const std::uint64_t accepted = firewall_.counts(family, "filter", "FORWARD").rules.at(2).packets;
  // nft counts in `counter`, behind the match; iptables in the rule
  const std::uint64_t dropped = firewall_.counts(family, "mangle", lossy).rules.at(0).packets;
  ASSERT_GT(dropped, 0u);
  EXPECT_EQ(records.sum("netfilter_accepts"), accepted);
  EXPECT_EQ(records.sum("netfilter_drops"), dropped);
  EXPECT_EQ(records.sum("refused_packets"), dropped);
  EXPECT_EQ(records.sum("packets"), accepted + dropped);
  EXPECT_EQ(rule_of(records), rule_text("filter", "FORWARD", 3, "ACCEPT"));
  EXPECT_EQ(only(records.values("netfilter_match_info")), iptables() ? "tcp dpt:443" : "tcp dport 443");
  for (const auto& record : records.all()) {
    if (record.at("netfilter_verdict") == "ACCEPT")
      EXPECT_EQ(record.at("netfilter_hook"), "NF_INET_FORWARD") << record.dump();
    else
      EXPECT_EQ(record.at("netfilter_hook"), "NF_INET_PRE_ROUTING") << record.dump();
  }
}

// Tables at the first and at the last hook are named where they drop.
TEST_P(NetfilterRules, DroppedBeforeAndBehindTheFilter) {
  firewall_.load(Family::ip4, {"raw",
                               {{iptables() ? "PREROUTING" : "early",
                                 {on(9, Action::drop), on(kPort, Action::drop)},
                                 "filter",
                                 "prerouting",
                                 -300,
                                 true}}});
  firewall_.load(Family::ip4, {"mangle",
                               {{iptables() ? "POSTROUTING" : "late",
                                 {on(9, Action::drop), on(9, Action::accept), on(kPort + 1, Action::drop)},
                                 "filter",
                                 "postrouting",
                                 -150,
                                 true}}});
  NetfilterRun run(path_.router);
  send_udp(path_.client, forwarded(40000, kPort), 4);
  send_udp(path_.client, forwarded(40000, kPort + 1), 5);
  std::this_thread::sleep_for(told());
  const RunRecords all = run.stop();
  const FlowRecords early = arrived(all, forwarded(40000, kPort));
  EXPECT_EQ(early.sum("netfilter_drops"), 4u);
  EXPECT_EQ(early.last("netfilter_hook"), "NF_INET_PRE_ROUTING");
  EXPECT_EQ(early.last("netfilter_priority"), -300);
  EXPECT_EQ(rule_of(early), rule_text("raw", iptables() ? "PREROUTING" : "early", 2, "DROP"));
  const FlowRecords late = arrived(all, forwarded(40000, kPort + 1));
  const FlowRecords leaving = all.of("UDP", forwarded(40000, kPort + 1), "egress", "sv0");
  for (const auto* records : {&late, &leaving}) {
    EXPECT_EQ(records->sum("netfilter_drops"), 5u);
    EXPECT_EQ(records->sum("refused_packets"), 5u);
    EXPECT_EQ(records->last("netfilter_hook"), "NF_INET_POST_ROUTING");
    EXPECT_EQ(records->last("netfilter_priority"), -150);
  }
  EXPECT_EQ(rule_of(late), rule_text("mangle", iptables() ? "POSTROUTING" : "late", 3, "DROP"));
  EXPECT_EQ(late.sum("packets"), 5u);
  EXPECT_EQ(leaving.sum("packets"), 0u);
}

// One packet each, at any moment between two read-outs: nothing comes later that could bring the rule.
TEST_P(NetfilterRules, ASinglePacketHasItsRule) {
  if (emulated()) GTEST_SKIP() << "an emulated machine reads some traces after the records that they belong to";
  constexpr std::uint16_t kFlows = 200;
  load({on(9, Action::accept), on(kPort, Action::refuse), on(kPort + 1, Action::accept)}, true);
  const Responder server(path_.server, {}, {kPort + 1});
  NetfilterRun run(path_.router);
  std::this_thread::sleep_for(2 * told());
  for (std::uint16_t i = 0; i < kFlows; ++i) {
    for (const std::uint16_t port : {kPort, static_cast<std::uint16_t>(kPort + 1)})
      send_udp(path_.client, forwarded(static_cast<std::uint16_t>(50000 + i), port), 1);
    std::this_thread::sleep_for(milliseconds(3));
  }
  std::this_thread::sleep_for(told());
  const RunRecords all = run.stop();
  for (const bool refused : {true, false}) {
    std::size_t known = 0;
    std::uint64_t counted = 0;
    for (std::uint16_t i = 0; i < kFlows; ++i) {
      const FlowRecords records = arrived(all, forwarded(static_cast<std::uint16_t>(50000 + i),
                                                         static_cast<std::uint16_t>(refused ? kPort : kPort + 1)));
      counted += records.sum(refused ? "netfilter_rejects" : "netfilter_accepts");
      if (rule_of(records) == rule_text(table(), chain(), refused ? 2 : 3, refused ? "REJECT" : "ACCEPT")) ++known;
    }
    EXPECT_EQ(known, kFlows) << (refused ? "refused" : "accepted");
    EXPECT_EQ(counted, kFlows) << (refused ? "refused" : "accepted");
  }
}

// What happens to the chain, and the rule that then decides for port 3000; 0: the policy.
struct Step {
  const char* what;
  std::size_t insert_at = 0;  // 0: nothing
  Rule rule = {};
  std::size_t remove_at = 0;
  bool flush = false;
  std::size_t number;
  const char* target;
};
std::vector<Step> steps() {
  return {
      {.what = "as loaded", .number = 1, .target = "ACCEPT"},
      {.what = "another before it", .insert_at = 1, .rule = on(9, Action::drop), .number = 2, .target = "ACCEPT"},
      {.what = "one that drops", .insert_at = 1, .rule = on(kPort, Action::drop), .number = 1, .target = "DROP"},
      {.what = "that one deleted", .remove_at = 1, .number = 2, .target = "ACCEPT"},
      {.what = "renumbered", .remove_at = 1, .number = 1, .target = "ACCEPT"},
      {.what = "flushed", .flush = true, .number = 0, .target = "policy"},
      {.what = "one that rejects", .insert_at = 1, .rule = on(kPort, Action::refuse), .number = 1, .target = "REJECT"},
  };
}

class NetfilterRulesChange : public NetfilterRules {
 protected:
  void apply(const Step& step) const {
    if (step.insert_at != 0) firewall_.insert(Family::ip4, table(), chain(), step.insert_at, step.rule);
    if (step.remove_at != 0) firewall_.remove(Family::ip4, table(), chain(), step.remove_at);
    if (step.flush) firewall_.flush(Family::ip4, table(), chain());
  }
  // Each step with a flow of its own; returns the records.
  RunRecords change(milliseconds pause) const {
    load({on(kPort, Action::accept)}, true);
    const Responder server(path_.server, {}, {kPort});
    NetfilterRun run(path_.router);
    std::uint16_t port = 41000;
    for (const auto& step : steps()) {
      apply(step);
      send_udp(path_.client, forwarded(port++, kPort), 3);
      std::this_thread::sleep_for(pause);
    }
    std::this_thread::sleep_for(told());
    return run.stop();
  }
};

TEST_P(NetfilterRulesChange, NumbersAndTextsFollow) {
  const RunRecords all = change(told());
  std::uint16_t port = 41000;
  for (const auto& step : steps()) {
    const FlowRecords records = arrived(all, forwarded(port++, kPort));
    EXPECT_EQ(rule_of(records), rule_text(table(), chain(), step.number, step.target)) << step.what;
    const std::string verdict = step.number == 0 ? "ACCEPT" : step.target;
    EXPECT_EQ(records.last("netfilter_verdict"), verdict) << step.what;
    const std::string match = iptables() ? "udp dpt:3000" : "udp dport 3000";
    EXPECT_EQ(match_of(records, match), step.number == 0 ? json(nullptr) : json(match)) << step.what;
  }
}

// Faster than anybody can list them: the right rule, by a number that it had then or has now, or none.
TEST_P(NetfilterRulesChange, InAHurryNoRuleIsWrong) {
  const RunRecords all = change(milliseconds(0));
  std::uint16_t port = 41000;
  for (const auto& step : steps()) {
    const FlowRecords records = arrived(all, forwarded(port++, kPort));
    const json number = only(records.values("netfilter_rule_num"));
    EXPECT_TRUE(number.is_null() || (step.number != 0 && number >= 1 && number <= 3)) << step.what << ": " << number;
    const std::string wanted = iptables() ? "udp dpt:3000" : "udp dport 3000";
    const json match = match_of(records, wanted);
    EXPECT_TRUE(match.is_null() || match == wanted) << step.what << ": " << match;
    const json target = only(records.values("netfilter_target"));
    EXPECT_TRUE(target.is_null() || target == step.target) << step.what << ": " << target;
    EXPECT_EQ(records.sum("netfilter_accepts") + records.sum("refused_packets"), 3u) << step.what;
  }
}

// The packet's trace is read when its rule is gone, and others stand at its position.
TEST_P(NetfilterRulesChange, ARuleThatIsGoneIsNobody) {
  load({on(9, Action::accept)}, true);
  NetfilterRun run(path_.router);
  send_udp(path_.client, forwarded(42000, 9), 1);  // so that the rules are known as they are now
  std::this_thread::sleep_for(told());
  run.process().signal(SIGSTOP);
  firewall_.insert(Family::ip4, table(), chain(), 1, on(kPort, Action::drop));
  send_udp(path_.client, forwarded(42000, kPort), 3);
  firewall_.remove(Family::ip4, table(), chain(), 1);
  firewall_.insert(Family::ip4, table(), chain(), 1, on(kPort, Action::accept));
  run.process().signal(SIGCONT);
  std::this_thread::sleep_for(told());
  const FlowRecords records = arrived(run.stop(), forwarded(42000, kPort));
  EXPECT_EQ(records.sum("netfilter_drops"), 3u);
  EXPECT_EQ(records.last("netfilter_verdict"), "DROP");
  EXPECT_EQ(only(records.values("netfilter_rule_num")), nullptr);
  EXPECT_EQ(only(records.values("netfilter_match_info")), nullptr);
}

std::vector<std::string> comments(Dialect dialect) {
  std::vector<std::string> all = {"two words",   "100 % ${x} %s {\"}", "back\\slash \\n",
                                  "line\nbreak", "tab\there",          "bytes \xff\xfe\x80",
                                  "it's",        "\x1b[31mred"};
  if (dialect == Dialect::nft) all[1] = "100 % ${x} %s {}";  // nft's strings have no quotes
  return all;
}

std::size_t words_of(const std::string& line) {
  std::istringstream in(line);
  std::size_t count = 0;
  for (std::string word; in >> word;) ++count;
  return count;
}

TEST_P(NetfilterRules, AnyCommentLeavesTheOutputWhole) {
  load({}, false);
  const auto all = comments(GetParam());
  std::size_t taken = 0;
  {
    const Netns::Inside inside(path_.router);
    for (const auto& comment : all) {
      const std::string port = std::to_string(kPort + taken);
      const bool ok = iptables() ? try_run({"iptables", "-w", "-A", "FORWARD", "-p", "udp", "--dport", port, "-m",
                                            "comment", "--comment", comment, "-j", "ACCEPT"})
                                 : try_run({"nft", "add", "rule", "ip", table(), chain(), "udp", "dport", port,
                                            "counter", "accept", "comment", "\"" + comment + "\""});
      if (!ok)
        std::cout << "left out: a comment that the tool refuses: "
                  << json(comment).dump(-1, ' ', true, json::error_handler_t::replace) << std::endl;
      if (ok) ++taken;
    }
  }
  ASSERT_GE(taken, 5u);
  std::vector<std::uint16_t> ports;
  for (std::size_t i = 0; i < taken; ++i) ports.push_back(static_cast<std::uint16_t>(kPort + i));
  const Responder server(path_.server, {}, ports);
  NetfilterRun run(path_.router, {.flow_logs = true});
  for (const auto port : ports) send_udp(path_.client, forwarded(43000, port), 2);
  std::this_thread::sleep_for(told());
  const RunRecords records = run.stop();          // throws where JSON is not valid
  const std::size_t before = iptables() ? 0 : 1;  // the counter that load() puts in place of the policy's
  for (std::size_t i = 0; i < taken; ++i) {
    const FlowRecords flow = arrived(records, forwarded(43000, ports[i]));
    EXPECT_EQ(rule_of(flow), rule_text(table(), chain(), before + i + 1, "ACCEPT"));
    EXPECT_EQ(flow.sum("netfilter_accepts"), 2u);
    const json match = flow.last("netfilter_match_info");
    const std::string wanted = (iptables() ? "udp dpt:" : "udp dport ") + std::to_string(ports[i]);
    EXPECT_TRUE(match.is_string() && match.get<std::string>().starts_with(wanted)) << match;
  }
  const auto lines = run.flow_logs();
  EXPECT_GE(lines.size(), taken);
  for (const auto& line : lines) EXPECT_EQ(words_of(line), 12u) << line;
}

std::string dialect_name(const ::testing::TestParamInfo<Dialect>& info) {
  return info.param == Dialect::nft ? "nft" : "iptables";
}
INSTANTIATE_TEST_SUITE_P(Rules, NetfilterRules, ::testing::Values(Dialect::iptables, Dialect::nft), dialect_name);
INSTANTIATE_TEST_SUITE_P(Rules, NetfilterRulesChange, ::testing::Values(Dialect::iptables, Dialect::nft), dialect_name);

}  // namespace
}  // namespace fffa::integration
