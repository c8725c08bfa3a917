// SPDX-License-Identifier: MIT
// What the source reports of real traffic, against the counters of the interface's peer.
#include <gtest/gtest.h>

#include <netinet/in.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>
#include <unordered_set>

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

// Distinct flows, and how often one was reported twice in one read-out.
struct Flows {
  std::size_t distinct = 0;
  std::size_t repeated = 0;
};
Flows flows_of(const std::vector<Batch>& batches, Direction direction) {
  std::unordered_set<std::uint64_t> all, in_this_read_out;
  Flows found;
  for (const auto& batch : batches) {
    for (const auto& record : batch) {
      if (record.direction != direction) continue;
      all.insert(hash(identity(record)));
      if (!in_this_read_out.insert(hash(identity(record))).second) ++found.repeated;
    }
    if (!batch.interfaces.empty()) in_this_read_out.clear();  // the batch that ends a read-out
  }
  found.distinct = all.size();
  return found;
}

TEST(Capture, EveryFlowOnceInAReadOut) {
  const VethPair veth;
  auto [source, before] = start_at_rest(veth, "drain_interval: 1s");
  for (int i = 0; i < 4; ++i) {
    tcp_short(veth.here, veth.there, kThere4, 250);
    udp_exchange(veth.here, veth.there, kThere6, 20, 20);
  }
  const Truth truth = between(before, veth.peer_at_rest(), true);
  source->stop();
  const Flows flows = flows_of(source->batches(), Direction::egress);
  EXPECT_EQ(flows.repeated, 0u);
  EXPECT_GE(flows.distinct, 1020u);  // the kernel may use a UDP port again
  EXPECT_EQ(source->account().by_direction[Direction::egress], truth.egress);
  expect_balance(source->account());
}

TEST(Capture, ATableTooSmallLosesNothing) {
  constexpr std::size_t kFlows = 10'000;
  const VethPair veth;
  auto [source, before] = start_at_rest(veth, "table_size: 1000\ndrain_interval: 1s");
  udp_flood(veth.there, veth.here, kHere4, kFlows);
  tcp_bulk(veth.here, veth.there, kThere4, 4, 1'000'000);  // into a table that is full
  const Truth truth = between(before, veth.peer_at_rest(), true);
  source->stop();
  Account account = source->account();
  EXPECT_EQ(account.by_direction[Direction::ingress], truth.ingress);
  EXPECT_EQ(account.by_direction[Direction::egress], truth.egress);
  // all but those that the veth itself may have dropped
  EXPECT_GE(flows_of(source->batches(), Direction::ingress).distinct, kFlows / 100 * 95);
  EXPECT_GT(
      source->context().captured_metrics().value(R"(fffa_ebpf_reasons_total{reason="table_full",direction="ingress"})"),
      1000);
  expect_balance(account);
}

// Ten times as many connections as the table holds, between two read-outs: those that have ended make room.
TEST(Capture, ShortConnectionsLeaveASmallTableEarly) {
  const VethPair veth;
  auto [source, before] = start_at_rest(veth, "table_size: 1000\ndrain_interval: 1m");
  for (int i = 0; i < 100; ++i) {
    tcp_short(veth.here, veth.there, kThere4, 100);
    std::this_thread::sleep_for(std::chrono::milliseconds(80));
  }
  const Truth truth = between(before, veth.peer_at_rest(), true);
  source->stop();
  Account account = source->account();
  EXPECT_EQ(account.by_direction[Direction::ingress], truth.ingress);
  EXPECT_EQ(account.by_direction[Direction::egress], truth.egress);
  expect_balance(account);
  const auto diverted = source->context().captured_metrics().value(
      R"(fffa_ebpf_packets_total{interface="veth0",direction="egress",outcome="diverted"})");
  RecordProperty("diverted", std::to_string(diverted));
  EXPECT_LT(diverted, static_cast<double>(truth.egress.packets) / 10);
}

constexpr std::uint64_t kDatagram = 20 + 8 + 6;  // IP and UDP headers, payload of udp_hammer()

std::uint64_t dropped_by(const VethPair& veth) {
  const Netns::Inside inside(veth.here);
  return counters("veth0").tx_dropped;
}

TEST(Capture, TwoProcessorsOnOneFlowWhileItIsReadOut) {
  const VethPair veth;
  auto [source, before] = start_at_rest(veth, "drain_interval: 50ms");
  const std::uint64_t dropped_before = dropped_by(veth);
  udp_hammer(veth.here, veth.there, kThere4, 300'000);
  Truth truth = between(before, veth.peer_at_rest(), true);
  source->stop();
  // what the veth dropped behind our hook, the peer's backlog being full
  const std::uint64_t dropped = dropped_by(veth) - dropped_before;
  truth.egress += {dropped, dropped * kDatagram};
  Account account = source->account();
  EXPECT_GT(source->batches().size(), 10u);
  EXPECT_GE(account.by_direction[Direction::egress].packets, 600'000u);
  EXPECT_EQ(account.by_direction[Direction::egress], truth.egress);
  expect_balance(account);
}

TEST(Capture, AnOutputThatBlocksLosesNothing) {
  const VethPair veth;
  auto [source, before] = start_at_rest(veth, "table_size: 500\ndrain_interval: 200ms");
  source->wait_for_batches(2);
  source->block(true);
  const std::size_t batches = source->batches().size();
  for (int i = 0; i < 5; ++i) {
    tcp_short(veth.here, veth.there, kThere4, 200);
    udp_flood(veth.there, veth.here, kHere6, 1000);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
  const Truth truth = between(before, veth.peer_at_rest(), true);
  EXPECT_EQ(source->batches().size(), batches);
  veth.here.ip("link set veth0 down");
  EXPECT_TRUE(source->logged("interface veth0 is down")) << "interfaces are followed all the same";
  source->block(false);
  source->wait_for_batches(2);
  source->stop();
  Account account = source->account();
  EXPECT_EQ(account.by_direction[Direction::ingress], truth.ingress);
  EXPECT_EQ(account.by_direction[Direction::egress], truth.egress);
  expect_balance(account);
}

TEST(Capture, SuperPacketsCountAsTheSegmentsThatTcpSends) {
  const VethPair veth(true);
  auto [source, before] = start_at_rest(veth, "ingress: tc\ndrain_interval: 200ms");
  const TcpTotals totals = tcp_bulk(veth.here, veth.there, kThere4, 2, 5'000'000);
  const Counters after = veth.peer_at_rest();
  source->stop();
  Volume egress, ingress;
  for (const auto& batch : source->batches()) {
    for (const auto& record : batch) {
      if (record.flow.protocol != IPPROTO_TCP) continue;
      (record.direction == Direction::egress ? egress : ingress) += {record.packets, record.bytes};
    }
  }
  EXPECT_LT(after.rx_packets - before.rx_packets, egress.packets) << "there were super-packets";
  EXPECT_EQ(egress.packets, totals.segments_out);
  EXPECT_EQ(ingress.packets, totals.segments_in);
  // payload, and for every segment an IP and a TCP header with time stamps; SYNs have 8 bytes of options more
  EXPECT_EQ(egress.bytes, totals.bytes_out + egress.packets * 52 + 2 * 8);
  expect_balance(source->account());
}

TEST(Capture, WatermarkNeverDecreasesAndEndsUpBehindEveryPacket) {
  const VethPair veth;
  auto [source, before] = start_at_rest(veth, "drain_interval: 100ms");
  udp_exchange(veth.here, veth.there, kThere4, 5, 200);
  source->stop();
  TimeNs watermark = 0;
  TimeNs last_seen = 0;
  for (const auto& batch : source->batches()) {
    EXPECT_GE(batch.watermark, watermark);
    watermark = batch.watermark;
    for (const auto& record : batch) {
      EXPECT_LE(record.first_seen, record.last_seen);
      last_seen = std::max(last_seen, record.last_seen);
    }
  }
  EXPECT_GT(last_seen, 0);
  EXPECT_GT(watermark, last_seen);
}

}  // namespace
}  // namespace fffa::integration
