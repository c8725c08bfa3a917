// SPDX-License-Identifier: MIT
// What the source says of live TCP under loss, delay and reordering, against what the sender's socket says (tcp_info)
// and what the forwarder in between did.
#include <gtest/gtest.h>

#include <chrono>

#include "live_source.h"
#include "measured.h"
#include "netns.h"
#include "relay.h"
#include "traffic.h"

namespace fffa::integration {
namespace {

constexpr const char* kSender = "{interfaces: [veth0], drain_interval: 200ms}";
constexpr const char* kReceiver = "{interfaces: [peer0], drain_interval: 200ms}";

class Loss : public ::testing::TestWithParam<bool> {};

TEST_P(Loss, RetransmissionsAreTheSocketsOwn) {
  const VethPair veth(GetParam());
  for (const char* table : {"iptables", "ip6tables"}) {
    run({"ip",
         "netns",
         "exec",
         veth.there.name(),
         table,
         "-w",
         "-A",
         "INPUT",
         "-p",
         "tcp",
         "--dport",
         "7777",
         "-m",
         "statistic",
         "--mode",
         "random",
         "--probability",
         "0.02",
         "-j",
         "DROP"});
  }
  LiveSource source(veth.here, kSender);
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

// One bulk connection over a relayed path, watched at both ends.
struct Watched {
  TcpTotals socket;        // what the sender's socket says
  RelayTruth delivered;    // what the forwarder did
  Measured sent, arrived;  // what the sources at the two ends say of the data
};
Watched watch_bulk(RelayOptions options) {
  RelayedPair path(options);
  LiveSource source(path.here, kSender);
  LiveSource receiver(path.there, kReceiver);
  EXPECT_EQ(source.error() + receiver.error(), "");
  Watched seen;
  seen.socket = tcp_bulk(path.here, path.there, kThere4, 1, 2'000'000);
  source.stop();
  receiver.stop();
  seen.delivered = path.stop();
  seen.sent = data_direction(source, Direction::egress);
  seen.arrived = data_direction(receiver, Direction::ingress);
  return seen;
}

TEST(Relay, DelayIsTheSmallestRoundTrip) {
  RelayedPair path({.delay = std::chrono::milliseconds(10)});
  LiveSource source(path.here, kSender);
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
  const Watched seen = watch_bulk({.delay = std::chrono::milliseconds(5), .loss = 0.02});
  EXPECT_GT(seen.delivered.lost, 10u);
  EXPECT_EQ(seen.sent.retransmissions, seen.socket.retransmits);
  EXPECT_EQ(seen.sent.out_of_order, 0u);
  EXPECT_EQ(seen.arrived.retransmissions + seen.arrived.out_of_order, seen.delivered.late);
}

TEST(Relay, ReorderingIsSeenWhereItArrives) {
  const Watched seen = watch_bulk(
      {.delay = std::chrono::milliseconds(5), .held_longer = std::chrono::milliseconds(1), .hold_every = 40});
  EXPECT_EQ(seen.sent.retransmissions, seen.socket.retransmits);
  EXPECT_EQ(seen.sent.out_of_order, 0u);
  EXPECT_GT(seen.delivered.overtaken, 10u);
  EXPECT_GT(seen.arrived.out_of_order, 0u);
  EXPECT_EQ(seen.arrived.out_of_order + seen.arrived.retransmissions, seen.delivered.late);
  EXPECT_LE(seen.arrived.out_of_order, seen.delivered.overtaken) << "nothing but what was held came out of order";
  EXPECT_GE(seen.arrived.out_of_order + seen.socket.retransmits, seen.delivered.overtaken);
  EXPECT_LE(seen.arrived.retransmissions, seen.socket.retransmits) << "only what was sent again may be called so";
  RecordProperty("held", std::to_string(seen.delivered.overtaken) + " overtaken, " +
                             std::to_string(seen.arrived.out_of_order) + " seen out of order, " +
                             std::to_string(seen.socket.retransmits) + " sent again");
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
