// SPDX-License-Identifier: MIT
#include "ruleset.h"

#include <linux/netfilter.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "bounded_command.h"

namespace fffa::ebpf {
namespace {

constexpr std::chrono::milliseconds kIptablesPatience{3000};
constexpr std::size_t kIptablesOutput = 32 << 20;

bool may_be_iptables(const ListedTable& table) {
  static constexpr std::array<std::string_view, 5> names{"filter", "nat", "mangle", "raw", "security"};
  return (table.family == NFPROTO_IPV4 || table.family == NFPROTO_IPV6) &&
         std::find(names.begin(), names.end(), table.name) != names.end();
}

std::optional<std::string> find_program(const std::string& name) {
  for (const std::string folder : {"/usr/sbin/", "/sbin/", "/usr/bin/"}) {
    if (::access((folder + name).c_str(), X_OK) == 0) return folder + name;
  }
  return std::nullopt;
}

bool has_texts(const ListedTable& table) {
  return std::all_of(table.chains.begin(), table.chains.end(), [](const ListedChain& chain) {
    return std::all_of(chain.rules.begin(), chain.rules.end(), [](const ListedRule& rule) { return rule.text_known; });
  });
}

}  // namespace

Result<Lister> Lister::open() {
  auto dump = NftDump::open();
  if (!dump) return dump.error();
  if (auto generation = dump->generation(); !generation) return generation.error();
  auto nft = NftContext::open();
  if (!nft) return nft.error();
  return Lister(std::move(*dump), std::move(*nft));
}

// A rule never changes under its handle: where all of a table's are known, its texts need not be listed.
bool Lister::keep_texts(std::vector<ListedTable>& tables) const {
  bool all = true;
  for (auto& table : tables) {
    const auto old = std::find_if(listed_.begin(), listed_.end(), [&](const ListedTable& one) {
      return one.family == table.family && one.name == table.name && one.handle == table.handle;
    });
    std::unordered_map<std::uint64_t, const ListedRule*> known;
    if (old != listed_.end()) {
      for (const auto& chain : old->chains) {
        for (const auto& rule : chain.rules) known[rule.handle] = &rule;
      }
    }
    for (auto& chain : table.chains) {
      for (auto& rule : chain.rules) {
        const auto found = known.find(rule.handle);
        if (found == known.end() || !found->second->text_known) continue;
        rule.text = found->second->text;
        rule.text_known = true;
      }
    }
    const bool complete = has_texts(table);
    table.iptables = complete && old != listed_.end() && old->iptables;
    all = all && complete;
  }
  return all;
}

// The kernel's list and nft's text must be of the same generation.
Result<std::vector<ListedTable>> Lister::list_nft() {
  constexpr int kTries = 4;
  Error last = unavailable("list nftables' rules: they change all the time");
  for (int i = 0; i < kTries; ++i) {
    const auto before = dump_.generation();
    if (!before) return before.error();
    auto tables = dump_.tables();
    if (!tables && tables.error().system_errno == EINTR) continue;  // changed meanwhile
    if (!tables) return tables.error();
    if (keep_texts(*tables)) return tables;
    auto text = nft_.run("list ruleset\n");
    const auto after = dump_.generation();
    if (!after) return after.error();
    if (*after != *before) continue;
    if (!text) return text.error();
    if (read_nft_listing(*text, *tables) || i == kTries - 1) return tables;
    last = unavailable("list nftables' rules: nft's listing is not understood");
  }
  return last;
}

void Lister::add_iptables_texts(std::vector<ListedTable>& tables, Logger& log) {
  for (auto& table : tables) {
    if (!may_be_iptables(table) || table.iptables) continue;
    const auto program = find_program(table.family == NFPROTO_IPV4 ? "iptables-nft" : "ip6tables-nft");
    if (!program) continue;
    const auto text =
        output_of({*program, "-t", table.name, "-n", "-v", "--line-numbers", "-L"}, kIptablesPatience, kIptablesOutput);
    if (!text) {
      log.debug(text.error().message + ": the rules of its table " + table.name + " are shown as nft does");
      continue;
    }
    if (!read_iptables_listing(*text, table)) log.debug(table.name + ": not as iptables lists it, shown as nft does");
  }
}

Result<std::vector<ListedTable>> Lister::list(Logger& log) {
  constexpr int kTries = 3;
  for (int i = 0; i < kTries; ++i) {
    auto tables = list_nft();
    if (!tables) return tables;
    const auto before = dump_.generation();
    add_iptables_texts(*tables, log);
    const auto after = dump_.generation();
    if (!before || !after) return (before ? after : before).error();
    if (*before != *after) continue;
    listed_ = *tables;
    return tables;
  }
  return unavailable("list iptables' rules: they change all the time");
}

void Ruleset::take(const std::vector<ListedTable>& tables) {
  decltype(rules_) rules;
  decltype(policies_) policies;
  base_chains_.clear();
  const auto keep = [](auto& old, const auto& key, std::uint64_t table_handle) {
    const auto found = old.find(key);
    const bool same = found != old.end() && !found->second->gone && found->second->table_handle == table_handle;
    return same ? found->second : std::make_shared<KnownRule>();
  };
  for (const auto& table : tables) {
    for (const auto& chain : table.chains) {
      const ChainKey name{table.family, table.name, chain.name};
      if (chain.base) {
        base_chains_[name] = {chain.hook, chain.priority, chain.type, table.ours};
        auto& policy = policies[name] = keep(policies_, name, table.handle);
        *policy = {table.family, table.name, table.handle, chain.name, 0, 0, false, {"policy", ""}, false};
      }
      std::uint32_t number = 0;
      for (const auto& rule : chain.rules) {
        const RuleKey key{table.family, table.name, rule.handle};
        auto& known = rules[key] = keep(rules_, key, table.handle);
        *known = {table.family, table.name,   table.handle, chain.name, rule.handle,
                  ++number,     rule.rejects, rule.text,    false};
      }
    }
  }
  const auto mark_gone = [](const auto& old, const auto& now) {
    for (const auto& [key, rule] : old) {
      const auto found = now.find(key);
      if (found == now.end() || found->second != rule) rule->gone = true;
    }
  };
  mark_gone(rules_, rules);
  mark_gone(policies_, policies);
  rules_ = std::move(rules);
  policies_ = std::move(policies);
}

void Ruleset::table_gone(std::uint8_t family, const std::string& table) {
  const auto drop = [&](auto& all) {
    for (auto at = all.begin(); at != all.end();) {
      const bool its = at->second->family == family && at->second->table == table;
      if (its) at->second->gone = true;
      at = its ? all.erase(at) : std::next(at);
    }
  };
  drop(rules_);
  drop(policies_);
}

// Its rules are said to be gone one by one.
void Ruleset::chain_gone(std::uint8_t family, const std::string& table, const std::string& chain) {
  const ChainKey name{family, table, chain};
  base_chains_.erase(name);
  const auto found = policies_.find(name);
  if (found == policies_.end()) return;
  found->second->gone = true;
  policies_.erase(found);
}

void Ruleset::rule_gone(std::uint8_t family, const std::string& table, std::uint64_t handle) {
  const auto found = rules_.find({family, table, handle});
  if (found == rules_.end()) return;
  found->second->gone = true;
  rules_.erase(found);
}

std::shared_ptr<const KnownRule> Ruleset::rule(const TraceRun& run) const {
  if (!run.handle) {
    const auto found = policies_.find({run.family, run.table, run.base_chain});
    return found != policies_.end() ? found->second : nullptr;
  }
  const auto found = rules_.find({run.family, run.table, *run.handle});
  return found != rules_.end() && found->second->chain == run.chain ? found->second : nullptr;
}

bool Ruleset::queues() const {
  return std::any_of(rules_.begin(), rules_.end(), [](const auto& item) {
    const std::string& target = item.second->text.target;
    return target == "QUEUE" || target == "NFQUEUE";
  });
}

const BaseChain* Ruleset::base_chain(const TraceRun& run) const {
  const auto found = base_chains_.find({run.family, run.table, run.base_chain});
  return found != base_chains_.end() ? &found->second : nullptr;
}

namespace {

// Chains whose accepting decides nothing: address translation, and iptables' tables that are not for filtering.
bool is_filter(const TraceRun& run, const BaseChain& chain) {
  const bool ip = run.family == NFPROTO_IPV4 || run.family == NFPROTO_IPV6;
  return chain.type == "filter" && !chain.ours && !(ip && (run.table == "raw" || run.table == "mangle"));
}

bool is_inet(std::uint8_t family) {
  return family == NFPROTO_INET || family == NFPROTO_IPV4 || family == NFPROTO_IPV6;
}

bool is_final_hook(std::uint32_t hook) {
  return hook == NF_INET_LOCAL_IN || hook == NF_INET_FORWARD || hook == NF_INET_LOCAL_OUT;
}

}  // namespace

const TraceRun* deciding_run(const TracedPacket& packet, const Ruleset& ruleset) {
  const TraceRun* by_rule = nullptr;
  const TraceRun* by_policy = nullptr;
  for (const auto& run : packet.runs) {
    if (!is_inet(run.family)) continue;
    const BaseChain* chain = ruleset.base_chain(run);
    if (chain == nullptr || run.chain.empty()) {
      // a chain that was deleted meanwhile may have decided it, or messages were lost
      if (chain == nullptr || is_filter(run, *chain)) return nullptr;
      continue;
    }
    if (run.verdict == NF_DROP || run.verdict == NF_STOLEN) return &run;
    if (!is_filter(run, *chain) || !is_final_hook(chain->hook)) continue;
    (run.handle ? by_rule : by_policy) = &run;
  }
  return by_rule != nullptr ? by_rule : by_policy;
}

}  // namespace fffa::ebpf
