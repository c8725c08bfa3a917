// SPDX-License-Identifier: MIT
// Every outcome that a packet may meet at a firewall: what the flow records say of it, field by field, against the
// rules and their counters.
#include <gtest/gtest.h>

#include <thread>

#include "netfilter_cases.h"
#include "netfilter_run.h"

namespace fffa::integration {
namespace {

using nlohmann::json;

// One record's worth of fields, as text that a failed comparison shows as a difference of lines.
class Fields {
 public:
  void add(const std::string& name, const json& value) { text_ += "  " + name + " " + value.dump() + "\n"; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Where a flow's packets are recorded first, in its own direction.
struct Seen {
  const char* direction;
  const char* interface;
};
Seen first_seen(const Flow& flow) {
  const bool from_server = flow.reply && flow.sent.src == RoutedPath::server_address(flow.family);
  if (flow.place == Place::output) return {"egress", flow.reply ? "cl0" : "sv0"};
  return {"ingress", from_server ? "sv0" : "cl0"};
}

const char* hook_name(Place place) {
  return place == Place::input ? "NF_INET_LOCAL_IN" : place == Place::forward ? "NF_INET_FORWARD" : "NF_INET_LOCAL_OUT";
}

class NetfilterRecords : public ::testing::TestWithParam<std::tuple<Dialect, Nat>> {
 protected:
  NetfilterRecords() : rules_(path_, std::get<0>(GetParam()), std::get<1>(GetParam())) {}

  std::string expected_match(const Flow& flow) const {
    return Firewall::match_text(std::get<0>(GetParam()), flow.family, flow.rule);
  }
  std::string expected_rule(const Flow& flow) const {
    Fields fields;
    const std::size_t position = rules_.position(flow);
    fields.add("table", rules_.table(flow));
    fields.add("chain", rules_.chain(flow));
    fields.add("rule", position == 0 ? json(nullptr) : json(position));
    fields.add("target", position == 0 ? "policy" : Firewall::target_text(std::get<0>(GetParam()), flow.rule));
    fields.add("match", position == 0 ? json(nullptr) : json(expected_match(flow)));
    return fields.text();
  }
  std::string rule_of(const Flow& flow, const FlowRecords& records) const {
    Fields fields;
    fields.add("table", only(records.values("netfilter_table")));
    fields.add("chain", only(records.values("netfilter_chain")));
    fields.add("rule", only(records.values("netfilter_rule_num")));
    fields.add("target", only(records.values("netfilter_target")));
    const std::string wanted = expected_match(flow);
    json match = match_of(records, wanted);
    // nft has names for ICMP types
    if (flow.what->proto == Proto::icmp && match.is_string() && match.get<std::string>().starts_with("icmp"))
      match = wanted;
    fields.add("match", match);
    return fields.text();
  }

  // What is counted of a flow where it is first seen.
  static std::string expected_counts(const Flow& flow, const Count& count) {
    const std::string verdict = flow.what->verdict;
    const bool refused = verdict != "ACCEPT";
    const bool reached = !(refused && flow.place == Place::output);
    Fields fields;
    fields.add("verdict", verdict);
    fields.add("hook", hook_name(flow.place));
    fields.add("priority", flow.what->decider == Decider::second ? second_priority(std::get<0>(GetParam())) : 0);
    fields.add("accepts", refused ? 0 : count.packets);
    fields.add("drops", verdict == "DROP" ? count.packets : 0);
    fields.add("rejects", verdict == "REJECT" ? count.packets : 0);
    fields.add("refused packets", refused ? count.packets : 0);
    fields.add("refused bytes", refused ? count.bytes : 0);
    fields.add("refused flags", refused && flow.proto == "TCP" ? json(2) : json(nullptr));
    fields.add("packets", reached ? count.packets : 0);
    fields.add("bytes", reached ? count.bytes : 0);
    fields.add("dropped", refused ? count.packets : 0);  // those that no firewall dropped have tests of their own
    return fields.text();
  }
  // Nobody waits for an echo's answer, and 6.1 frees even the ICMPv6 requests that it has answered as dropped.
  static bool own_drops(const Flow& flow) { return flow.what->proto == Proto::icmp && flow.accepted(); }
  static std::string counts_of(const Flow& flow, const FlowRecords& records) {
    Fields fields;
    fields.add("verdict", records.last("netfilter_verdict"));
    fields.add("hook", only(records.values("netfilter_hook")));
    fields.add("priority", only(records.values("netfilter_priority")));
    fields.add("accepts", records.sum("netfilter_accepts"));
    fields.add("drops", records.sum("netfilter_drops"));
    fields.add("rejects", records.sum("netfilter_rejects"));
    fields.add("refused packets", records.sum("refused_packets"));
    fields.add("refused bytes", records.sum("refused_bytes"));
    // not TCP or nothing refused: zero or null
    const json flags = records.last("refused_vpc_tcp_flags");
    fields.add("refused flags", flow.proto != "TCP" || flags == 0 ? json(nullptr) : flags);
    fields.add("packets", records.sum("packets"));
    fields.add("bytes", records.sum("bytes"));
    fields.add("dropped", own_drops(flow) ? 0 : records.sum("drops"));
    return fields.text();
  }

  void expect_flow(const Flow& flow, const RunRecords& all) const {
    const Seen seen = first_seen(flow);
    const FlowRecords records = all.of(flow.proto, flow.sent, seen.direction, seen.interface);
    const Count count = rules_.counted(flow);
    ASSERT_FALSE(records.empty()) << "no record";
    // its rule tells the priority, and a reject from a drop
    if (told_too_late(flow, records))
      EXPECT_EQ(records.sum("refused_packets") + records.sum("netfilter_accepts"), count.packets);
    else
      EXPECT_EQ(counts_of(flow, records), expected_counts(flow, count));
    if (flow.queued() && std::string(flow.what->queue) != "4" && !flow.reply) {
      EXPECT_EQ(records.sum("netfilter_queues"), count.packets);
    }
    if (!flow.queued()) {
      EXPECT_EQ(records.sum("netfilter_queues"), 0u);
    }
    if (!flow.queued() && !own_drops(flow)) {
      EXPECT_EQ(records.last("drop_reason"), flow.accepted() ? json(nullptr) : json("NETFILTER_DROP"));
    }
    expect_rule(flow, records);
    expect_nat(flow, records);
    if (flow.place == Place::forward && flow.accepted()) expect_leaving(flow, all, seen, count);
  }

  static bool told_too_late(const Flow& flow, const FlowRecords& records) {
    return emulated() && !flow.reply && records.values("netfilter_table").empty() &&
           records.values("netfilter_rule_num").empty();
  }

  void expect_rule(const Flow& flow, const FlowRecords& records) const {
    // An answer need not be traced; if it was, the rule is the right one.
    if (flow.reply && records.values("netfilter_table").empty()) return;
    if (told_too_late(flow, records)) {
      std::cout << "told too late: the rule of " << flow.what->name << ", " << flow.sent.dst << std::endl;
      ++late_;
      return;
    }
    EXPECT_EQ(rule_of(flow, records), expected_rule(flow));
  }

  void expect_nat(const Flow& flow, const FlowRecords& records) const {
    const bool translated = flow.sent.src != flow.past.src || flow.sent.dst != flow.past.dst;
    // what was refused on its way need not have been translated yet
    if (translated && !flow.accepted()) return;
    const auto expect = [&](const char* field, const json& value) {
      EXPECT_EQ(only(records.values(field)), translated ? value : json(nullptr)) << field;
    };
    expect("nat_src_ip", flow.past.src);
    expect("nat_dst_ip", flow.past.dst);
    if (flow.what->proto == Proto::icmp) return;
    expect("nat_src_port", flow.past.src_port);
    expect("nat_dst_port", flow.past.dst_port);
  }

  // The record of the interface that a forwarded packet leaves by.
  void expect_leaving(const Flow& flow, const RunRecords& all, const Seen& seen, const Count& count) const {
    const FlowRecords records =
        all.of(flow.proto, flow.past, "egress", std::string(seen.interface) == "cl0" ? "sv0" : "cl0");
    ASSERT_FALSE(records.empty()) << "no egress record";
    Flow same = flow;
    EXPECT_EQ(counts_of(same, records), expected_counts(same, count)) << "egress";
    expect_rule(flow, records);
  }

  RoutedPath path_;
  CaseRules rules_;
  mutable std::size_t late_ = 0;  // rules, under emulation
};

TEST_P(NetfilterRecords, SayOfEveryFlowWhatTheRulesDid) {
  if (!rules_.left_out().empty()) std::cout << "left out: " << rules_.left_out() << std::endl;
  NetfilterRun run(path_.router);
  rules_.send();
  std::this_thread::sleep_for(told());
  const RunRecords records = run.stop();
  for (const auto& flow : rules_.flows()) {
    SCOPED_TRACE(std::string(flow.what->name) + (flow.reply ? ", the answer" : "") + ": " + flow.proto + " " +
                 flow.sent.src + " > " + flow.sent.dst + ", " + hook_name(flow.place));
    expect_flow(flow, records);
  }
  EXPECT_LE(late_, rules_.flows().size() / 2);
  if (HasFailure()) std::cout << run.process().log();
}
std::string setting(const ::testing::TestParamInfo<std::tuple<Dialect, Nat>>& info) {
  static constexpr const char* kNat[] = {"", "Dnat", "Masquerade", "DnatAndMasquerade"};
  const auto [dialect, nat] = info.param;
  return std::string(dialect == Dialect::nft ? "nft" : "iptables") + kNat[static_cast<int>(nat)];
}
INSTANTIATE_TEST_SUITE_P(Rules, NetfilterRecords,
                         ::testing::Combine(::testing::Values(Dialect::iptables, Dialect::nft),
                                            ::testing::Values(Nat::none, Nat::destination, Nat::source, Nat::both)),
                         setting);

}  // namespace
}  // namespace fffa::integration
