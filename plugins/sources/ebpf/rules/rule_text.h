// SPDX-License-Identifier: MIT
// Rules as text: what nft and iptables print, taken apart. Any bytes may stand in comments.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fffa::ebpf {

inline constexpr std::size_t kMaxMatchText = 512;

// Valid UTF-8 without control characters: a run of them becomes one space, a byte that is not UTF-8 U+FFFD. Cut to
// `limit` bytes, with "..." at the end where something was cut.
std::string clean_text(std::string_view raw, std::size_t limit = kMaxMatchText);

struct RuleText {
  std::string target;  // ACCEPT, DROP, REJECT, QUEUE, JUMP, ...; empty: the rule's text decides nothing by itself
  std::string match;
};

// One rule as nft prints it (stateless, without its handle); `comment` as the kernel has it, where it has one.
RuleText parse_nft_rule(std::string_view text, const std::optional<std::string>& comment);

// What is in a ruleset, from the kernel's own listing: what the text is read by.
struct ListedRule {
  std::uint64_t handle = 0;
  std::optional<std::string> comment;
  bool rejects = false;
  RuleText text;
  bool text_known = false;
};
struct ListedChain {
  std::string name;
  std::uint64_t handle = 0;
  std::vector<ListedRule> rules;
  // base chains only
  bool base = false;
  std::uint32_t hook = 0;  // NF_INET_*
  std::int32_t priority = 0;
  std::string type;  // filter, nat, route
};
struct ListedTable {
  std::uint8_t family = 0;  // NFPROTO_*
  std::string name;
  std::uint64_t handle = 0;
  bool ours = false;      // it belongs to a process (NFT_TABLE_F_OWNER) that gave it a name of fffa's
  bool iptables = false;  // the texts are as iptables shows them
  std::vector<ListedChain> chains;
};

// Fills in the rules' texts from `nft -a -s -t list ruleset`. The handles say where a rule ends, so that a comment that
// looks like a rule is none. False: the text does not belong to these tables, and some rules have no text.
bool read_nft_listing(std::string_view listing, std::vector<ListedTable>& tables);

// Fills in the texts of one table from `iptables -t TABLE -n -v --line-numbers -L`. False, and nothing changed, where
// chains or their numbers of rules differ.
bool read_iptables_listing(std::string_view listing, ListedTable& table);

}  // namespace fffa::ebpf
