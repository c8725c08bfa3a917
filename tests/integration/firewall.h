// SPDX-License-Identifier: MIT
// Firewall rules of a namespace, made by iptables (on nf_tables) or by nft, and what their counters say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "netns.h"
#include "routed_path.h"

namespace fffa::integration {

enum class Dialect { iptables, nft };
enum class Proto { tcp, udp, icmp };
enum class Action { accept, drop, reset, refuse, jump, queue };  // reset and refuse: REJECT by TCP or by ICMP

struct Rule {
  Proto proto = Proto::udp;
  std::uint16_t port = 0;  // ICMP: the type
  Action action = Action::accept;
  bool reply = false;    // matches the source port
  std::string argument;  // jump: the chain; queue: the number
  std::string raw;       // in place of all that: the rule in the dialect's own words
  friend bool operator==(const Rule&, const Rule&) = default;
};

struct Chain {
  std::string name;
  std::vector<Rule> rules;
  std::string type;  // filter, nat or route; empty: a user chain
  std::string hook;  // nft's word: input, forward, ...
  int priority = 0;
  bool accepts = true;  // the policy
};
struct Table {
  std::string name;
  std::vector<Chain> chains;  // a chain comes before those that jump to it
};

struct Count {
  std::uint64_t packets = 0, bytes = 0;
  friend bool operator==(const Count&, const Count&) = default;
  // NOLINTNEXTLINE(readability-identifier-naming): googletest looks for it
  friend void PrintTo(const Count& count, std::ostream* out) {
    *out << count.packets << " packets, " << count.bytes << " bytes";
  }
};
struct ChainCounts {
  std::vector<Count> rules;  // in the chain's order
  Count policy;
};

class Firewall {
 public:
  Firewall(const Netns& netns, Dialect dialect) : netns_(netns), dialect_(dialect) {}
  Dialect dialect() const { return dialect_; }

  // Makes the table anew. With iptables its name and its chains' must be iptables' own.
  void load(Family family, const Table& table) const;
  // Positions count from 1.
  void insert(Family family, const std::string& table, const std::string& chain, std::size_t position,
              const Rule& rule) const;
  void remove(Family family, const std::string& table, const std::string& chain, std::size_t position) const;
  void flush(Family family, const std::string& table, const std::string& chain) const;
  ChainCounts counts(Family family, const std::string& table, const std::string& chain) const;

  // Whether the kernel has the action for rules of this dialect (nft's `queue` is an option of its own, NFT_QUEUE).
  bool supports(Action action) const;

  // How the dialect's own listing names them.
  static std::string match_text(Dialect dialect, Family family, const Rule& rule);
  static std::string target_text(Dialect dialect, const Rule& rule);

 private:
  // Runs the dialect's tool in the namespace.
  std::string tool(const std::vector<std::string>& words, Family family) const;
  std::vector<std::string> handles(Family family, const std::string& table, const std::string& chain) const;

  const Netns& netns_;
  Dialect dialect_;
};

}  // namespace fffa::integration
