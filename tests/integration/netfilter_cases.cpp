// SPDX-License-Identifier: MIT
#include "netfilter_cases.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace fffa::integration {
namespace {

constexpr std::uint16_t kSourcePorts = 40000;

Rule reply_to(const Case& what, Family family) {
  if (what.proto != Proto::icmp)
    return {.proto = what.proto, .port = what.port, .reply = true, .argument = {}, .raw = {}};
  const std::uint16_t echo_reply = family == Family::ip4 ? 0 : 129;
  return {.proto = Proto::icmp, .port = echo_reply, .reply = true, .argument = {}, .raw = {}};
}

bool has_reply(const Case& what) {
  return std::string(what.verdict) == "ACCEPT" && what.proto != Proto::udp;
}

Rule rule_for(const Case& what, Family family) {
  Rule rule{.proto = what.proto, .port = what.port, .action = what.action, .argument = what.queue, .raw = {}};
  if (what.proto == Proto::icmp && family == Family::ip6) rule.port = what.icmp6;
  return rule;
}

const char* proto_name(Proto proto, Family family) {
  if (proto == Proto::icmp) return family == Family::ip4 ? "ICMP" : "ICMPv6";
  return proto == Proto::tcp ? "TCP" : "UDP";
}

std::string hook(Place place) {
  return place == Place::input ? "input" : place == Place::forward ? "forward" : "output";
}

// What must not be in the way: the loop-back interface, and the answers that the router makes to what it rejects.
std::vector<Rule> framework(Dialect dialect, Place place, Family family) {
  const auto raw = [](std::string text) {
    Rule rule;
    rule.raw = std::move(text);
    return rule;
  };
  const bool four = family == Family::ip4;
  const bool iptables = dialect == Dialect::iptables;
  if (place == Place::input) return {raw(iptables ? "-i lo -j ACCEPT" : "iif \"lo\" counter accept")};
  if (place == Place::forward) return {};
  return {raw(iptables ? "-o lo -j ACCEPT" : "oif \"lo\" counter accept"),
          raw(iptables ? "-p tcp --tcp-flags RST RST -j ACCEPT" : "tcp flags & rst == rst counter accept"),
          raw(iptables ? (four ? "-p icmp --icmp-type 3 -j ACCEPT" : "-p icmpv6 --icmpv6-type 1 -j ACCEPT")
                       : (four ? "icmp type 3 counter accept" : "icmpv6 type 1 counter accept")),
          // multicast reports are nobody's case
          raw(iptables ? (four ? "-p 2 -j ACCEPT" : "-p icmpv6 --icmpv6-type 143 -j ACCEPT")
                       : (four ? "meta l4proto 2 counter accept" : "icmpv6 type 143 counter accept"))};
}

}  // namespace

Names names_of(Dialect dialect, Place place) {
  std::string chain = hook(place);
  if (dialect == Dialect::nft) return {"fw", "guard", chain, "refuse_" + chain};
  for (auto& c : chain) c = static_cast<char>(c - 'a' + 'A');
  return {"filter", "security", chain, "REFUSE_" + chain};
}

int second_priority(Dialect dialect) {
  return dialect == Dialect::iptables ? 150 : 50;
}

CaseRules::CaseRules(const RoutedPath& path, Dialect dialect, Nat nat)
    : path_(path), firewall_(path.router, dialect), nat_(nat), queues_(firewall_.supports(Action::queue)) {
  for (const Family family : kFamilies) {
    load(family);
    if (nat != Nat::none) load_nat(family);
  }
}

bool CaseRules::applies(const Case& what) const {
  if (what.action == Action::queue && !queues_) return false;
  // conntrack knows echo requests; other ICMP it would not translate
  return nat_ == Nat::none || what.proto != Proto::icmp || what.action == Action::accept;
}

std::string CaseRules::left_out() const {
  return queues_ ? "" : "no rule `queue` in this kernel (NFT_QUEUE)";
}

std::vector<Rule> CaseRules::rules(Place place, Family family) const {
  std::vector<Rule> all = framework(firewall_.dialect(), place, family);
  for (const Proto proto : {Proto::udp, Proto::tcp})
    all.push_back({.proto = proto,
                   .action = Action::jump,
                   .argument = names_of(firewall_.dialect(), place).user_chain,
                   .raw = {}});
  for (const auto& what : kCases) {
    if (applies(what) && (what.decider == Decider::rule || what.decider == Decider::second))
      all.push_back(rule_for(what, family));
  }
  for (const auto& what : kCases) {
    if (applies(what) && has_reply(what)) all.push_back(reply_to(what, family));
  }
  return all;
}

std::vector<Rule> CaseRules::user_rules() const {
  // one that never matches, so that positions in the two chains differ
  std::vector<Rule> all = {{.proto = Proto::udp, .port = 9, .argument = {}, .raw = {}}};
  for (const auto& what : kCases) {
    if (what.decider == Decider::user_rule) all.push_back(rule_for(what, Family::ip4));
  }
  return all;
}

void CaseRules::load(Family family) const {
  const Dialect dialect = firewall_.dialect();
  Table first{names_of(dialect, Place::input).table, {}};
  Table second{names_of(dialect, Place::input).second_table, {}};
  std::vector<Rule> accepts;
  for (const auto& what : kCases) {
    if (what.decider == Decider::second) accepts.push_back(rule_for(what, family));
  }
  for (const Place place : kPlaces) {
    const auto [table, second_table, name, user_chain] = names_of(dialect, place);
    first.chains.push_back({.name = user_chain, .rules = user_rules(), .type = {}, .hook = {}});
    first.chains.push_back({name, rules(place, family), "filter", hook(place), 0, false});
    second.chains.push_back({name, accepts, "filter", hook(place), second_priority(dialect), true});
  }
  firewall_.load(family, first);
  firewall_.load(family, second);
}

void CaseRules::load_nat(Family family) const {
  const bool iptables = firewall_.dialect() == Dialect::iptables;
  const std::string server = RoutedPath::server_address(family);
  Table nat{"nat", {}};
  const auto raw = [](std::string text) {
    Rule rule;
    rule.raw = std::move(text);
    return rule;
  };
  if (nat_ != Nat::source) {
    const std::string bracketed = family == Family::ip4 ? server : "[" + server + "]";
    nat.chains.push_back(
        {iptables ? "PREROUTING" : "pre",
         {raw(iptables ? "-i cl0 -p tcp --dport 8443 -j DNAT --to-destination " + bracketed + ":443"
                       : "iif \"cl0\" tcp dport 8443 dnat to " + bracketed + ":443"),
          raw(iptables ? "-i cl0 -j DNAT --to-destination " + server : "iif \"cl0\" dnat to " + server)},
         "nat",
         "prerouting",
         -100,
         true});
  }
  if (nat_ != Nat::destination) {
    nat.chains.push_back({iptables ? "POSTROUTING" : "post",
                          {raw(iptables ? "-o sv0 -j MASQUERADE" : "oif \"sv0\" masquerade")},
                          "nat",
                          "postrouting",
                          100,
                          true});
  }
  firewall_.load(family, nat);
}

Flow CaseRules::make(const Case& what, Place place, Family family) const {
  Flow flow{&what, place, family, {}, {}, rule_for(what, family), proto_name(what.proto, family)};
  const bool translated = nat_ == Nat::destination || nat_ == Nat::both;
  const bool near = place == Place::input || translated;
  flow.sent = {place == Place::output ? RoutedPath::far_address(family) : RoutedPath::client_address(family),
               static_cast<std::uint16_t>(kSourcePorts + what.port),
               near ? RoutedPath::near_address(family) : RoutedPath::server_address(family), what.port};
  if (what.proto == Proto::icmp) {
    flow.sent.src_port = 0;
    flow.sent.dst_port = static_cast<std::uint16_t>(flow.rule.port << 8U);
  }
  if (translated && what.port == 443) flow.sent.dst_port = 8443;
  flow.past = flow.sent;
  if (translated) flow.past.dst = RoutedPath::server_address(family);
  if (translated && what.port == 443) flow.past.dst_port = 443;
  if (nat_ == Nat::source || nat_ == Nat::both) flow.past.src = RoutedPath::far_address(family);
  return flow;
}

std::vector<Flow> CaseRules::flows() const {
  std::vector<Flow> all;
  for (const Family family : kFamilies) {
    for (const Place place : kPlaces) {
      if (nat_ != Nat::none && place != Place::forward) continue;
      for (const auto& what : kCases) {
        if (!applies(what)) continue;
        all.push_back(make(what, place, family));
        if (!has_reply(what)) continue;
        Flow back = all.back();
        back.reply = true;
        back.rule = reply_to(what, family);
        back.sent = {all.back().past.dst, all.back().past.dst_port, all.back().past.src, all.back().past.src_port};
        back.past = {all.back().sent.dst, all.back().sent.dst_port, all.back().sent.src, all.back().sent.src_port};
        if (what.proto == Proto::icmp) {
          back.sent.src_port = back.past.src_port = 0;
          back.sent.dst_port = back.past.dst_port = static_cast<std::uint16_t>(back.rule.port << 8U);
        }
        if (place == Place::input) back.place = Place::output;
        if (place == Place::output) back.place = Place::input;
        all.push_back(back);
      }
    }
  }
  return all;
}

std::size_t CaseRules::position(const Flow& flow) const {
  if (flow.what->decider == Decider::policy) return 0;
  if (flow.what->decider == Decider::second && !flow.reply) return 1;
  const std::vector<Rule> all =
      flow.what->decider == Decider::user_rule ? user_rules() : rules(flow.place, flow.family);
  return static_cast<std::size_t>(std::find(all.begin(), all.end(), flow.rule) - all.begin()) + 1;
}

std::string CaseRules::table(const Flow& flow) const {
  const Names names = names_of(firewall_.dialect(), flow.place);
  return flow.what->decider == Decider::second ? names.second_table : names.table;
}

std::string CaseRules::chain(const Flow& flow) const {
  const Names names = names_of(firewall_.dialect(), flow.place);
  return flow.what->decider == Decider::user_rule ? names.user_chain : names.chain;
}

Count CaseRules::counted(const Flow& flow) const {
  const ChainCounts counts = firewall_.counts(flow.family, table(flow), chain(flow));
  const std::size_t at = position(flow);
  return at == 0 ? counts.policy : counts.rules.at(at - 1);
}

void CaseRules::send(const Flow& flow) const {
  const Netns& from = flow.place == Place::output ? path_.router : path_.client;
  if (flow.what->proto == Proto::icmp) {
    send_icmp(from, flow.sent.src, flow.sent.dst, static_cast<std::uint8_t>(flow.rule.port), flow.what->packets);
  } else if (flow.what->proto == Proto::udp) {
    send_udp(from, flow.sent, flow.what->packets);
  } else if (flow.accepted()) {
    talk_tcp(from, flow.sent, flow.what->packets);
  } else {
    try_tcp(from, flow.sent, flow.what->packets);
  }
}

void CaseRules::send() {
  std::vector<std::uint16_t> tcp;
  std::vector<std::uint16_t> udp;
  for (const auto& what : kCases) {
    if (std::string(what.verdict) == "ACCEPT" && what.proto != Proto::icmp)
      (what.proto == Proto::tcp ? tcp : udp).push_back(what.port);
  }
  const Responder at_server(path_.server, tcp, udp);
  const Responder at_router(path_.router, tcp, udp);
  const QueueListener accepting(path_.router, 1, QueueListener::Answer::accept);
  const QueueListener dropping(path_.router, 2, QueueListener::Answer::drop);
  const QueueListener forgetting(path_.router, 3, QueueListener::Answer::none);
  for (const auto& flow : flows()) {
    if (!flow.reply) send(flow);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // the last acknowledgements, what is queued
}

}  // namespace fffa::integration
