// SPDX-License-Identifier: MIT
// What the source reports of real traffic, against the counters of the interface's peer.
#include <gtest/gtest.h>

#include <set>

#include "live_source.h"
#include "netns.h"
#include "traffic.h"

namespace fffa {
static void PrintTo(const Volume& volume, std::ostream* out) {
  *out << volume.packets << " packets, " << volume.bytes << " bytes";
}
}  // namespace fffa

namespace fffa::integration {
namespace {

constexpr std::uint64_t kEthernet = 14;  // bytes of a frame that no flow counts

// The peer's counters between two moments, as the interface here sees it. What a veth sends to one with native XDP it
// counts without Ethernet headers.
struct Truth {
  Volume ingress, egress;
};
Truth between(const Counters& before, const Counters& after, bool native_xdp) {
  const std::uint64_t sent = after.tx_packets - before.tx_packets;
  const std::uint64_t received = after.rx_packets - before.rx_packets;
  return {{sent, after.tx_bytes - before.tx_bytes - (native_xdp ? 0 : sent * kEthernet)},
          {received, after.rx_bytes - before.rx_bytes - received * kEthernet}};
}

// A source, and the peer's counters when it attached. The kernel's own reports of multicast groups may come at that
// very moment, before or behind our hooks: then it is done over.
struct Started {
  std::unique_ptr<LiveSource> source;
  Counters before;
};
Started start_at_rest(const VethPair& veth, const std::string& options) {
  for (int tries = 0; tries < 5; ++tries) {
    const Counters before = veth.peer_at_rest();
    auto source = std::make_unique<LiveSource>(veth.here, "interfaces: [veth0]\n" + options);
    if (!source->error().empty()) throw std::runtime_error(source->error());
    if (veth.peer() == before) return {std::move(source), before};
  }
  throw std::runtime_error("the interface does not come to rest");
}

void expect_balance(const Account& account) {
  EXPECT_EQ(account.lost, Volume{});
  Volume sum = account.records;
  sum += account.filtered;
  sum += account.lost;
  EXPECT_EQ(account.seen, sum);
}

void mixed_traffic(const VethPair& veth) {
  for (const auto* address : {kThere4, kThere6}) {
    tcp_bulk(veth.here, veth.there, address, 4, 2'000'000);
    tcp_short(veth.here, veth.there, address, 500);
    udp_exchange(veth.here, veth.there, address, 10, 50);
    echo(veth.here, address, 20);
  }
  tcp_bulk(veth.there, veth.here, kHere4, 2, 1'000'000);
}

class Hooks : public ::testing::TestWithParam<const char*> {};

TEST_P(Hooks, CountWhatThePeerCounts) {
  const VethPair veth;
  const std::string hook = GetParam();
  auto [source, before] = start_at_rest(veth, "drain_interval: 200ms\ningress: " + hook);
  mixed_traffic(veth);
  const Truth truth = between(before, veth.peer_at_rest(), hook == "xdp-native");
  source->stop();
  ASSERT_EQ(source->error(), "");
  Account account = source->account();
  EXPECT_GT(truth.ingress.packets, 5000u);
  EXPECT_EQ(account.by_direction[Direction::ingress], truth.ingress);
  EXPECT_EQ(account.by_direction[Direction::egress], truth.egress);
  expect_balance(account);
}
INSTANTIATE_TEST_SUITE_P(Ingress, Hooks, ::testing::Values("xdp-native", "xdp-generic", "tc"));

}  // namespace
}  // namespace fffa::integration
