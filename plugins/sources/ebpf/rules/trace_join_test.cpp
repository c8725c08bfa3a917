// SPDX-License-Identifier: MIT
#include "trace_join.h"

#include <gtest/gtest.h>

#include "flow_memory.h"
#include "nft_socket.h"
#include "own_table.h"

namespace fffa::ebpf {
namespace {

using std::chrono::milliseconds;
using Type = TraceEvent::Type;

class TraceJoinTest : public testing::Test {
 protected:
  static TracedFlow flow(std::uint16_t port) {
    TracedFlow made;
    made.tuple.dst_port = port;
    return made;
  }
  void ours(std::uint32_t id, std::uint16_t port) {
    TraceEvent event{id, Type::rule, 1, "fffa", "of_tcp", 5, -1, flow(port), true};
    join.add(event, now);
    event.headers = false;
    event.flow.reset();
    event.type = Type::policy;
    event.verdict = 1;
    join.add(event, now);
  }
  void event(std::uint32_t id, Type type, const std::string& chain, std::int32_t verdict, bool headers,
             std::optional<std::uint64_t> handle = std::nullopt) {
    join.add({id, type, 1, "t", chain, handle, verdict, std::nullopt, headers}, now);
  }
  void settle(int after) {
    now += milliseconds(after);
    join.settle(now);
  }
  std::string said() {
    std::string all;
    for (const auto& packet : done) {
      all += std::to_string(packet.flow.tuple.dst_port) + ":";
      for (const auto& run : packet.runs)
        all += " " + run.base_chain + "/" + run.chain + "/" + (run.handle ? std::to_string(*run.handle) : "policy") +
               "=" + std::to_string(run.verdict);
      all += "; ";
    }
    done.clear();
    return all;
  }

  TraceJoin::TimePoint now{};
  std::vector<TracedPacket> done;
  TraceJoin join{[](const TraceEvent& event) { return event.table == "fffa"; },
                 [this](const TracedPacket& packet) { done.push_back(packet); }};
};

TEST_F(TraceJoinTest, AcceptedAfterAWhile) {
  ours(1, 80);
  event(1, Type::rule, "in", -3, true, 4);     // jump
  event(1, Type::rule, "user", -5, false, 7);  // return
  event(1, Type::rule, "in", -1, false);       // the end of the base chain
  event(1, Type::policy, "in", 1, false);
  EXPECT_TRUE(join.waiting());
  settle(9);
  EXPECT_EQ(said(), "");
  settle(1);
  EXPECT_EQ(said(), "80: in/in/policy=1; ");
  EXPECT_FALSE(join.waiting());
  settle(100);
  EXPECT_EQ(said(), "");
  settle(2000);
  EXPECT_EQ(join.size(), 0U);
}

TEST_F(TraceJoinTest, DroppedAtOnce) {
  ours(1, 80);
  event(1, Type::rule, "pre", 1, true, 3);
  event(1, Type::rule, "in", -3, true, 4);
  event(1, Type::rule, "user", 0, false, 7);
  EXPECT_EQ(said(), "80: pre/pre/3=1 in/user/7=0; ");
  EXPECT_EQ(join.size(), 0U);
}

TEST_F(TraceJoinTest, QueuedAndLaterGoesOn) {
  ours(1, 80);
  event(1, Type::rule, "in", 3 | 5 << 16, true, 4);
  settle(500);
  EXPECT_EQ(said(), "80: in/in/4=3; ");
  event(1, Type::policy, "in2", 1, true);
  settle(10);
  EXPECT_EQ(said(), "80: in/in/4=3 in2/in2/policy=1; ");
}

TEST_F(TraceJoinTest, IdsAreUsedAgain) {
  ours(1, 80);
  event(1, Type::policy, "in", 1, true);
  ours(1, 81);
  EXPECT_EQ(said(), "80: in/in/policy=1; ");
  event(1, Type::policy, "in", 0, true);
  EXPECT_EQ(said(), "81: in/in/policy=0; ");
}

TEST_F(TraceJoinTest, LostMessages) {
  event(1, Type::policy, "in", 1, true);  // of a packet whose first message is not known
  ours(2, 80);
  event(2, Type::policy, "in", 1, false);  // the base chain is not known
  event(2, Type::rule, "in", -1, true, 4);
  settle(10);
  EXPECT_EQ(said(), "");
  event(2, Type::policy, "in", 1, false);
  join.clear();
  settle(10);
  EXPECT_EQ(said(), "");
  EXPECT_FALSE(join.waiting());
}

TEST_F(TraceJoinTest, IsBounded) {
  for (std::uint32_t id = 0; id < 10000; ++id) {
    ours(id, 80);
    event(id, Type::policy, "in", 1, true);
  }
  EXPECT_EQ(join.size(), TraceJoin::kMaxPackets);
  EXPECT_EQ(done.size(), 10000 - TraceJoin::kMaxPackets);
  for (int i = 0; i < 1000; ++i) event(9999, Type::policy, "in", 1, true);
  settle(10);
  EXPECT_EQ(done.back().runs.size(), TraceJoin::kMaxRuns);
  join.give_up([](const TracedPacket& packet) { return packet.flow.tuple.dst_port == 80; });
  EXPECT_EQ(join.size(), 0U);
}

TEST(TraceHeaders, Packets) {
  std::string v4("\x45\0\0\x28\0\0\0\0\x40\x06\0\0\x0a\0\0\x01\x0a\0\0\x02", 20);
  const std::string ports("\x12\x34\x01\xbb", 4);
  const auto tcp = parse_headers(v4, ports);
  ASSERT_TRUE(tcp);
  EXPECT_EQ(tcp->src_port, 0x1234);
  EXPECT_EQ(tcp->dst_port, 443);
  EXPECT_EQ(tcp->protocol, 6);
  EXPECT_EQ(tcp->dst[3], 2);
  EXPECT_FALSE(parse_headers(v4, ports.substr(0, 3)));
  EXPECT_FALSE(parse_headers(v4.substr(0, 19), ports));
  EXPECT_FALSE(parse_headers("", ""));
  v4[7] = 1;  // a later fragment
  EXPECT_FALSE(parse_headers(v4, ports));
  v4[7] = 0;
  v4[9] = 1;
  EXPECT_EQ(parse_headers(v4, "\x08\x01")->dst_port, 0x0801);
  v4[9] = 47;
  EXPECT_EQ(parse_headers(v4, "")->protocol, 47);
  std::string v6(40, '\0');
  v6[0] = '\x60';
  v6[6] = 58;
  EXPECT_EQ(parse_headers(v6, std::string("\x80\0", 2))->dst_port, 0x8000);
  v6[6] = 0;  // options: what is behind them is not known
  EXPECT_FALSE(parse_headers(v6, ports));
}

TEST(FlowMemoryTest, ForgetsTheOldest) {
  FlowMemory<int> memory(2);
  TracedFlow one, two, three;
  two.in_ifindex = 2;
  three.tuple.family = 6;
  memory.put(one, 1);
  memory.put(two, 2);
  EXPECT_EQ(*memory.find(one), 1);
  memory.put(three, 3);
  EXPECT_EQ(memory.find(two), nullptr);
  memory.put(one, 4);
  EXPECT_EQ(*memory.find(one), 4);
  memory.erase(one);
  memory.erase(one);
  EXPECT_EQ(memory.size(), 1U);
}

TEST(OwnTable, NamesNothingThatWouldTrackConnections) {
  for (const auto mode : {RuleTracerOptions::Mode::first_packet, RuleTracerOptions::Mode::sampled}) {
    RuleTracerOptions options;
    options.mode = mode;
    const std::string text = own_table_body(options);
    EXPECT_EQ(text.find("ct "), std::string::npos);
    EXPECT_EQ(text.find("nat"), std::string::npos);
  }
}

TEST(OwnTable, Wanted) {
  TracedFlow tcp, icmp, gre, none;
  tcp.tuple = {{10, 0, 0, 1}, {10, 0, 0, 2}, 1000, 443, 6, 4};
  icmp.tuple = {{0xfd}, {0xfd, 1}, 0, 0x8000, 58, 6};
  gre.tuple = {{10, 0, 0, 1}, {10, 0, 0, 2}, 0, 0, 47, 4};
  EXPECT_EQ(
      want_commands("x", {tcp, icmp, gre, tcp, none}),
      "add element inet x wanted4 { 10.0.0.1 . 10.0.0.2 . 6 . 1000 . 443, 10.0.0.1 . 10.0.0.2 . 6 . 1000 . 443 }\n"
      "add element inet x wanted6 { fd00:: . fd01:: . 58 . 32768 . 32768 }\n"
      "add element inet x wanted_plain4 { 10.0.0.1 . 10.0.0.2 . 47 }\n");
  EXPECT_EQ(want_commands("x", {none}), "");
}

}  // namespace
}  // namespace fffa::ebpf
