// SPDX-License-Identifier: MIT
// TCP tracking: what sequences of packets make of a flow.
#include <fffa_bpf/host_table.h>
#include <gtest/gtest.h>

#include <cstring>
#include <initializer_list>

namespace fffa::bpf_test {
namespace {

constexpr std::uint64_t us = 1000, ms = 1000 * us;
enum Side { client = FFFA_INGRESS, server = FFFA_EGRESS };
enum Flag : std::uint8_t { fin = 1, syn = 2, rst = 4, psh = 8, ack = 16, ece = 64, cwr = 128 };

struct Segment {
  std::uint8_t flags = ack;
  std::uint32_t seq = 0;
  std::uint32_t ack_number = 0;
  std::uint32_t payload = 0;
  std::uint16_t window = 1000;
  std::uint8_t scale = FFFA_NO_OFFER;
  std::uint16_t sack = 0;
  std::uint8_t ecn = 0;
  bool at_sender = false;
  std::uint32_t packets = 1;
};

// A connection at an observer; time moves with `after`.
class Connection {
 public:
  Connection() { fffa_begin_flow(&flow_, client); }

  Connection& after(std::uint64_t ns) {
    now_ += ns;
    return *this;
  }
  Connection& before(std::uint64_t ns) {
    now_ -= ns;
    return *this;
  }
  Connection& from(Side side, const Segment& s) {
    fffa_packet p{};
    p.time_ns = now_;
    p.tcp = 1;
    p.packets = s.packets;
    p.bytes = 40 * s.packets + s.payload;
    p.flags = s.flags;
    p.seq = s.seq;
    p.ack = s.ack_number;
    p.payload = s.payload;
    p.window = s.window;
    p.scale = s.scale;
    p.sack = s.sack;
    p.ecn = s.ecn;
    p.at_sender = s.at_sender;
    fffa_track(&flow_, &p, side);
    return *this;
  }
  // SYN, SYN and ACK, ACK: initial sequence numbers 1000 and 5000, 10 ms to the server, 20 ms back from the client.
  Connection& handshake(std::uint8_t client_scale = FFFA_NO_OFFER, std::uint8_t server_scale = FFFA_NO_OFFER) {
    from(client, {.flags = syn, .seq = 1000, .scale = client_scale});
    after(10 * ms).from(server, {.flags = syn | ack, .seq = 5000, .ack_number = 1001, .scale = server_scale});
    return after(20 * ms).from(client, {.seq = 1001, .ack_number = 5001});
  }
  Connection& data(Side side, std::uint32_t seq, std::uint32_t payload, std::uint32_t ack_number = 0) {
    return from(side, {.flags = psh | ack,
                       .seq = seq,
                       .ack_number = ack_number       ? ack_number
                                     : side == client ? 5001u
                                                      : 1001u,
                       .payload = payload});
  }
  Connection& acks(Side side, std::uint32_t number, std::uint16_t sack = 0) {
    return from(side, {.seq = side == client ? 1001u : 5001u, .ack_number = number, .sack = sack});
  }

  fffa_slot read_out(Side side) {
    fffa_slot slot;
    fffa_take_slot(&flow_.slot[side], &slot);
    return slot;
  }
  const fffa_slot& slot(Side side) const { return flow_.slot[side]; }
  const fffa_half& half(Side side) const { return flow_.half[side]; }
  const fffa_flow& flow() const { return flow_; }
  std::uint32_t retransmissions(Side side) const {
    return slot(side).fast_retransmits + slot(side).timeout_retransmits;
  }

 private:
  fffa_flow flow_{};
  std::uint64_t now_ = 1'000'000'000;
};

TEST(Track, handshake) {
  Connection c;
  c.handshake();
  EXPECT_EQ(c.flow().handshake_us, 30000u);
  EXPECT_EQ(c.slot(client).flags & 0xff, syn | ack);
  EXPECT_FALSE(c.slot(client).flags & FFFA_SLOT_SYN_ACK) << "SYN and ACK came in two packets";
  EXPECT_TRUE(c.slot(server).flags & FFFA_SLOT_SYN_ACK);
  EXPECT_TRUE(c.half(client).seen & FFFA_SEEN_INITIATOR);
  EXPECT_FALSE(c.half(server).seen & FFFA_SEEN_INITIATOR);
  EXPECT_EQ(c.slot(client).packets, 2u);
  EXPECT_EQ(c.slot(server).bytes, 40u);
  EXPECT_EQ(c.retransmissions(client) + c.retransmissions(server), 0u);
}

TEST(Track, handshake_counts_from_the_first_syn) {
  Connection c;
  c.from(client, {.flags = syn, .seq = 1000}).after(1000 * ms).handshake();
  EXPECT_EQ(c.flow().handshake_us, 1030000u);
  EXPECT_EQ(c.slot(client).timeout_retransmits, 1u);
}

TEST(Track, a_handshake_across_clocks_that_differ_takes_no_time) {
  Connection c;
  c.from(client, {.flags = syn, .seq = 1000}).from(server, {.flags = syn | ack, .seq = 5000, .ack_number = 1001});
  c.before(us).from(client, {.seq = 1001, .ack_number = 5001});
  EXPECT_EQ(c.flow().handshake_us, 1u);
}

TEST(Track, no_handshake_without_all_three) {
  Connection c;
  c.from(server, {.flags = syn | ack, .seq = 5000, .ack_number = 1001}).from(client, {.seq = 1001, .ack_number = 5001});
  EXPECT_EQ(c.flow().handshake_us, 0u);
  EXPECT_TRUE(c.half(client).seen & FFFA_SEEN_INITIATOR) << "a SYN and ACK answers the other side's SYN";
  EXPECT_FALSE(c.half(server).seen & FFFA_SEEN_INITIATOR);
}

TEST(Track, windows_are_scaled_once_both_offered) {
  Connection c;
  c.handshake(7, 3);
  EXPECT_EQ(c.slot(client).window_min, 1000u) << "the SYN's is never scaled";
  EXPECT_EQ(c.slot(client).window_last, 128000u);
  EXPECT_EQ(c.slot(server).window_last, 1000u);
  c.acks(server, 1001);
  EXPECT_EQ(c.slot(server).window_last, 8000u);
  EXPECT_EQ(fffa_window_scale(&c.flow(), client), 7);
  EXPECT_EQ(fffa_window_scale(&c.flow(), server), 3);
}

TEST(Track, no_scale_if_one_side_did_not_offer) {
  Connection c;
  c.handshake(7);
  EXPECT_EQ(c.slot(client).window_last, 1000u);
  EXPECT_EQ(fffa_window_scale(&c.flow(), client), 0);
}

TEST(Track, scale_is_unknown_without_the_handshake) {
  Connection c;
  c.acks(client, 1);
  EXPECT_EQ(fffa_window_scale(&c.flow(), client), FFFA_NO_SCALE);
  EXPECT_EQ(c.slot(client).window_last, 1000u);
}

TEST(Track, zero_windows_but_not_of_a_reset) {
  Connection c;
  c.handshake().from(server, {.ack_number = 1001, .window = 0}).from(server, {.flags = rst, .window = 0});
  EXPECT_EQ(c.slot(server).zero_windows, 1u);
  EXPECT_EQ(c.slot(server).window_min, 0u);
}

TEST(Track, round_trip) {
  Connection c;
  c.handshake().data(client, 1001, 100).after(7 * ms).acks(server, 1101);
  EXPECT_EQ(c.slot(client).rtt_samples, 2u) << "the SYN and the data";
  EXPECT_EQ(c.slot(client).rtt_sum_ns, 17 * ms);
  EXPECT_EQ(c.slot(client).rtt_min, (7 * ms) >> FFFA_RTT_SHIFT);
  EXPECT_EQ(c.slot(server).rtt_samples, 1u);
  EXPECT_EQ(c.slot(server).rtt_sum_ns, 20 * ms);
}

TEST(Track, a_late_round_trip_needs_no_packet) {
  Connection c;
  c.handshake().data(client, 1001, 100);
  EXPECT_EQ(c.read_out(client).rtt_samples, 1u) << "the SYN's";
  c.after(7 * ms).acks(server, 1101);
  const fffa_slot slot = c.read_out(client);
  EXPECT_EQ(slot.packets, 0u);
  EXPECT_EQ(slot.rtt_samples, 1u);
  EXPECT_EQ(slot.rtt_sum_ns, 7 * ms);
  c.acks(client, 5001);
  EXPECT_EQ(c.read_out(client).rtt_samples, 0u) << "once";
}

TEST(Track, no_round_trip_of_what_was_sent_twice) {
  Connection c;
  c.handshake().data(client, 1001, 100).after(300 * ms).data(client, 1001, 100).after(ms).acks(server, 1101);
  EXPECT_EQ(c.slot(client).rtt_samples, 1u) << "the SYN only";
  EXPECT_EQ(c.slot(client).timeout_retransmits, 1u);
}

TEST(Track, sequence_numbers_wrap) {
  Connection c;
  c.data(client, 0xffffff00, 0x100)
      .after(ms)
      .data(client, 0, 0x100)
      .after(ms)
      .data(client, 0x100, 10)
      .after(ms)
      .acks(server, 0x10a);
  EXPECT_EQ(c.retransmissions(client), 0u);
  EXPECT_EQ(c.half(client).next_seq, 0x10au);
  EXPECT_GE(c.slot(client).rtt_samples, 1u);
}

TEST(Track, fast_retransmission_after_duplicate_acks) {
  Connection c;
  c.handshake().data(client, 1001, 100).data(client, 1101, 100).data(client, 1201, 100).data(client, 1301, 100);
  c.after(10 * ms).acks(server, 1001).acks(server, 1001).acks(server, 1001).acks(server, 1001);
  EXPECT_EQ(c.slot(server).duplicate_acks, 4u) << "the SYN's answer acknowledged that much already";
  c.after(30 * ms).data(client, 1001, 100);
  EXPECT_EQ(c.slot(client).fast_retransmits, 1u);
  EXPECT_EQ(c.slot(client).timeout_retransmits, 0u);
  EXPECT_EQ(c.slot(client).out_of_order, 0u);
}

TEST(Track, no_round_trip_is_longer_than_its_clock) {
  Connection c;  // 32 bits of 8 ns come round after 34.4 s
  c.handshake().data(client, 1001, 100);
  c.after(33'000 * ms).from(client, {.flags = ack, .seq = 1101, .ack_number = 5001});
  c.after(1400 * ms).acks(server, 1101);
  EXPECT_EQ(c.slot(client).rtt_samples, 1u) << "the handshake's";
  Connection d;
  d.handshake().data(client, 1001, 100).after(ms).acks(server, 1001).data(client, 1101, 100);
  for (int i = 0; i < 5; ++i) d.after(7000 * ms).from(client, {.flags = ack, .seq = 1201, .ack_number = 5001});
  d.acks(server, 1101);
  EXPECT_EQ(d.slot(client).rtt_samples, 1u);
}

TEST(Track, a_super_packet_sent_again_is_as_many_segments_as_it_stands_for) {
  Connection c;
  c.handshake().from(server, {.flags = ack, .seq = 5001, .ack_number = 1001, .payload = 10500, .packets = 8});
  c.from(server, {.flags = ack, .seq = 5001, .ack_number = 1001, .payload = 4500, .packets = 4});
  EXPECT_EQ(c.retransmissions(server), 4u);
  // from its third segment on it is new
  c.from(server, {.flags = ack, .seq = 12501, .ack_number = 1001, .payload = 4500, .packets = 3});
  EXPECT_EQ(c.retransmissions(server), 6u);
  EXPECT_EQ(c.half(server).next_seq, 17001u);
  // the last one is short: ten of 1448 bytes and one of 104, five of them old
  Connection d;
  d.handshake().from(server, {.flags = ack, .seq = 5001, .ack_number = 1001, .payload = 7240, .packets = 5});
  d.from(server, {.flags = ack, .seq = 5001, .ack_number = 1001, .payload = 14584, .packets = 11});
  EXPECT_EQ(d.retransmissions(server), 5u);
}

TEST(Track, after_a_timeout_the_rest_is_sent_again_without_another_silence) {
  Connection c;
  c.handshake().data(client, 1001, 100).data(client, 1101, 100).data(client, 1201, 100);
  c.after(500 * ms).data(client, 1001, 100).after(10 * ms).acks(server, 1101);
  c.data(client, 1101, 100).after(10 * ms).acks(server, 1201).data(client, 1201, 100);
  EXPECT_EQ(c.slot(client).timeout_retransmits, 3u);
  EXPECT_EQ(c.slot(client).fast_retransmits, 0u);
  c.after(10 * ms).acks(server, 1301).data(client, 1301, 100).after(ms).data(client, 1301, 100);
  EXPECT_EQ(c.slot(client).fast_retransmits, 1u) << "new data ended that";
}

TEST(Track, spurious_retransmission) {
  Connection c;
  c.handshake().data(client, 1001, 100).after(ms).acks(server, 1101).after(250 * ms).data(client, 1001, 100);
  EXPECT_EQ(c.slot(client).timeout_retransmits, 1u);
  EXPECT_EQ(c.slot(client).spurious_retransmits, 1u);
}

TEST(Track, reordered_segment) {
  Connection c;
  c.handshake().data(client, 1001, 100).data(client, 1201, 100).after(us).data(client, 1101, 100);
  EXPECT_EQ(c.slot(client).out_of_order, 1u);
  EXPECT_EQ(c.retransmissions(client), 0u);
}

TEST(Track, a_late_filler_is_a_retransmission) {
  Connection c;
  c.handshake().data(client, 1001, 100).data(client, 1201, 100).after(31 * ms).data(client, 1101, 100);
  EXPECT_EQ(c.slot(client).out_of_order, 0u);
  EXPECT_EQ(c.slot(client).fast_retransmits, 1u);
}

TEST(Track, at_the_sender_nothing_is_reordered) {
  Connection c;
  c.handshake().data(client, 1001, 100).data(client, 1201, 100);
  c.from(client, {.seq = 1101, .ack_number = 5001, .payload = 100, .at_sender = true});
  EXPECT_EQ(c.slot(client).out_of_order, 0u);
  EXPECT_EQ(c.retransmissions(client), 1u);
}

TEST(Track, a_hole_is_filled_once) {
  Connection c;
  c.handshake()
      .data(client, 1001, 100)
      .data(client, 1201, 100)
      .data(client, 1101, 100)
      .after(us)
      .data(client, 1101, 100);
  EXPECT_EQ(c.slot(client).out_of_order, 1u);
  EXPECT_EQ(c.retransmissions(client), 1u);
}

TEST(Track, several_holes_filled_backwards_and_in_parts) {
  Connection c;
  c.handshake().data(client, 1001, 100);
  for (std::uint32_t seq : {1201u, 1401u, 1601u, 1801u}) c.data(client, seq, 100);  // four holes of 100
  for (std::uint32_t seq : {1701u, 1501u, 1301u}) c.data(client, seq, 100);
  c.data(client, 1121, 20).data(client, 1101, 20).data(client, 1141, 60);  // the middle first, then both ends
  EXPECT_EQ(c.slot(client).out_of_order, 6u);
  EXPECT_EQ(c.retransmissions(client), 0u);
  EXPECT_FALSE(c.half(client).seen & FFFA_SEEN_HOLE);
}

TEST(Track, more_holes_than_places_forgets_the_oldest) {
  Connection c;
  c.handshake().data(client, 1001, 100);
  for (std::uint32_t i = 0; i < 6; ++i) c.after(10 * us).data(client, 1201 + 200 * i, 100);
  c.data(client, 2101, 100).data(client, 1101, 100);
  EXPECT_EQ(c.slot(client).out_of_order, 1u) << "the newest is known";
  EXPECT_EQ(c.retransmissions(client), 1u) << "the oldest is not";
}

TEST(Track, keep_alives_and_window_probes_are_no_retransmissions) {
  Connection c;
  c.handshake().data(client, 1001, 100).after(ms).acks(server, 1101);
  c.after(5000 * ms)
      .from(client, {.seq = 1100, .ack_number = 5001})
      .from(client, {.seq = 1100, .ack_number = 5001, .payload = 1});
  EXPECT_EQ(c.retransmissions(client), 0u);
  c.from(server, {.seq = 5001, .ack_number = 1101, .window = 0})
      .data(client, 1101, 1)
      .after(500 * ms)
      .data(client, 1101, 1);
  EXPECT_EQ(c.retransmissions(client), 0u);
}

TEST(Track, duplicate_acks_need_outstanding_data_or_a_new_sack_block) {
  Connection c;
  c.handshake().acks(server, 1001).acks(server, 1001);
  EXPECT_EQ(c.slot(server).duplicate_acks, 0u) << "nothing outstanding";
  c.data(client, 1001, 100).acks(server, 1001);
  EXPECT_EQ(c.slot(server).duplicate_acks, 1u);
  c.from(server, {.seq = 5001, .ack_number = 1001, .window = 900});
  EXPECT_EQ(c.slot(server).duplicate_acks, 1u) << "a window update";
  c.from(server, {.seq = 5001, .ack_number = 1001, .window = 800, .sack = 7});
  EXPECT_EQ(c.slot(server).duplicate_acks, 2u) << "a new SACK block, whatever the window";
}

TEST(Track, jitter) {
  Connection c;
  c.data(client, 1, 10)
      .after(10 * ms)
      .data(client, 11, 10)
      .after(14 * ms)
      .data(client, 21, 10)
      .after(11 * ms)
      .data(client, 31, 10);
  EXPECT_EQ(c.slot(client).jitter_samples, 2u);
  EXPECT_EQ(c.slot(client).jitter_sum_ns, 7 * ms);
  EXPECT_EQ(c.slot(client).jitter_max_ns, 4 * ms);
  c.after(1001 * ms).data(client, 41, 10).after(5 * ms).data(client, 51, 10);
  EXPECT_EQ(c.slot(client).jitter_samples, 2u) << "a pause starts afresh";
}

TEST(Track, ecn) {
  Connection c;
  c.from(client, {.flags = ack | ece | cwr, .ecn = 2})
      .from(client, {.ecn = 3})
      .from(client, {.flags = ack | ece, .packets = 4});
  EXPECT_EQ(c.slot(client).ecn_ce, 1u);
  EXPECT_EQ(c.slot(client).tcp_ece, 5u);
  EXPECT_EQ(c.slot(client).tcp_cwr, 1u);
  EXPECT_EQ((c.slot(client).flags >> FFFA_SLOT_ECN_SHIFT) & 3, 3);
}

TEST(Track, ends_by_two_fins_or_one_reset) {
  Connection c, d;
  c.handshake().from(client, {.flags = fin | ack, .seq = 1001, .ack_number = 5001});
  EXPECT_FALSE(fffa_has_ended(&c.flow())) << "half closed";
  c.from(server, {.flags = fin | ack, .seq = 5001, .ack_number = 1002});
  EXPECT_TRUE(fffa_has_ended(&c.flow()));
  c.from(client, {.flags = rst, .seq = 1002});
  EXPECT_FALSE(c.half(client).seen & FFFA_SEEN_RST) << "closed before it was reset";
  d.handshake().from(server, {.flags = rst, .seq = 5001});
  EXPECT_TRUE(fffa_has_ended(&d.flow()));
}

TEST(Track, a_syn_after_the_end_begins_anew) {
  Connection c;
  c.handshake(7, 7).data(client, 1001, 100).from(server, {.flags = rst, .seq = 5001});
  c.after(ms).from(client, {.flags = syn, .seq = 1000});
  EXPECT_FALSE(fffa_has_ended(&c.flow()));
  EXPECT_EQ(c.flow().handshake_us, 0u);
  EXPECT_EQ(c.retransmissions(client), 0u) << "even with the same initial sequence number";
  EXPECT_EQ(c.half(server).seen & ~FFFA_SEEN_INTERVAL, 0) << "jitter is the flow's, not the connection's";
  EXPECT_EQ(c.slot(client).packets, 4u) << "the slot goes on";
}

TEST(Track, a_syn_with_another_number_begins_anew) {
  Connection c;
  c.handshake().data(client, 1001, 100).after(ms).from(client, {.flags = syn, .seq = 900000});
  EXPECT_EQ(c.retransmissions(client), 0u);
  EXPECT_EQ(c.half(client).next_seq, 900001u);
}

TEST(Track, simultaneous_open) {
  Connection c;
  c.from(client, {.flags = syn, .seq = 1000}).from(server, {.flags = syn, .seq = 5000}).after(5 * ms);
  c.from(client, {.flags = syn | ack, .seq = 1000, .ack_number = 5001})
      .from(server, {.flags = syn | ack, .seq = 5000, .ack_number = 1001});
  c.after(5 * ms).acks(client, 5001);
  EXPECT_EQ(c.retransmissions(client) + c.retransmissions(server), 0u);
  EXPECT_EQ(c.flow().handshake_us, 10000u);
  EXPECT_TRUE(c.half(client).seen & FFFA_SEEN_INITIATOR);
  EXPECT_FALSE(c.half(server).seen & FFFA_SEEN_INITIATOR);
}

TEST(Track, simultaneous_open_after_a_repeated_syn) {
  Connection c;
  c.from(client, {.flags = syn, .seq = 1000}).after(1030 * ms).from(client, {.flags = syn, .seq = 1000});
  c.from(server, {.flags = syn, .seq = 5000}).after(5 * ms);
  c.from(client, {.flags = syn | ack, .seq = 1000, .ack_number = 5001})
      .from(server, {.flags = syn | ack, .seq = 5000, .ack_number = 1001});
  c.after(5 * ms).acks(client, 5001);
  EXPECT_EQ(c.flow().handshake_us, 1040000u);
  EXPECT_TRUE(c.half(client).seen & FFFA_SEEN_INITIATOR);
}

TEST(Track, not_tcp_only_counts) {
  fffa_flow flow{};
  fffa_begin_flow(&flow, server);
  fffa_packet p{};
  p.time_ns = 9;
  p.packets = 2;
  p.bytes = 100;
  fffa_track(&flow, &p, server);
  p.time_ns = 7;  // from another CPU, a little late
  fffa_track(&flow, &p, server);
  EXPECT_EQ(flow.slot[server].packets, 4u);
  EXPECT_EQ(flow.slot[server].bytes, 200u);
  EXPECT_EQ(flow.slot[server].flags, 0);
  EXPECT_EQ(flow.half[server].last_ns, 9u);
  EXPECT_TRUE(flow.half[server].seen & FFFA_SEEN_INITIATOR);
}

}  // namespace
}  // namespace fffa::bpf_test
