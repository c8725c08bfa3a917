// SPDX-License-Identifier: MIT
#include "rule_text.h"

#include <gtest/gtest.h>

namespace fffa::ebpf {
namespace {

std::string nft_rule(std::string_view text, const std::optional<std::string>& comment = std::nullopt) {
  const auto rule = parse_nft_rule(text, comment);
  return rule.target + " [" + rule.match + "]";
}

TEST(RuleText, CleanText) {
  EXPECT_EQ(clean_text("a  b\n\t\x7f c\x1b[0m "), "a b c [0m");
  EXPECT_EQ(clean_text("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"), "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
  // a stray byte, overlong, a surrogate, beyond the last code point, cut short
  EXPECT_EQ(clean_text("\xff"), "\xef\xbf\xbd");
  EXPECT_EQ(clean_text("\xc0\x80"), "\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(clean_text("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(clean_text("\xf4\x90\x80\x80").size(), 12U);
  EXPECT_EQ(clean_text("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(clean_text("a\xc2\x85\xe2\x80\xa8z"), "a z");
  EXPECT_EQ(clean_text("abcdefgh", 8), "abcdefgh");
  EXPECT_EQ(clean_text("abcdefghi", 8), "abcde...");
  EXPECT_EQ(clean_text("abcd\xc3\xa9"
                       "fgh",
                       8),
            "abcd...");
  EXPECT_EQ(clean_text(""), "");
}

TEST(RuleText, NftRules) {
  EXPECT_EQ(nft_rule("tcp dport 443 accept"), "ACCEPT [tcp dport 443]");
  EXPECT_EQ(nft_rule("drop"), "DROP []");
  EXPECT_EQ(nft_rule("tcp dport 443 counter packets 1 bytes 2 accept"), "ACCEPT [tcp dport 443]");
  EXPECT_EQ(nft_rule("counter name \"drop\" accept"), "ACCEPT []");
  EXPECT_EQ(nft_rule("ip saddr 10.0.0.0/8 log prefix \"x drop \" level warn flags all reject with tcp reset"),
            "REJECT [ip saddr 10.0.0.0/8]");
  EXPECT_EQ(nft_rule("log flags ip options udp dport 1 log group 2 snaplen 3 queue-threshold 4 drop"),
            "DROP [udp dport 1]");
  EXPECT_EQ(nft_rule("udp dport 1 queue flags bypass to 3-5"), "QUEUE [udp dport 1]");
  EXPECT_EQ(nft_rule("udp dport vmap { 1 : accept, 2 : drop }"), " [udp dport vmap { 1 : accept, 2 : drop }]");
  EXPECT_EQ(nft_rule("ct label drop accept"), "ACCEPT [ct label drop]");
  EXPECT_EQ(nft_rule("iifname \"drop\" jump accept"), "JUMP [iifname \"drop\"]");
  EXPECT_EQ(nft_rule("udp dport 1 limit rate 5/second accept", "a \"b\" drop"),
            "ACCEPT [udp dport 1 limit rate 5/second comment \"a \"b\" drop\"]");
  EXPECT_EQ(nft_rule("udp dport 1 accept comment \"drop\"", "drop"), "ACCEPT [udp dport 1 comment \"drop\"]");
  EXPECT_EQ(nft_rule("counter"), " []");
  EXPECT_EQ(nft_rule("log"), " []");
  EXPECT_EQ(nft_rule("jump"), "JUMP []");
  EXPECT_EQ(nft_rule(""), " []");
  EXPECT_EQ(nft_rule("\" { accept"), " [\" { accept]");
}

ListedRule rule(std::uint64_t handle, std::optional<std::string> comment = std::nullopt) {
  ListedRule made;
  made.handle = handle;
  made.comment = std::move(comment);
  return made;
}

ListedTable table(std::uint8_t family, std::string name, std::vector<ListedChain> chains) {
  ListedTable made;
  made.family = family;
  made.name = std::move(name);
  made.chains = std::move(chains);
  return made;
}

ListedChain chain(std::string name, std::uint64_t handle, bool base, std::vector<ListedRule> rules) {
  ListedChain made;
  made.name = std::move(name);
  made.handle = handle;
  made.base = base;
  made.rules = std::move(rules);
  return made;
}

TEST(RuleText, NftListing) {
  const std::string listing =
      "table inet t { # handle 4\n\tset big { # handle 1\n\t\ttype ipv4_addr\n\t}\n\n"
      "\tchain c { # handle 2\n\t\tcomment \"x\ny\"\n\t\ttype filter hook input priority filter; policy drop;\n"
      "\t\tudp dport 1 accept comment \"a\n\t\tdrop # handle 5\n\" # handle 3\n"
      "\t\tudp dport 2 drop # handle 5\n\t}\n\n"
      "\tchain d { # handle 9\n\t\tjump e # handle 10\n\t}\n}\ntable ip u { # handle 5\n}\n";
  std::vector<ListedTable> tables{
      table(1, "t",
            {chain("c", 2, true, {rule(3, "a\n\t\tdrop # handle 5\n"), rule(5)}), chain("d", 9, false, {rule(10)})}),
      table(2, "u", {})};
  ASSERT_TRUE(read_nft_listing(listing, tables));
  const auto& c = tables[0].chains[0].rules;
  EXPECT_EQ(c[0].text.target, "ACCEPT");
  EXPECT_EQ(c[0].text.match, "udp dport 1 comment \"a drop # handle 5 \"");
  EXPECT_EQ(c[1].text.target, "DROP");
  EXPECT_EQ(c[1].text.match, "udp dport 2");
  EXPECT_EQ(tables[0].chains[1].rules[0].text.target, "JUMP");
}

TEST(RuleText, NftListingOfAnotherRuleset) {
  const std::string listing = "table inet t { # handle 4\n\tchain c { # handle 2\n\t\tdrop # handle 3\n\t}\n}\n";
  for (const auto& other :
       {table(2, "t", {}), table(1, "u", {}), table(1, "t", {chain("d", 2, false, {})}),
        table(1, "t", {chain("c", 3, false, {})}), table(1, "t", {chain("c", 2, false, {rule(4)})})}) {
    std::vector<ListedTable> tables{other};
    EXPECT_FALSE(read_nft_listing(listing, tables));
  }
}

constexpr std::string_view kIptables =
    "Chain INPUT (policy ACCEPT 0 packets, 0 bytes)\n"
    "num   pkts bytes target     prot opt in     out     source               destination         \n"
    "1        0     0 ACCEPT     6    --  *      *       0.0.0.0/0            0.0.0.0/0            tcp dpt:443\n"
    "2      12K   12M            6    --  lo     !eth0  !10.0.0.0/8           1.2.3.4             /* a\n"
    "b \"c\" */ d */\n"
    "3        0     0 a_chain_of_quite_a_length  17   -f  *      *       0.0.0.0/0            0.0.0.0/0           "
    "[goto]  multiport dports 1,2\n"
    "4        0     0 DROP       all  --  *      *       0.0.0.0/0            0.0.0.0/0           \n"
    "5        0     0 DROP       99   --  *      *       0.0.0.0/0            0.0.0.0/0           \n"
    "\nChain a_chain_of_quite_a_length (1 references)\n"
    "num   pkts bytes target     prot opt in     out     source               destination         \n";

TEST(RuleText, IptablesListing) {
  auto filter = table(2, "filter",
                      {chain("INPUT", 1, true, {rule(2), rule(3), rule(4), rule(5), rule(6)}),
                       chain("a_chain_of_quite_a_length", 7, false, {})});
  ASSERT_TRUE(read_iptables_listing(kIptables, filter));
  EXPECT_TRUE(filter.iptables);
  const auto& rules = filter.chains[0].rules;
  EXPECT_EQ(rules[0].text.target + " " + rules[0].text.match, "ACCEPT tcp dpt:443");
  EXPECT_EQ(rules[1].text.target + " " + rules[1].text.match,
            " in:lo out:!eth0 src:!10.0.0.0/8 dst:1.2.3.4 tcp /* a b \"c\" */ d */");
  EXPECT_EQ(rules[2].text.target + " " + rules[2].text.match, "a_chain_of_quite_a_length -f udp multiport dports 1,2");
  EXPECT_EQ(rules[3].text.target + " " + rules[3].text.match, "DROP ");
  EXPECT_EQ(rules[4].text.target + " " + rules[4].text.match, "DROP proto:99");
}

// ip6tables before 1.8.9 prints nothing under `opt`.
TEST(RuleText, IptablesListingWithoutOptions) {
  auto filter = table(10, "filter", {chain("INPUT", 1, true, {rule(2)})});
  ASSERT_TRUE(
      read_iptables_listing("Chain INPUT (policy ACCEPT)\n"
                            "1        0     0 DROP       tcp      eth0   *       ::/0                 fd00::1  "
                            "           tcp dpt:22\n",
                            filter));
  EXPECT_EQ(filter.chains[0].rules[0].text.match, "in:eth0 dst:fd00::1 tcp dpt:22");
}

TEST(RuleText, IptablesListingOfAnotherTable) {
  auto fewer = table(2, "filter", {chain("INPUT", 1, true, {rule(2)})});
  EXPECT_FALSE(read_iptables_listing(kIptables, fewer));
  auto another = table(2, "filter", {chain("FORWARD", 1, true, {})});
  EXPECT_FALSE(read_iptables_listing(kIptables, another));
  auto none = table(2, "filter", {});
  EXPECT_FALSE(read_iptables_listing(kIptables, none));
  EXPECT_FALSE(read_iptables_listing("Chain A (x)\nChain A (y)\n", none));
  EXPECT_TRUE(read_iptables_listing("", none));
}

}  // namespace
}  // namespace fffa::ebpf
