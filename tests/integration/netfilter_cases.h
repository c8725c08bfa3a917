// SPDX-License-Identifier: MIT
// One table of rules, by protocol and port, that has every outcome a packet may meet; and the flows that meet them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "firewall.h"
#include "probes.h"
#include "queue_listener.h"
#include "routed_path.h"

namespace fffa::integration {

enum class Place { input, forward, output };
inline constexpr Place kPlaces[] = {Place::input, Place::forward, Place::output};
enum class Nat { none, destination, source, both };

// What decides in the end.
enum class Decider {
  rule,       // a rule of the table
  user_rule,  // a rule of the chain that the table's first jump leads to
  second,     // a rule of a second table, behind the first
  policy
};

struct Case {
  const char* name;
  Proto proto;
  std::uint16_t port;   // ICMP: the type
  std::uint16_t icmp6;  // ICMPv6: the type
  Action action;
  Decider decider;
  std::size_t packets;  // sent; TCP that is accepted: requests
  const char* queue = "";
  const char* verdict;  // as records name it
};
inline constexpr Case kCases[] = {
    {"accepted TCP", Proto::tcp, 443, 0, Action::accept, Decider::rule, 5, "", "ACCEPT"},
    {"accepted UDP", Proto::udp, 2001, 0, Action::accept, Decider::rule, 7, "", "ACCEPT"},
    {"accepted ICMP", Proto::icmp, 8, 128, Action::accept, Decider::rule, 4, "", "ACCEPT"},
    {"UDP that two tables accept", Proto::udp, 2002, 0, Action::accept, Decider::second, 6, "", "ACCEPT"},
    {"dropped TCP", Proto::tcp, 2003, 0, Action::drop, Decider::rule, 3, "", "DROP"},
    {"dropped UDP", Proto::udp, 2004, 0, Action::drop, Decider::rule, 9, "", "DROP"},
    {"dropped ICMP", Proto::icmp, 13, 150, Action::drop, Decider::rule, 3, "", "DROP"},
    {"TCP rejected with a reset", Proto::tcp, 2005, 0, Action::reset, Decider::rule, 4, "", "REJECT"},
    {"TCP rejected with ICMP", Proto::tcp, 2006, 0, Action::refuse, Decider::rule, 2, "", "REJECT"},
    // far more than the ICMP errors that the kernel sends in a second
    {"UDP rejected with ICMP", Proto::udp, 2007, 0, Action::refuse, Decider::rule, 200, "", "REJECT"},
    {"ICMP rejected with ICMP", Proto::icmp, 15, 151, Action::refuse, Decider::rule, 3, "", "REJECT"},
    {"UDP dropped in a user chain", Proto::udp, 2008, 0, Action::drop, Decider::user_rule, 5, "", "DROP"},
    {"TCP dropped in a user chain", Proto::tcp, 2009, 0, Action::drop, Decider::user_rule, 2, "", "DROP"},
    {"UDP queued and accepted", Proto::udp, 2010, 0, Action::queue, Decider::rule, 8, "1", "ACCEPT"},
    {"TCP queued and accepted", Proto::tcp, 2011, 0, Action::queue, Decider::rule, 2, "1", "ACCEPT"},
    {"UDP queued and dropped", Proto::udp, 2012, 0, Action::queue, Decider::rule, 6, "2", "DROP"},
    {"UDP queued and forgotten", Proto::udp, 2013, 0, Action::queue, Decider::rule, 5, "3", "DROP"},
    {"UDP queued for nobody", Proto::udp, 2014, 0, Action::queue, Decider::rule, 4, "4", "DROP"},
    {"UDP dropped by the policy", Proto::udp, 2015, 0, Action::drop, Decider::policy, 5, "", "DROP"},
};

// A case at a place of a path, and where its packets and its rule are to be found.
struct Flow {
  const Case* what;
  Place place;
  Family family;
  Tuple sent;  // as it leaves its sender; ICMP: dst_port is type * 256
  Tuple past;  // behind the router (NAT)
  Rule rule;
  std::string proto;   // as records name it
  bool reply = false;  // the other direction of an accepted flow

  bool accepted() const { return std::string(what->verdict) == "ACCEPT"; }
  bool queued() const { return what->action == Action::queue; }
};

// Names that a dialect has for the tables and chains of the cases.
struct Names {
  std::string table;         // where the cases' rules are
  std::string second_table;  // accepts, behind it
  std::string chain;         // of a place
  std::string user_chain;    // that it jumps to
};
Names names_of(Dialect dialect, Place place);
// Of the second table's chains; iptables' `security` has one of its own.
int second_priority(Dialect dialect);

class CaseRules {
 public:
  CaseRules(const RoutedPath& path, Dialect dialect, Nat nat);
  const Firewall& firewall() const { return firewall_; }
  Nat nat() const { return nat_; }

  // What this kernel has no rule for, by name; such cases make no flows.
  std::string left_out() const;
  // Every flow: of each case at each place (with NAT: those that are forwarded), and the replies.
  std::vector<Flow> flows() const;
  // Of the deciding rule, from 1; 0: the policy.
  std::size_t position(const Flow& flow) const;
  std::string table(const Flow& flow) const;
  std::string chain(const Flow& flow) const;
  // What the deciding rule (or policy) counted.
  Count counted(const Flow& flow) const;
  // Sends all the flows; returns when the packets have come to where they end.
  void send();

 private:
  bool applies(const Case& what) const;
  std::vector<Rule> rules(Place place, Family family) const;
  std::vector<Rule> user_rules() const;
  void load(Family family) const;
  void load_nat(Family family) const;
  void send(const Flow& flow) const;
  Flow make(const Case& what, Place place, Family family) const;

  const RoutedPath& path_;
  Firewall firewall_;
  Nat nat_;
  bool queues_;
};

}  // namespace fffa::integration
