// SPDX-License-Identifier: MIT
// Nothing is lost and nothing counted twice in the kernel: two CPUs on one flow while it is read out and deleted, and a
// table that is too small. Needs root.
#include "flow_program.h"
#include "packet_builder.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <set>
#include <thread>

#include "flow.skel.h"

namespace fffa::bpf_test {
namespace {

using Kernel = FlowProgram<flow_bpf>;

void run(const bpf_program* program, const Bytes& packet, int repeat) {
  Bytes out(packet.size() + 256);
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(), .data_out = out.data(),
              .data_size_in = static_cast<__u32>(packet.size()), .data_size_out = static_cast<__u32>(out.size()),
              .repeat = repeat);
  check(bpf_prog_test_run_opts(bpf_program__fd(program), &options), "BPF_PROG_TEST_RUN");
}

// The ring buffer's one-packet records, added up.
class Ring {
 public:
  explicit Ring(Kernel& kernel) : ring_(ring_buffer__new(bpf_map__fd(kernel->maps.events), take, this, nullptr)) {}
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() { ring_buffer__free(ring_); }
  void consume() { check(ring_buffer__consume(ring_), "read the ring buffer"); }

  fffa_count packets{};
  std::uint64_t ends = 0;
  std::set<std::uint16_t> ports;

 private:
  static int take(void* self, void* data, std::size_t size) {
    auto& ring = *static_cast<Ring*>(self);
    fffa_event event;
    EXPECT_GE(size, sizeof event);
    std::memcpy(&event, data, sizeof event);
    if (event.type == FFFA_EVENT_END) ++ring.ends;
    if (event.type != FFFA_EVENT_PACKET) return 0;
    ring.packets.packets += event.packets;
    ring.packets.bytes += event.bytes;
    ring.ports.insert(event.key.remote_port);
    return 0;
  }

  ring_buffer* ring_;
};

void on_cpu(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

struct Hammer {
  const char* name;
  std::chrono::milliseconds pause;  // between read-outs
  bool deletes;
};

std::ostream& operator<<(std::ostream& out, const Hammer& h) {
  return out << h.name;
}

class KernelExactness : public testing::TestWithParam<Hammer> {};

INSTANTIATE_TEST_SUITE_P(ReadOut, KernelExactness,
                         testing::Values(Hammer{"every_50_ms", std::chrono::milliseconds(50), false},
                                         Hammer{"back_to_back", {}, false},
                                         Hammer{"every_50_ms_deleting", std::chrono::milliseconds(50), true},
                                         Hammer{"back_to_back_deleting", {}, true}),
                         [](const auto& i) { return i.param.name; });

TEST_P(KernelExactness, two_cpus_on_one_flow) {
  const char* divisor = std::getenv("FFFA_TRAFFIC_DIVISOR");  // emulated processors are slow
  const int rounds = 12, repeat = 100000 / (divisor == nullptr ? 1 : std::max(1, std::atoi(divisor)));
  Kernel kernel({.entries = 128, .end_events = false});
  kernel.load();
  Ring ring(kernel);
  // a reset ends the flow with its first packet, so that every read-out may delete it
  const std::uint8_t flags = GetParam().deletes ? 0x14 : 0x10;
  const auto packet =
      PacketBuilder().eth().ipv4("10.0.0.1", "10.0.0.2").tcp(1, 2, {.flags = flags}).payload(60).build();
  std::atomic<int> running{2};
  const auto hammer = [&](int cpu, const bpf_program* program) {
    on_cpu(cpu);
    for (int i = 0; i < rounds; ++i) run(program, packet, repeat);
    --running;
  };
  std::thread xdp(hammer, 0, kernel->progs.fffa_xdp_ingress), tc(hammer, 1, kernel->progs.fffa_tc_ingress);
  fffa_count read{};
  std::uint64_t deleted = 0;
  const auto add = [&](const fffa_drain_record& r) {
    read.packets += r.slot[0].packets;
    read.bytes += r.slot[0].bytes;
    EXPECT_LE(r.slot[0].first_ns, r.last_ns[0]);
  };
  while (running > 0) {
    deleted += kernel.drain(~0ull, 0, add).deleted;
    ring.consume();
    std::this_thread::sleep_for(GetParam().pause);
  }
  xdp.join();
  tc.join();
  kernel.drain(~0ull, 0, add);
  ring.consume();
  const auto counters = kernel.counters(1);
  const std::uint64_t sent = 2ull * static_cast<unsigned>(rounds) * static_cast<unsigned>(repeat);
  EXPECT_EQ(counters.seen[0].packets, sent);
  EXPECT_EQ(counters.lost[0].packets, 0u);
  EXPECT_EQ(counters.diverted[0].packets, ring.packets.packets);
  EXPECT_EQ(read.packets + ring.packets.packets, sent);
  EXPECT_EQ(read.bytes + ring.packets.bytes, 100 * sent);
  if (GetParam().deletes) {
    EXPECT_GT(deleted, 2u);
  }
  std::printf("%llu read out, %llu diverted, %llu deletions\n", static_cast<unsigned long long>(read.packets),
              static_cast<unsigned long long>(ring.packets.packets), static_cast<unsigned long long>(deleted));
}

struct Balance {
  fffa_count table{}, ring{};
  fffa_interface_counters counters{};
  std::uint32_t flows = 0;
  std::size_t ring_flows = 0;
};

// Three packets of each of 10,000 flows, through a table of 1,000.
Balance too_many_flows(std::uint32_t ring_bytes) {
  Kernel kernel({.entries = 1000, .ring_bytes = ring_bytes});
  kernel.load();
  Ring ring(kernel);
  for (int round = 0; round < 3; ++round)
    for (std::uint16_t port = 1; port <= 10000; ++port)
      run(kernel->progs.fffa_xdp_ingress,
          PacketBuilder().eth().ipv4("10.0.0.1", "10.0.0.2").udp(port, 53).payload(port % 100u).build(), 1);
  ring.consume();
  Balance b;
  b.flows = kernel
                .drain(~0ull, ~0ull,
                       [&](const fffa_drain_record& r) {
                         b.table.packets += r.slot[0].packets;
                         b.table.bytes += r.slot[0].bytes;
                       })
                .records;
  b.ring = ring.packets;
  b.ring_flows = ring.ports.size();
  b.counters = kernel.counters(1);
  return b;
}

TEST(KernelOverflow, what_the_table_cannot_hold_comes_through_the_ring) {
  const auto b = too_many_flows(8 << 20);
  EXPECT_EQ(b.flows, 1000u) << "1000 entries are 1000 entries";
  EXPECT_EQ(b.ring_flows, 9000u);
  EXPECT_EQ(b.table.packets, 3000u);
  EXPECT_EQ(b.ring.packets, 27000u);
  EXPECT_EQ(b.counters.seen[0].packets, 30000u);
  EXPECT_EQ(b.counters.seen[0].bytes, b.table.bytes + b.ring.bytes);
  EXPECT_EQ(b.counters.diverted[0].packets, 27000u);
  EXPECT_EQ(b.counters.lost[0].packets, 0u);
}

TEST(KernelOverflow, what_the_ring_cannot_hold_is_counted) {
  const auto b = too_many_flows(4096);
  EXPECT_GT(b.counters.lost[0].packets, 26000u);
  EXPECT_EQ(b.counters.diverted[0].packets, b.ring.packets);
  EXPECT_EQ(b.counters.diverted[0].bytes, b.ring.bytes);
  EXPECT_EQ(b.table.packets + b.ring.packets + b.counters.lost[0].packets, 30000u);
  EXPECT_EQ(b.table.bytes + b.ring.bytes + b.counters.lost[0].bytes, b.counters.seen[0].bytes);
}

TEST(KernelEvents, the_end_of_a_connection_is_told_once) {
  Kernel kernel({.entries = 64});
  kernel.load();
  Ring ring(kernel);
  const auto segment = [](std::uint8_t flags) {
    return PacketBuilder().eth().ipv4("10.0.0.1", "10.0.0.2").tcp(1, 2, {.flags = flags}).build();
  };
  run(kernel->progs.fffa_xdp_ingress, segment(0x10), 1);
  run(kernel->progs.fffa_xdp_ingress, segment(0x14), 3);
  ring.consume();
  EXPECT_EQ(ring.ends, 1u);
}

TEST(KernelDrain, a_list_of_entries) {
  Kernel kernel({.entries = 64});
  kernel.load();
  for (std::uint16_t port = 1; port <= 10; ++port)
    run(kernel->progs.fffa_xdp_ingress, PacketBuilder().eth().ipv4("10.0.0.1", "10.0.0.2").udp(port, 53).build(), 1);
  kernel->bss->drain_list[0] = 7;
  kernel->bss->drain_list[1] = 2;
  kernel->bss->drain_request = {0, 0, 0, 0, 2, FFFA_DRAIN_LIST, 0};
  EXPECT_EQ(kernel.drain_once().records, 2u);
  EXPECT_EQ(kernel.drain(~0ull, ~0ull, [](const fffa_drain_record&) {}).records, 8u);
}

// What a virtual machine sends through its tap device says how long a segment is, and not how many there are.
TEST(KernelCount, a_super_packet_without_the_number_of_its_segments) {
  Kernel kernel({.entries = 128});
  kernel.load();
  const auto packet = PacketBuilder().eth().ipv4("10.0.0.1", "10.0.0.2").tcp(1, 2).payload(2500).build();
  __sk_buff context{};
  context.gso_size = 1000;
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(), .data_size_in = static_cast<__u32>(packet.size()),
              .ctx_in = &context, .ctx_size_in = sizeof context, .repeat = 1);
  check(bpf_prog_test_run_opts(bpf_program__fd(kernel->progs.fffa_tc_ingress), &options), "BPF_PROG_TEST_RUN");
  fffa_count read{};
  kernel.drain(~0ull, 0, [&](const fffa_drain_record& r) {
    read.packets += r.slot[0].packets;
    read.bytes += r.slot[0].bytes;
  });
  EXPECT_EQ(read.packets, 3u);
  EXPECT_EQ(read.bytes, 2500 + 3 * 40u);
}

}  // namespace
}  // namespace fffa::bpf_test
