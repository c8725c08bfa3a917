// SPDX-License-Identifier: MIT
// Fragments through the programs in the kernel: packets and bytes by flow must be what the engine in user space makes
// of the same sequence, and what is written here. Needs root.
#include "flow_program.h"
#include "fragments.h"
#include "native.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "flow.skel.h"

namespace fffa::bpf_test {
namespace {

constexpr std::uint64_t second = 1'000'000'000;

// Source and destination port, protocol and tunnels of a flow -> packets and bytes.
using Flow = std::tuple<int, int, int, int>;
using Flows = std::map<Flow, std::pair<std::uint64_t, std::uint64_t>>;

class KernelFragment : public testing::Test {
 protected:
  KernelFragment() : kernel_({.entries = 64, .manual_clock = true}) {
    kernel_.load();
    std::ranges::copy(kernel_->rodata->hash_seed, fragments_.table.seeds);
  }

  void send(const Bytes& packet, std::uint64_t now = second) {
    fffa_packet p;
    ASSERT_EQ(parse(packet, p), FFFA_OK);
    p.time_ns = now;
    if (p.outer_fragment) fffa_follow_outer_fragment(&fragments_.table, &p);
    if (p.fragment) fffa_follow_fragment(&fragments_.table, &p);
    add(native_, p.key, 1, p.bytes);
    kernel_->bss->manual_now_ns = now;
    // XDP and TC in turn: they share what they know
    run(sent_++ % 2 ? kernel_->progs.fffa_xdp_ingress : kernel_->progs.fffa_tc_ingress, packet);
  }

  Flows flows() {
    Flows found;
    kernel_.drain(~0ull, ~0ull, [&](const fffa_drain_record& r) {
      EXPECT_EQ(r.slot[0].flags, 0);
      add(found, r.key, r.slot[0].packets, r.slot[0].bytes);
    });
    EXPECT_EQ(found, native_) << "kernel and user space";
    native_.clear();
    return found;
  }

 private:
  static void add(Flows& flows, const fffa_flow_key& key, std::uint64_t packets, std::uint64_t bytes) {
    auto& [p, b] = flows[{key.remote_port, key.local_port, key.proto, key.encap_depth}];
    p += packets;
    b += bytes;
  }
  static void run(const bpf_program* program, const Bytes& packet) {
    Bytes out(packet.size() + 256);
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(), .data_out = out.data(),
                .data_size_in = static_cast<__u32>(packet.size()), .data_size_out = static_cast<__u32>(out.size()),
                .repeat = 1);
    check(bpf_prog_test_run_opts(bpf_program__fd(program), &options), "BPF_PROG_TEST_RUN");
  }

  FlowProgram<flow_bpf> kernel_;
  Fragments fragments_;
  Flows native_;
  unsigned sent_ = 0;
};

TEST_F(KernelFragment, first_and_later) {
  const Datagram four, six{.src = "2001:db8::1", .dst = "2001:db8::2", .id = 0x10001};
  send(four.first(4000, 53));
  send(four.later());
  send(four.later());
  EXPECT_EQ(flows(), (Flows{{{4000, 53, 17, 0}, {3, 44 + 2 * 50}}}));
  send(six.first(4001, 54));
  send(six.later());
  send(six.later());
  EXPECT_EQ(flows(), (Flows{{{4001, 54, 17, 0}, {3, 72 + 2 * 78}}}));
}

TEST_F(KernelFragment, later_alone_or_too_late) {
  for (const Datagram& d : {Datagram{}, Datagram{.src = "2001:db8::1", .dst = "2001:db8::2"}}) {
    const std::uint64_t later = d.src[0] == '1' ? 50 : 78, first = later - 6;
    send(d.later(), 100 * second);
    EXPECT_EQ(flows(), (Flows{{{0, 0, 17, 0}, {1, later}}}));
    send(d.first(4000, 53), 100 * second);
    send(d.later(), 160 * second);
    send(d.later(), 160 * second + 1);
    EXPECT_EQ(flows(), (Flows{{{4000, 53, 17, 0}, {2, first + later}}, {{0, 0, 17, 0}, {1, later}}}));
    send(d.first(5000, 53), 170 * second);
    send(d.later(), 170 * second);
    EXPECT_EQ(flows(), (Flows{{{5000, 53, 17, 0}, {2, first + later}}}));
  }
}

TEST_F(KernelFragment, in_and_around_tunnels) {
  const Datagram inside{.in = PacketBuilder().eth().ipv4("192.0.2.1", "192.0.2.2").udp(1, 6081).geneve(7)};
  send(inside.first(4000, 53));
  send(inside.later());
  EXPECT_EQ(flows(), (Flows{{{4000, 53, 17, 1}, {2, 44 + 50}}}));
  const Datagram outer{.src = "192.0.2.1", .dst = "192.0.2.2", .id = 9};
  send(outer.ip(0, true).udp(777, 6081).geneve(7).ipv4("10.0.0.1", "10.0.0.2").udp(1, 2).build());
  send(outer.later());
  EXPECT_EQ(flows(), (Flows{{{1, 2, 17, 1}, {1, 28}}, {{777, 6081, 17, 0}, {1, 50}}}));
}

TEST_F(KernelFragment, icmp_and_headers_behind_the_fragment_header) {
  const Datagram ping{.proto = 1};
  send(ping.ip(0, true).icmp(8, 0).payload(16).build());
  send(ping.later());
  const Datagram six{.src = "2001:db8::1", .dst = "2001:db8::2", .proto = 60};
  send(six.ip(0, true).extension(60, 8).udp(4000, 53).build());
  send(six.later());
  const auto found = flows();
  EXPECT_EQ((found.at({0, 8 << 8, 1, 0}).first), 2u);
  EXPECT_EQ((found.at({4000, 53, 17, 0}).first), 2u);
  EXPECT_EQ(found.size(), 2u);
}

}  // namespace
}  // namespace fffa::bpf_test
