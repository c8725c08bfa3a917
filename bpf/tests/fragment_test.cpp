// SPDX-License-Identifier: MIT
// The fragment table in user space: who gets which ports, and threads that fight for one place.
#include "fragments.h"
#include "native.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

namespace fffa::bpf_test {
namespace {

constexpr std::uint64_t second = 1'000'000'000;

class Fragment : public testing::Test {
 protected:
  // Follows a packet; what its flow is.
  fffa_packet see(const Bytes& bytes, std::uint64_t now = second, int direction = FFFA_INGRESS,
                  std::uint32_t ifindex = 1) {
    fffa_packet p;
    EXPECT_EQ(parse(bytes, p, direction), FFFA_OK);
    p.time_ns = now;
    p.key.ifindex = ifindex;
    if (p.outer_fragment) fffa_follow_outer_fragment(&fragments_.table, &p);
    if (p.fragment) fffa_follow_fragment(&fragments_.table, &p);
    return p;
  }
  std::uint16_t port(const Bytes& bytes, std::uint64_t now = second, int direction = FFFA_INGRESS,
                     std::uint32_t ifindex = 1) {
    const auto key = see(bytes, now, direction, ifindex).key;
    return direction == FFFA_INGRESS ? key.remote_port : key.local_port;
  }
  Fragments fragments_;
};

TEST_F(Fragment, later_ones_have_the_ports_of_their_first) {
  for (const Datagram& d : {Datagram{}, Datagram{.src = "2001:db8::1", .dst = "2001:db8::2", .id = 0x10001}}) {
    EXPECT_EQ(port(d.later()), 0) << "not known yet";
    const auto first = see(d.first(4000, 53)), later = see(d.later());
    EXPECT_EQ(std::memcmp(&first.key, &later.key, sizeof first.key), 0);
    EXPECT_EQ(later.key.remote_port, 4000);
    EXPECT_EQ(later.key.local_port, 53);
    EXPECT_EQ(later.tcp, 0);
    EXPECT_EQ(see(d.first(4000, 53), second, FFFA_EGRESS).key.local_port, 4000);
    EXPECT_EQ(see(d.later(), second, FFFA_EGRESS).key.local_port, 4000);
  }
}

TEST_F(Fragment, of_another_datagram_is_not_mistaken_for_it) {
  for (const Datagram& d : {Datagram{}, Datagram{.src = "2001:db8::1", .dst = "2001:db8::2", .id = 1}}) {
    see(d.first(4000, 53));
    auto other = d;
    other.id = 2;
    EXPECT_EQ(port(other.later()), 0);
    other = d;
    other.id = 0x10001;  // IPv6 has 32 bits
    EXPECT_EQ(port(other.later()), d.src[0] == '1' ? 4000 : 0);
    other = d;
    other.proto = 6;
    EXPECT_EQ(port(other.later()), 0);
    other = d;
    std::swap(other.src, other.dst);
    EXPECT_EQ(port(other.later()), 0);
    EXPECT_EQ(port(other.later(), second, FFFA_EGRESS), 0) << "the same two ends, the other direction";
    EXPECT_EQ(port(d.later(), second, FFFA_INGRESS, 2), 0) << "another interface";
    other = d;
    other.in = PacketBuilder().eth().ipv4("192.0.2.1", "192.0.2.2").udp(1, 6081).geneve(0);
    EXPECT_EQ(port(other.later()), 0) << "in a tunnel";
    EXPECT_EQ(port(d.later()), 4000);
  }
  see(Datagram{}.first(4000, 53));
  EXPECT_EQ(port(Datagram{.src = "a00:1::", .dst = "a00:2::"}.later()), 0) << "IPv6 with the bytes of IPv4";
}

TEST_F(Fragment, is_known_for_sixty_seconds) {
  const Datagram d;
  see(d.first(4000, 53), 100 * second);
  EXPECT_EQ(port(d.later(), 160 * second), 4000);
  EXPECT_EQ(port(d.later(), 160 * second + 1), 0);
  EXPECT_EQ(port(d.later(), 99 * second), 4000) << "a capture's times may go back";
  EXPECT_EQ(port(d.later(), 39 * second), 0);
}

TEST_F(Fragment, a_first_one_replaces_what_had_its_id) {
  const Datagram d;
  see(d.first(4000, 53));
  see(d.first(5000, 53));
  EXPECT_EQ(port(d.later()), 5000);
  see(d.ip(0, true).payload(2).build());  // too short for ports
  EXPECT_EQ(port(d.later()), 0) << "not those of the one before";
}

TEST_F(Fragment, icmp_and_headers_behind_the_fragment_header) {
  const Datagram ping{.proto = 1};
  see(ping.ip(0, true).icmp(8, 0).payload(16).build());
  EXPECT_EQ(see(ping.later()).key.local_port, 8 << 8);
  const Datagram six{.src = "2001:db8::1", .dst = "2001:db8::2", .proto = 60};
  see(six.ip(0, true).extension(60, 8).udp(4000, 53).build());
  const auto later = see(six.later());
  EXPECT_EQ(later.key.remote_port, 4000);
  EXPECT_EQ(later.key.proto, 17);
}

TEST_F(Fragment, in_and_around_tunnels) {
  const auto inside = [](std::uint32_t vni) {
    return Datagram{.in = PacketBuilder().eth().ipv4("192.0.2.1", "192.0.2.2").udp(1, 6081).geneve(vni)};
  };
  see(inside(7).first(4000, 53));
  EXPECT_EQ(port(inside(7).later()), 4000);
  EXPECT_EQ(port(inside(8).later()), 0);
  const Datagram outer{.src = "192.0.2.1", .dst = "192.0.2.2", .id = 9};
  for (const int direction : {FFFA_INGRESS, FFFA_EGRESS}) {
    const auto opened = see(outer.ip(0, true).udp(777, 6081).geneve(7).ipv4("10.0.0.1", "10.0.0.2").udp(1, 2).build(),
                            second, direction);
    EXPECT_EQ(opened.key.encap_depth, 1);
    const auto later = see(outer.later(), second, direction);
    EXPECT_EQ(later.key.encap_depth, 0) << "counts to the outer flow";
    EXPECT_EQ(direction == FFFA_INGRESS ? later.key.remote_port : later.key.local_port, 777);
    EXPECT_EQ(direction == FFFA_INGRESS ? later.key.local_port : later.key.remote_port, 6081);
  }
}

TEST_F(Fragment, what_cannot_be_written_does_not_stay) {
  const Datagram d;
  auto p = see(d.first(4000, 53));
  fffa_fragment f;
  fffa_identify_fragment(&f, &p);
  auto* place = fffa_fragment_place(&fragments_.table, &f);
  place->lock = FFFA_FRAGMENT_HELD;
  EXPECT_EQ(port(d.later()), 0) << "held for too long";
  see(d.first(5000, 53));
  fffa_release_fragment(place);
  EXPECT_EQ(place->lock, 0u);
  EXPECT_EQ(port(d.later()), 0) << "an earlier datagram's ports are not this one's";
  see(d.first(5000, 53));
  EXPECT_EQ(port(d.later()), 5000);
}

// Datagrams that all want the same place.
std::vector<fffa_fragment> rivals(Fragments& fragments, std::size_t count) {
  std::vector<fffa_fragment> all;
  fffa_fragment f{};
  f.path = fffa_fragment_path(0, 0, 0, 4, 0);
  const auto* place = fffa_fragment_place(&fragments.table, &f);
  for (; all.size() < count; ++f.id)
    if (fffa_fragment_place(&fragments.table, &f) == place) all.push_back(f);
  return all;
}

TEST_F(Fragment, threads_never_get_what_is_not_theirs) {
  constexpr std::uint32_t threads = 4, rounds = 300'000, kinds = 8;
  std::mt19937 random(1);
  for (auto& seed : fragments_.table.seeds) seed = static_cast<std::uint32_t>(random());
  const auto datagrams = rivals(fragments_, kinds);
  std::atomic<std::uint32_t> known = 0, wrong = 0;
  const auto fight = [&](std::uint32_t seed) {
    std::mt19937 dice(seed);
    for (std::uint32_t i = 0; i < rounds; ++i) {
      const auto number = static_cast<std::uint32_t>(dice()), which = number % kinds;
      auto f = datagrams[which];
      f.time_ns = 1;
      if (number & 0x100) {
        f.remote_port = static_cast<std::uint16_t>((number >> 16 & ~(kinds - 1)) | which);
        f.local_port = static_cast<std::uint16_t>(~f.remote_port);
        f.proto = static_cast<std::uint8_t>(f.remote_port * 7);
        fffa_remember_fragment(fffa_fragment_place(&fragments_.table, &f), &f);
      } else if (fffa_recall_fragment(fffa_fragment_place(&fragments_.table, &f), &f)) {
        ++known;
        wrong += f.remote_port % kinds != which || f.local_port != static_cast<std::uint16_t>(~f.remote_port) ||
                 f.proto != static_cast<std::uint8_t>(f.remote_port * 7);
      }
    }
  };
  std::vector<std::thread> all;
  for (std::uint32_t i = 0; i < threads; ++i) all.emplace_back(fight, i);
  for (auto& thread : all) thread.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_GT(known, 0u);
  for (const auto& entry : fragments_.entries) EXPECT_EQ(entry.lock, 0u);
}

}  // namespace
}  // namespace fffa::bpf_test
