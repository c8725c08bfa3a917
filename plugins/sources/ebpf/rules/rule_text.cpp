// SPDX-License-Identifier: MIT
#include "rule_text.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "fffa/text.h"

namespace fffa::ebpf {
namespace {

// C0 and C1 controls, DEL, and the two separators that JSON readers and terminals take for a line's end.
bool is_control(std::string_view sequence) {
  const auto first = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1) return first < 0x20 || first == 0x7f;
  return (first == 0xc2 && static_cast<unsigned char>(sequence[1]) < 0xa0) || sequence == "\u2028" ||
         sequence == "\u2029";
}

struct Word {
  std::string_view text;
  std::size_t at = 0;
};

// Words outside quotes and braces; what is in either stays one word with what it touches.
std::vector<Word> split_words(std::string_view text) {
  std::vector<Word> words;
  std::size_t begin = std::string_view::npos;
  bool quoted = false;
  int depth = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const bool end = i == text.size();
    const char c = end ? ' ' : text[i];
    if (!end && c == '"') quoted = !quoted;
    if (!quoted && c == '{') ++depth;
    if (!quoted && c == '}' && depth > 0) --depth;
    const bool space = end || (!quoted && depth == 0 && std::isspace(static_cast<unsigned char>(c)) != 0);
    if (!space && begin == std::string_view::npos) begin = i;
    if (space && begin != std::string_view::npos) {
      words.push_back({text.substr(begin, i - begin), begin});
      begin = std::string_view::npos;
    }
  }
  return words;
}

constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kVerdicts{{{"accept", "ACCEPT"},
                                                                                  {"drop", "DROP"},
                                                                                  {"reject", "REJECT"},
                                                                                  {"queue", "QUEUE"},
                                                                                  {"jump", "JUMP"},
                                                                                  {"goto", "GOTO"},
                                                                                  {"return", "RETURN"},
                                                                                  {"continue", "CONTINUE"}}};

std::string_view verdict_name(std::string_view word) {
  for (const auto& [text, name] : kVerdicts) {
    if (word == text) return name;
  }
  return {};
}

template <std::size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& all) {
  return std::find(all.begin(), all.end(), word) != all.end();
}

// Where the statement that begins with words[i] ends, if it is one that only counts or logs; else i.
std::size_t skip_silent(const std::vector<Word>& words, std::size_t i) {
  static constexpr std::array<std::string_view, 3> counter{"name", "packets", "bytes"};
  static constexpr std::array<std::string_view, 6> log{"prefix",  "level",           "group",
                                                       "snaplen", "queue-threshold", "flags"};
  const bool counts = words[i].text == "counter";
  if (!counts && words[i].text != "log") return i;
  std::size_t next = i + 1;
  while (next + 1 < words.size() &&
         (counts ? is_one_of(words[next].text, counter) : is_one_of(words[next].text, log))) {
    // `flags tcp sequence,options` and `flags ip options` take two words
    const bool two = words[next].text == "flags" && (words[next + 1].text == "tcp" || words[next + 1].text == "ip");
    next += two ? 3 : 2;
  }
  return std::min(next, words.size());
}

// The rule without its comment, which nft prints last.
std::string_view without_comment(std::string_view text, const std::optional<std::string>& comment) {
  if (!comment) return text;
  const std::string tail = " comment \"" + *comment + "\"";
  if (text.ends_with(tail)) text.remove_suffix(tail.size());
  return text;
}

}  // namespace

std::string clean_text(std::string_view raw, std::size_t limit) {
  static constexpr std::string_view replacement = "\xef\xbf\xbd";
  std::string out;
  bool space = false;  // owed, if anything follows
  while (!raw.empty()) {
    const std::size_t length = utf8_length(raw);
    const std::string_view sequence = raw.substr(0, std::max<std::size_t>(length, 1));
    raw.remove_prefix(sequence.size());
    if (length != 0 && (sequence == " " || is_control(sequence))) {
      space = !out.empty();
      continue;
    }
    if (space) out += ' ';
    space = false;
    out += length == 0 ? replacement : sequence;
    if (out.size() > limit + 3) break;
  }
  if (out.size() <= limit) return out;
  std::size_t end = limit > 3 ? limit - 3 : 0;
  while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xc0) == 0x80) --end;
  out.resize(end);
  return out + "...";
}

RuleText parse_nft_rule(std::string_view text, const std::optional<std::string>& comment) {
  text = without_comment(text, comment);
  auto words = split_words(text);
  RuleText rule;
  // a verdict ends the rule, so it is the last such word: one before it may be a name (`ct label drop`)
  for (std::size_t i = words.size(); i-- > 0 && rule.target.empty();) {
    const auto name = verdict_name(words[i].text);
    if (name.empty()) continue;
    // `jump drop`: a chain's name
    const bool is_name = i > 0 && (words[i - 1].text == "jump" || words[i - 1].text == "goto");
    rule.target = is_name ? verdict_name(words[i - 1].text) : name;
    words.resize(is_name ? i - 1 : i);
  }
  std::string match;
  for (std::size_t i = 0; i < words.size();) {
    const std::size_t next = skip_silent(words, i);
    if (next == i) {
      if (!match.empty()) match += ' ';
      match += words[i++].text;
    } else {
      i = next;
    }
  }
  if (comment) match += std::string(match.empty() ? "" : " ") + "comment \"" + *comment + "\"";
  rule.match = clean_text(match);
  return rule;
}

namespace {

// Finds `what` from `from` on and gives the place behind it.
std::optional<std::size_t> behind(std::string_view text, std::string_view what, std::size_t from) {
  const std::size_t at = text.find(what, from);
  if (at == std::string_view::npos) return std::nullopt;
  return at + what.size();
}

std::string_view family_name(std::uint8_t family) {
  switch (family) {  // NFPROTO_*
    case 1: return "inet";
    case 2: return "ip";
    case 3: return "arp";
    case 5: return "netdev";
    case 7: return "bridge";
    case 10: return "ip6";
    default: return "?";
  }
}

// The rule whose line begins at `at`; moves `at` behind it.
bool read_nft_rule(std::string_view listing, std::size_t& at, ListedRule& rule) {
  std::string tail = " # handle " + std::to_string(rule.handle) + "\n";
  std::string with_comment;
  if (rule.comment) with_comment = " comment \"" + *rule.comment + "\"" + tail;
  auto end = rule.comment ? behind(listing, with_comment, at) : std::nullopt;
  if (!end) end = behind(listing, tail, at);  // nft says nothing of iptables' comments
  if (!end) return false;
  if (!rule.text_known) rule.text = parse_nft_rule(listing.substr(at, *end - tail.size() - at), rule.comment);
  rule.text_known = true;
  at = *end;
  return true;
}

// What stands between a chain's head and its first rule: a comment, and what makes it a base chain.
bool skip_preamble(std::string_view listing, std::size_t& at, const ListedChain& chain) {
  std::optional<std::size_t> end = at;
  if (listing.substr(at).starts_with("\t\tcomment \"")) end = behind(listing, "\"\n", at);
  if (end && chain.base && listing.substr(*end).starts_with("\t\ttype ")) end = behind(listing, "\n", *end);
  if (end) at = *end;
  return end.has_value();
}

}  // namespace

bool read_nft_listing(std::string_view listing, std::vector<ListedTable>& tables) {
  std::size_t at = 0;
  for (auto& table : tables) {
    const std::string head = "table " + std::string(family_name(table.family)) + " " + table.name + " {";
    const auto body = behind(listing, head, at);
    if (!body) return false;
    at = *body;
    for (auto& chain : table.chains) {
      const std::string chain_head = "\n\tchain " + chain.name + " { # handle " + std::to_string(chain.handle) + "\n";
      const auto first = behind(listing, chain_head, at);
      if (!first) return false;
      at = *first;
      if (!skip_preamble(listing, at, chain)) return false;
      for (auto& rule : chain.rules) {
        if (!read_nft_rule(listing, at, rule)) return false;
      }
      --at;  // the next chain's head begins with the line's end
    }
  }
  return true;
}

namespace {

// The next word, and what is behind it.
std::string_view take_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

bool is_number(std::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

// `-n` of iptables 1.8.9 prints numbers, other versions names.
std::string protocol_name(std::string_view word) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 9> names{{{"1", "icmp"},
                                                                                       {"6", "tcp"},
                                                                                       {"17", "udp"},
                                                                                       {"47", "gre"},
                                                                                       {"50", "esp"},
                                                                                       {"51", "ah"},
                                                                                       {"58", "ipv6-icmp"},
                                                                                       {"132", "sctp"},
                                                                                       {"136", "udplite"}}};
  const bool inverted = word.starts_with('!');
  if (inverted) word.remove_prefix(1);
  for (const auto& [number, name] : names) {
    if (word == number) word = name;
  }
  std::string text = is_number(word) ? "proto:" : "";
  return text + (inverted ? "!" : "") + std::string(word);
}

bool is_any_address(std::string_view word) {
  return word == "0.0.0.0/0" || word == "::/0" || word == "anywhere";
}

void append(std::string& text, std::string_view more) {
  if (more.empty()) return;
  if (!text.empty()) text += ' ';
  text += more;
}

std::string_view trim(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// Behind the number, the counters and the target.
std::string iptables_match(std::string_view line) {
  const std::string protocol = protocol_name(take_word(line));
  std::string_view word = take_word(line);
  std::string text;
  if (word == "--" || word == "-f" || word == "!f") {
    if (word != "--") append(text, word);
    word = take_word(line);
  }
  if (word != "*") append(text, "in:" + std::string(word));
  if (word = take_word(line); word != "*") append(text, "out:" + std::string(word));
  if (word = take_word(line); !is_any_address(word)) append(text, "src:" + std::string(word));
  if (word = take_word(line); !is_any_address(word)) append(text, "dst:" + std::string(word));
  std::string_view rest = trim(line);
  if (rest.starts_with("[goto]")) rest = trim(rest.substr(6));
  const bool named = rest == protocol || rest.starts_with(protocol + " ") || rest.starts_with(protocol + "type ");
  if (!named && protocol != "all" && protocol != "proto:0") append(text, protocol);
  append(text, rest);
  return text;
}

// "12     0     0 ACCEPT     6    --  *      *       ..."; nothing where the line is not rule `number`.
std::optional<RuleText> iptables_rule(std::string_view line, std::size_t number) {
  if (take_word(line) != std::to_string(number)) return std::nullopt;
  for (int counters = 0; counters < 2; ++counters) {
    const auto word = take_word(line);
    if (word.empty() || std::isdigit(static_cast<unsigned char>(word[0])) == 0) return std::nullopt;
  }
  if (line.size() < 2) return std::nullopt;
  line.remove_prefix(1);
  RuleText rule;
  if (line[0] != ' ') rule.target = take_word(line);  // a rule may have none
  rule.match = std::string(line);
  return rule;
}

struct IptablesChain {
  std::string_view name;
  std::vector<RuleText> rules;
};

std::vector<IptablesChain> split_iptables(std::string_view listing) {
  std::vector<IptablesChain> chains;
  while (!listing.empty()) {
    const std::string_view line = listing.substr(0, listing.find('\n'));
    listing.remove_prefix(std::min(line.size() + 1, listing.size()));
    if (line.starts_with("Chain ")) {
      std::string_view rest = line.substr(6);
      chains.push_back({take_word(rest), {}});
    } else if (!chains.empty() && !line.starts_with("num ")) {
      auto& rules = chains.back().rules;
      if (auto rule = iptables_rule(line, rules.size() + 1)) {
        rules.push_back(std::move(*rule));
      } else if (!rules.empty() && !line.empty()) {
        rules.back().match += "\n" + std::string(line);  // of a comment with several lines
      }
    }
  }
  return chains;
}

}  // namespace

bool read_iptables_listing(std::string_view listing, ListedTable& table) {
  const auto chains = split_iptables(listing);
  std::map<std::string_view, const IptablesChain*> by_name;
  for (const auto& chain : chains) {
    if (!by_name.emplace(chain.name, &chain).second) return false;
  }
  for (const auto& chain : table.chains) {
    const auto found = by_name.find(chain.name);
    if (found == by_name.end() || found->second->rules.size() != chain.rules.size()) return false;
    by_name.erase(found);
  }
  // chains that the kernel does not have are iptables' own, and empty
  if (std::any_of(by_name.begin(), by_name.end(), [](const auto& one) { return !one.second->rules.empty(); }))
    return false;
  for (const auto& chain : chains) by_name[chain.name] = &chain;
  for (auto& chain : table.chains) {
    const auto& texts = by_name[chain.name]->rules;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      chain.rules[i].text = {clean_text(texts[i].target), clean_text(iptables_match(texts[i].match))};
      chain.rules[i].text_known = true;
    }
  }
  table.iptables = true;
  return true;
}

}  // namespace fffa::ebpf
