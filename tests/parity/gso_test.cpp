// SPDX-License-Identifier: MIT
// A stream whose data goes through TC as super-packets is reported as that of its segments, one by one: in every field
// but jitter, which is measured between what is seen. Needs root.
#include <gtest/gtest.h>

#include <algorithm>

#include "fffa_engine/records.h"
#include "kernel.h"
#include "packet_builder.h"
#include "source_run.h"

namespace fffa::parity {
namespace {

using bpf_test::Bytes;
using bpf_test::PacketBuilder;

constexpr TimeNs kMs = 1'000'000;
constexpr std::uint32_t kSegment = 1000;
enum Flag : std::uint8_t { fin = 1, syn = 2, psh = 8, ack = 16, ece = 64, cwr = 128 };

enum class Kind : std::uint8_t { ipv4, ipv6, geneve };

// What one end sends at once.
struct Send {
  TimeNs ms;
  bool answer;  // of the receiver
  std::uint32_t seq, acknowledged;
  int flags;
  std::uint32_t payload = 0;
  bool marked = false;  // congestion experienced
};

Bytes frame(Kind kind, const Send& send, std::uint32_t seq, int flags, std::uint32_t payload) {
  PacketBuilder b;
  b.eth();
  if (kind == Kind::geneve) {
    b.ipv4(send.answer ? "10.9.0.2" : "10.9.0.1", send.answer ? "10.9.0.1" : "10.9.0.2").udp(1234, 6081);
    b.geneve(77, bpf_test::gwlb_options(1, 2, 3));
  }
  if (kind == Kind::ipv6) {
    b.ipv6(send.answer ? "fd00::2" : "fd00::1", send.answer ? "fd00::1" : "fd00::2").set8(1, send.marked ? 0x30 : 0);
  } else {
    b.ipv4(send.answer ? "10.0.0.2" : "10.0.0.1", send.answer ? "10.0.0.1" : "10.0.0.2").set8(1, send.marked ? 3 : 0);
  }
  b.tcp(send.answer ? 80 : 5000, send.answer ? 5000 : 80,
        {.seq = seq, .ack = send.acknowledged, .flags = static_cast<std::uint8_t>(flags)});
  return b.payload(payload).build();
}

// A download with a loss, marks of congestion, a late segment and, as after every timeout, one segment sent again.
std::vector<Send> download() {
  return {
      {0, false, 99, 0, syn},
      {20, true, 499, 100, syn | ack},
      {21, false, 100, 500, ack},
      {30, false, 100, 500, ack | psh, 3000},
      {50, true, 500, 3100, ack},
      {51, false, 3100, 500, ack | cwr, 3000},  // the peer misses it
      {52, false, 6100, 500, ack, 2500, true},
      {53, false, 8600, 500, ack | psh, 3000},
      {72, true, 500, 3100, ack | ece},
      {73, true, 500, 3100, ack | ece},
      {74, true, 500, 3100, ack | ece},
      {75, false, 3100, 500, ack, 3000},  // again
      {95, true, 500, 11600, ack},
      {100, false, 12600, 500, ack, 2000},  // leaves a hole
      {101, false, 11600, 500, ack, 1000},  // that is filled soon after
      {400, false, 11600, 500, ack, 1000},  // a timeout
      {420, true, 500, 14600, ack},
      {460, false, 14600, 500, ack | fin | psh, 2500},
      {480, true, 500, 17101, ack | fin},
      {481, false, 17101, 501, ack},
  };
}

// A super-packet that begins with what was sent before. Round trips, and what of it was spurious, are not told apart
// within one.
std::vector<Send> overlap() {
  return {{0, false, 100, 500, ack, 3000}, {10, true, 500, 3100, ack}, {20, false, 2100, 500, ack, 3000}};
}

struct Case {
  const char* name;
  Kind kind;
  bool sender_here;  // at its egress; else at the receiver's ingress, behind GRO
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.name;
}

void count(const Case& c, const Send& send, bool super) {
  Handed packet;
  packet.time = 1'000'000'000 + send.ms * kMs;
  packet.direction = send.answer == c.sender_here ? FFFA_INGRESS : FFFA_EGRESS;
  packet.at_sender = true;
  const std::uint32_t segments = (send.payload + kSegment - 1) / kSegment;
  if (super || segments < 2) {
    packet.frame = frame(c.kind, send, send.seq, send.flags, send.payload);
    return Kernel::get().run(Hook::tc, packet, segments > 1 ? segments : 0, segments > 1 ? kSegment : 0);
  }
  for (std::uint32_t i = 0; i < segments; ++i) {
    int flags = send.flags;
    if (i != 0) flags &= ~cwr;
    if (i + 1 != segments) flags &= ~(fin | psh);
    const std::uint32_t at = i * kSegment;
    packet.frame = frame(c.kind, send, send.seq + at, flags, std::min(kSegment, send.payload - at));
    Kernel::get().run(Hook::tc, packet);
  }
}

// Of the data's sender, then of its receiver.
std::vector<FlowRecord> reported(const Case& c, const std::vector<Send>& stream, bool super) {
  for (const Send& send : stream) count(c, send, super);
  std::vector<FlowRecord> records;
  for (const auto& record : Kernel::get().read_out()) engine::append_records(record, {}, 0, records);
  Kernel::get().forget_all();
  std::sort(records.begin(), records.end(),
            [](const auto& a, const auto& b) { return a.flow.dst_port < b.flow.dst_port; });
  for (auto& record : records) record.jitter_sum_us = record.jitter_samples = record.max_jitter_us = 0;
  return records;
}

class SuperPackets : public ::testing::TestWithParam<Case> {};

TEST_P(SuperPackets, CountAsTheirSegments) {
  const auto segments = reported(GetParam(), download(), false), super = reported(GetParam(), download(), true);
  ASSERT_EQ(segments.size(), 2u);
  ASSERT_EQ(super.size(), 2u);
  for (const std::size_t i : {0, 1}) EXPECT_EQ(show(super[i]), show(segments[i]));
  // the case says something
  const FlowRecord& data = super[0];
  EXPECT_EQ(data.packets, 25u);
  EXPECT_EQ(data.retransmissions() + data.out_of_order_pkts, 5u);
  EXPECT_EQ(data.out_of_order_pkts, GetParam().sender_here ? 0u : 1u);
  EXPECT_EQ(data.timeout_retransmits, 1u);
  EXPECT_EQ(data.ecn_ce_packets, 3u);
  EXPECT_EQ(data.outer_bytes != 0, GetParam().kind == Kind::geneve);
}

TEST_P(SuperPackets, ThatOverlapCountOnlyTheOldSegmentsAsSentAgain) {
  const auto segments = reported(GetParam(), overlap(), false), super = reported(GetParam(), overlap(), true);
  ASSERT_EQ(segments.size(), 2u);
  ASSERT_EQ(super.size(), 2u);
  EXPECT_EQ(super[0].packets, segments[0].packets);
  EXPECT_EQ(super[0].bytes, segments[0].bytes);
  EXPECT_EQ(super[0].retransmissions(), segments[0].retransmissions());
  EXPECT_EQ(super[0].retransmissions(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Tc, SuperPackets,
                         ::testing::Values(Case{"ipv4_sender", Kind::ipv4, true}, Case{"ipv6_sender", Kind::ipv6, true},
                                           Case{"geneve_sender", Kind::geneve, true},
                                           Case{"ipv4_receiver", Kind::ipv4, false},
                                           Case{"ipv6_receiver", Kind::ipv6, false},
                                           Case{"geneve_receiver", Kind::geneve, false}),
                         [](const auto& i) { return i.param.name; });

}  // namespace
}  // namespace fffa::parity
