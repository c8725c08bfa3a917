// SPDX-License-Identifier: MIT
// What the source says of live TCP under loss, delay and reordering, against what the sender's socket says (tcp_info) and
// what the forwarder in between did.
#include <gtest/gtest.h>

#include <chrono>

#include "live_source.h"
#include "measured.h"
#include "netns.h"
#include "relay.h"
#include "traffic.h"

namespace fffa::integration {
namespace {

class Loss : public ::testing::TestWithParam<bool> {};

TEST_P(Loss, RetransmissionsAreTheSocketsOwn) {
  const VethPair veth(GetParam());
  for (const char* table : {"iptables", "ip6tables"}) {
    run({"ip", "netns", "exec", veth.there.name(), table, "-w", "-A", "INPUT", "-p", "tcp", "--dport", "7777", "-m",
         "statistic", "--mode", "random", "--probability", "0.02", "-j", "DROP"});
  }
  LiveSource source(veth.here, "{interfaces: [veth0], drain_interval: 200ms}");
  ASSERT_EQ(source.error(), "");
  TcpTotals truth = tcp_bulk(veth.here, veth.there, kThere4, 4, 3'000'000);
  const TcpTotals six = tcp_bulk(veth.here, veth.there, kThere6, 4, 3'000'000);
  truth.retransmits += six.retransmits;
  source.stop();
  const Measured measured = data_direction(source, Direction::egress);
  EXPECT_GT(truth.retransmits, 20u);
  EXPECT_EQ(measured.retransmissions, truth.retransmits);
  EXPECT_EQ(measured.out_of_order, 0u) << "nothing is reordered where it is sent";
  expect_balance(source);
}
INSTANTIATE_TEST_SUITE_P(Offloads, Loss, ::testing::Bool(),
                         [](const auto& offloads) { return std::string(offloads.param ? "on" : "off"); });

TEST(Relay, DelayIsTheSmallestRoundTrip) {
  RelayedPair path({.delay = std::chrono::milliseconds(10)});
  LiveSource source(path.here, "{interfaces: [veth0], drain_interval: 200ms}");
  ASSERT_EQ(source.error(), "");
  const TcpTotals truth = tcp_bulk(path.here, path.there, kThere4, 1, 1'000'000);
  source.stop();
  const Measured measured = data_direction(source, Direction::egress);
  EXPECT_GE(truth.min_rtt_us, 20000u);
  ASSERT_GT(measured.rtt_samples, 5u);
  EXPECT_NEAR(measured.min_rtt_us, truth.min_rtt_us, truth.min_rtt_us / 10);
  EXPECT_EQ(measured.retransmissions, truth.retransmits);
  expect_balance(source);
}

TEST(Relay, LossIsTheSocketsOwn) {
  RelayedPair path({.delay = std::chrono::milliseconds(5), .loss = 0.02});
  LiveSource source(path.here, "{interfaces: [veth0], drain_interval: 200ms}");
  LiveSource receiver(path.there, "{interfaces: [peer0], drain_interval: 200ms}");
  ASSERT_EQ(source.error() + receiver.error(), "");
  const TcpTotals truth = tcp_bulk(path.here, path.there, kThere4, 1, 2'000'000);
  source.stop();
  receiver.stop();
  const RelayTruth delivered = path.stop();
  EXPECT_GT(delivered.lost, 10u);
  const Measured sender = data_direction(source, Direction::egress);
  EXPECT_EQ(sender.retransmissions, truth.retransmits);
  EXPECT_EQ(sender.out_of_order, 0u);
  const Measured late = data_direction(receiver, Direction::ingress);
  EXPECT_EQ(late.retransmissions + late.out_of_order, delivered.late);
}

TEST(Relay, ReorderingIsSeenWhereItArrives) {
  RelayedPair path({.delay = std::chrono::milliseconds(5), .held_longer = std::chrono::milliseconds(1), .hold_every = 40});
  LiveSource source(path.here, "{interfaces: [veth0], drain_interval: 200ms}");
  LiveSource receiver(path.there, "{interfaces: [peer0], drain_interval: 200ms}");
  ASSERT_EQ(source.error() + receiver.error(), "");
  const TcpTotals truth = tcp_bulk(path.here, path.there, kThere4, 1, 2'000'000);
  source.stop();
  receiver.stop();
  const RelayTruth delivered = path.stop();
  const Measured sender = data_direction(source, Direction::egress);
  EXPECT_EQ(sender.retransmissions, truth.retransmits);
  EXPECT_EQ(sender.out_of_order, 0u);
  const Measured arrived = data_direction(receiver, Direction::ingress);
  EXPECT_GT(delivered.late, 10u);
  EXPECT_EQ(arrived.out_of_order + arrived.retransmissions, delivered.late);
  EXPECT_GE(arrived.out_of_order + truth.retransmits, delivered.late) << "only what was sent again may be called so";
}

TEST(Throughput, TenSecondsOfFourStreamsLoseNothing) {
  const VethPair veth(true);
  LiveSource source(veth.here, "{interfaces: [veth0], drain_interval: 1s, ingress: tc}");
  ASSERT_EQ(source.error(), "");
  const TcpTotals truth = tcp_for(veth.here, veth.there, kThere4, 4, std::chrono::seconds(10));
  source.stop();
  const Measured measured = data_direction(source, Direction::egress);
  EXPECT_EQ(measured.packets, truth.segments_out);
  EXPECT_EQ(measured.retransmissions, truth.retransmits);
  expect_balance(source);
}

}  // namespace
}  // namespace fffa::integration
