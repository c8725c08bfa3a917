// SPDX-License-Identifier: MIT
// A real GENEVE device as the parser's peer, and netem's loss, delay, reordering and duplication against the sender's
// socket. Needs kernel modules that the development machine lacks: for virtual machines (tests/vm/truth.sh).
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "live_source.h"
#include "measured.h"
#include "netns.h"
#include "traffic.h"

namespace fffa::integration {
namespace {

constexpr std::uint32_t kVni = 4711;
constexpr const char* kGeneveThere = "10.78.0.2";

class GeneveTest : public ::testing::TestWithParam<const char*> {
 protected:
  GeneveTest() {
    join(veth_.here, "1", "2");
    join(veth_.there, "2", "1");
  }
  static void join(const Netns& side, const std::string& mine, const std::string& other) {
    side.ip("link add gnv0 address 02:00:00:00:78:0" + mine + " type geneve id " + std::to_string(kVni) +
            " remote 10.77.0." + other);
    const Netns::Inside inside(side);
    set_offloads("gnv0", false);
    std::ofstream("/proc/sys/net/ipv6/conf/gnv0/disable_ipv6") << 1;  // it would speak up by itself
    side.ip("link set gnv0 multicast off up");
    side.ip("address add 10.78.0." + mine + "/24 dev gnv0");
    side.ip("neighbour replace 10.78.0." + other + " lladdr 02:00:00:00:78:0" + other + " nud permanent dev gnv0");
  }
  Counters device() const {
    const Netns::Inside inside(veth_.here);
    return counters("gnv0");
  }

  VethPair veth_;
};

TEST_P(GeneveTest, InnerFlowsAreTheDevicesOwnCounts) {
  LiveSource source(veth_.here,
                    std::string("{interfaces: [veth0], drain_interval: 500ms, ingress: ") + GetParam() + "}");
  ASSERT_EQ(source.error(), "");
  const Counters before = device();
  const TcpTotals truth = tcp_bulk(veth_.here, veth_.there, kGeneveThere, 2, 200'000);
  udp_exchange(veth_.here, veth_.there, kGeneveThere, 3, 20);
  echo(veth_.here, kGeneveThere, 10);
  source.stop();
  const Counters after = device();
  Volume in, out;
  for (const auto& batch : source.batches()) {
    for (const auto& record : batch) {
      if (record.encapsulation != Encapsulation::geneve) continue;
      EXPECT_EQ(record.vni, kVni);
      EXPECT_EQ(record.outer.dst_port, 6081);
      EXPECT_GT(record.outer_bytes, record.bytes);
      Volume& side = record.direction == Direction::ingress ? in : out;
      side.packets += record.packets;
      side.bytes += record.bytes;
    }
  }
  EXPECT_EQ(out.packets, after.tx_packets - before.tx_packets);
  EXPECT_EQ(out.bytes, after.tx_bytes - before.tx_bytes);  // a geneve device counts without Ethernet headers
  EXPECT_EQ(in.packets, after.rx_packets - before.rx_packets);
  EXPECT_EQ(in.bytes, after.rx_bytes - before.rx_bytes);
  EXPECT_EQ(data_direction(source, Direction::egress).packets, truth.segments_out);
  expect_balance(source);
}
INSTANTIATE_TEST_SUITE_P(Ingress, GeneveTest, ::testing::Values("xdp-native", "tc"));

struct Disturbance {
  const char* name;
  const char* forth;   // netem on the sender's interface, behind our hook
  const char* back;    // and on the receiver's
  bool steady = true;  // every packet takes as long: any sample is about the smallest
};
void PrintTo(const Disturbance& disturbance, std::ostream* out) {
  *out << disturbance.name;
}

class NetemTest : public ::testing::TestWithParam<Disturbance> {};

void set_netem(const Netns& side, const std::string& interface, const std::string& words) {
  std::vector<std::string> command = {"tc", "-n", side.name(), "qdisc", "replace", "dev", interface, "root", "netem"};
  for (std::size_t at = 0; at < words.size();) {
    const std::size_t end = std::min(words.find(' ', at), words.size());
    command.push_back(words.substr(at, end - at));
    at = end + 1;
  }
  run(command);
}

TEST_P(NetemTest, RetransmissionsAreTheSocketsOwn) {
  const VethPair veth;
  set_netem(veth.here, "veth0", GetParam().forth);
  set_netem(veth.there, "peer0", GetParam().back);
  LiveSource source(veth.here, "{interfaces: [veth0], drain_interval: 500ms, ingress: tc}");
  ASSERT_EQ(source.error(), "");
  const TcpTotals truth = tcp_bulk(veth.here, veth.there, kThere4, 1, 400'000);
  source.stop();
  const Measured measured = data_direction(source, Direction::egress);
  EXPECT_EQ(measured.retransmissions, truth.retransmits);
  EXPECT_EQ(measured.out_of_order, 0u) << "nothing is reordered where it is sent";
  ASSERT_GT(measured.rtt_samples, 0u);
  EXPECT_GE(measured.min_rtt_us, truth.min_rtt_us - truth.min_rtt_us / 10);
  if (GetParam().steady) {
    EXPECT_LE(measured.min_rtt_us, truth.min_rtt_us + truth.min_rtt_us / 10);
  }
  expect_balance(source);
}
INSTANTIATE_TEST_SUITE_P(
    Netem, NetemTest,
    ::testing::Values(Disturbance{"delay", "delay 50ms", "delay 50ms"},
                      Disturbance{"loss", "delay 50ms loss 3%", "delay 50ms"},
                      Disturbance{"lost_acknowledgements", "delay 50ms", "delay 50ms loss 20%"},
                      Disturbance{"reordering", "delay 50ms reorder 10% 50%", "delay 50ms", false},
                      Disturbance{"duplication", "delay 50ms duplicate 5%", "delay 50ms duplicate 5%"},
                      Disturbance{"all", "delay 50ms 5ms loss 1% duplicate 1%", "delay 50ms 5ms loss 1%", false}),
    [](const auto& disturbance) { return std::string(disturbance.param.name); });

}  // namespace
}  // namespace fffa::integration
