// SPDX-License-Identifier: MIT
#include "firewall.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

namespace fffa::integration {
namespace {

using nlohmann::json;

const char* protocol(Family family, Proto proto) {
  if (proto == Proto::icmp) return family == Family::ip4 ? "icmp" : "icmpv6";
  return proto == Proto::tcp ? "tcp" : "udp";
}

std::string iptables_rule(Family family, const Rule& rule) {
  if (!rule.raw.empty()) return rule.raw;
  const std::string name = protocol(family, rule.proto);
  std::string text = "-p " + name;
  if (rule.proto == Proto::icmp) {
    if (rule.port != 0 || rule.reply) text += " --" + name + "-type " + std::to_string(rule.port);
  } else if (rule.port != 0) {
    text += (rule.reply ? " --sport " : " --dport ") + std::to_string(rule.port);
  }
  switch (rule.action) {
    case Action::accept: return text + " -j ACCEPT";
    case Action::drop: return text + " -j DROP";
    case Action::reset: return text + " -j REJECT --reject-with tcp-reset";
    case Action::refuse: return text + " -j REJECT";
    case Action::jump: return text + " -j " + rule.argument;
    case Action::queue: return text + " -j NFQUEUE --queue-num " + rule.argument;
  }
  return text;
}

std::string nft_match(Family family, const Rule& rule) {
  const std::string name = protocol(family, rule.proto);
  if (rule.port == 0 && !rule.reply) return "meta l4proto " + (name == "icmpv6" ? "ipv6-icmp" : name);
  if (rule.proto == Proto::icmp) return name + " type " + std::to_string(rule.port);
  return name + (rule.reply ? " sport " : " dport ") + std::to_string(rule.port);
}

std::string nft_rule(Family family, const Rule& rule) {
  if (!rule.raw.empty()) return rule.raw;
  std::string text = nft_match(family, rule) + " counter ";
  switch (rule.action) {
    case Action::accept: return text + "accept";
    case Action::drop: return text + "drop";
    case Action::reset: return text + "reject with tcp reset";
    case Action::refuse: return text + "reject";
    case Action::jump: return text + "jump " + rule.argument;
    case Action::queue: return text + "queue num " + rule.argument;
  }
  return text;
}

const char* nft_family(Family family) {
  return family == Family::inet ? "inet" : family == Family::ip4 ? "ip" : "ip6";
}

std::string iptables_table(Family family, const Table& table) {
  std::string text = "*" + table.name + "\n";
  for (const auto& chain : table.chains)
    text += ":" + chain.name + (chain.type.empty() ? " -" : chain.accepts ? " ACCEPT" : " DROP") + " [0:0]\n";
  for (const auto& chain : table.chains) {
    for (const auto& rule : chain.rules) text += "-A " + chain.name + " " + iptables_rule(family, rule) + "\n";
  }
  return text + "COMMIT\n";
}

std::string nft_table(Family family, const Table& table) {
  std::string text = std::string("table ") + nft_family(family) + " " + table.name + " {\n";
  for (const auto& chain : table.chains) {
    text += "chain " + chain.name + " {\n";
    if (!chain.type.empty()) {
      text += "type " + chain.type + " hook " + chain.hook + " priority " + std::to_string(chain.priority) +
              "; policy " + (chain.accepts ? "accept" : "drop") + ";\n";
    }
    for (const auto& rule : chain.rules) text += nft_rule(family, rule) + "\n";
    // nft counts no policy: this counts what falls through to it
    if (!chain.type.empty() && chain.type != "nat") text += "counter\n";
    text += "}\n";
  }
  return text + "}\n";
}

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& text) {
    std::string path = (std::filesystem::temp_directory_path() / "fffa-rules-XXXXXX").string();
    const int fd = ::mkstemp(path.data());
    if (fd < 0) throw std::runtime_error("mkstemp");
    ::close(fd);
    path_ = path;
    std::ofstream(path_) << text;
  }
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The rules of a chain in `nft -j list table`'s answer (`list chain` has none of them in nft 1.0.6).
std::vector<json> rules_in(const std::string& listing, const std::string& chain) {
  std::vector<json> rules;
  const json all = json::parse(listing);
  for (const auto& object : all.at("nftables")) {
    if (object.contains("rule") && object.at("rule").at("chain") == chain) rules.push_back(object.at("rule"));
  }
  return rules;
}

ChainCounts nft_counts(const std::string& listing, const std::string& chain) {
  ChainCounts counts;
  for (const auto& rule : rules_in(listing, chain)) {
    Count count;
    bool only_counts = true;
    for (const auto& expression : rule.at("expr")) {
      if (!expression.contains("counter")) {
        only_counts = false;
        continue;
      }
      count = {expression["counter"].at("packets").get<std::uint64_t>(),
               expression["counter"].at("bytes").get<std::uint64_t>()};
    }
    if (only_counts) {
      counts.policy = count;
    } else {
      counts.rules.push_back(count);
    }
  }
  return counts;
}

// `iptables -L CHAIN -n -v -x`: the policy in the first line, column titles in the second.
ChainCounts iptables_counts(const std::string& listing) {
  std::istringstream lines(listing);
  std::string line;
  std::getline(lines, line);
  ChainCounts counts;
  if (const auto at = line.find("(policy "); at != std::string::npos) {
    std::istringstream words(line.substr(at));
    std::string skip;
    words >> skip >> skip >> counts.policy.packets >> skip >> counts.policy.bytes;
  }
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    Count count;
    if (words >> count.packets >> count.bytes) counts.rules.push_back(count);
  }
  return counts;
}

}  // namespace

std::string Firewall::tool(const std::vector<std::string>& words, Family family) const {
  std::vector<std::string> command;
  if (dialect_ == Dialect::nft) {
    command = {"nft"};
  } else {
    command = {family == Family::ip4 ? "iptables" : "ip6tables", "-w"};
  }
  command.insert(command.end(), words.begin(), words.end());
  const Netns::Inside inside(netns_);
  return output_of(command);
}

void Firewall::load(Family family, const Table& table) const {
  if (dialect_ == Dialect::nft) {
    const TemporaryFile file(nft_table(family, table));
    tool({"-f", file.path()}, family);
    return;
  }
  const TemporaryFile file(iptables_table(family, table));
  const Netns::Inside inside(netns_);
  run({family == Family::ip4 ? "iptables-restore" : "ip6tables-restore", file.path()});
}

void Firewall::insert(Family family, const std::string& table, const std::string& chain, std::size_t position,
                      const Rule& rule) const {
  const TemporaryFile file([&] {
    if (dialect_ == Dialect::iptables)
      return "*" + table + "\n-I " + chain + " " + std::to_string(position) + " " + iptables_rule(family, rule) +
             "\nCOMMIT\n";
    const std::string where = std::string(nft_family(family)) + " " + table + " " + chain;
    const auto all = handles(family, table, chain);
    const std::string before = all.empty() ? "" : " handle " + all.at(position - 1);
    return "insert rule " + where + before + " " + nft_rule(family, rule) + "\n";
  }());
  if (dialect_ == Dialect::nft) {
    tool({"-f", file.path()}, family);
    return;
  }
  const Netns::Inside inside(netns_);
  run({family == Family::ip4 ? "iptables-restore" : "ip6tables-restore", "--noflush", file.path()});
}

void Firewall::remove(Family family, const std::string& table, const std::string& chain, std::size_t position) const {
  if (dialect_ == Dialect::iptables) {
    tool({"-t", table, "-D", chain, std::to_string(position)}, family);
  } else {
    tool({"delete", "rule", nft_family(family), table, chain, "handle", handles(family, table, chain).at(position - 1)},
         family);
  }
}

void Firewall::flush(Family family, const std::string& table, const std::string& chain) const {
  if (dialect_ == Dialect::iptables) {
    tool({"-t", table, "-F", chain}, family);
  } else {
    tool({"flush", "chain", nft_family(family), table, chain}, family);
  }
}

ChainCounts Firewall::counts(Family family, const std::string& table, const std::string& chain) const {
  if (dialect_ == Dialect::iptables) return iptables_counts(tool({"-t", table, "-L", chain, "-n", "-v", "-x"}, family));
  return nft_counts(tool({"-j", "list", "table", nft_family(family), table}, family), chain);
}

bool Firewall::supports(Action action) const {
  if (action != Action::queue || dialect_ == Dialect::iptables) return true;
  const TemporaryFile file("table ip probe { chain probe { queue num 1\n }\n}\n");
  const Netns::Inside inside(netns_);
  return try_run({"nft", "--check", "-f", file.path()});
}

std::vector<std::string> Firewall::handles(Family family, const std::string& table, const std::string& chain) const {
  std::vector<std::string> all;
  for (const auto& rule : rules_in(tool({"-j", "list", "table", nft_family(family), table}, family), chain))
    all.push_back(std::to_string(rule.at("handle").get<std::uint64_t>()));
  return all;
}

std::string Firewall::match_text(Dialect dialect, Family family, const Rule& rule) {
  if (dialect == Dialect::nft) return nft_match(family, rule);
  if (rule.proto == Proto::icmp)
    return (family == Family::ip4 ? "icmptype " : "ipv6-icmptype ") + std::to_string(rule.port);
  return std::string(protocol(family, rule.proto)) + (rule.reply ? " spt:" : " dpt:") + std::to_string(rule.port);
}

std::string Firewall::target_text(Dialect dialect, const Rule& rule) {
  switch (rule.action) {
    case Action::accept: return "ACCEPT";
    case Action::drop: return "DROP";
    case Action::reset:
    case Action::refuse: return "REJECT";
    case Action::jump: return rule.argument;
    case Action::queue: return dialect == Dialect::iptables ? "NFQUEUE" : "QUEUE";
  }
  return "";
}

}  // namespace fffa::integration
