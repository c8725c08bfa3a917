// SPDX-License-Identifier: MIT
// The ground that the other netfilter tests stand on: rules count what was sent, without fffa.
#include <gtest/gtest.h>

#include "netfilter_cases.h"

namespace fffa::integration {
namespace {

struct Setting {
  Dialect dialect;
  Nat nat;
};
class NetfilterHarness : public ::testing::TestWithParam<Setting> {};

TEST_P(NetfilterHarness, RulesCountWhatWasSent) {
  const RoutedPath path;
  CaseRules rules(path, GetParam().dialect, GetParam().nat);
  if (!rules.left_out().empty()) std::cout << "left out: " << rules.left_out() << std::endl;
  rules.send();
  for (const auto& flow : rules.flows()) {
    const std::string where = flow.proto + " " + flow.sent.src + " to " + flow.sent.dst + ", " + flow.what->name;
    const Count count = rules.counted(flow);
    if (flow.what->proto == Proto::tcp && flow.accepted()) {
      EXPECT_GE(count.packets, flow.what->packets) << where;
    } else if (!flow.reply) {
      EXPECT_EQ(count.packets, flow.what->packets) << where;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Rules, NetfilterHarness,
                         ::testing::Values(Setting{Dialect::iptables, Nat::none}, Setting{Dialect::nft, Nat::none},
                                           Setting{Dialect::iptables, Nat::both}, Setting{Dialect::nft, Nat::both}),
                         [](const auto& parameter) {
                           return std::string(parameter.param.dialect == Dialect::nft ? "nft" : "iptables") +
                                  (parameter.param.nat == Nat::none ? "" : "Nat");
                         });

}  // namespace
}  // namespace fffa::integration
