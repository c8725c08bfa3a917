// SPDX-License-Identifier: MIT
// What the kernel programs cost: nanoseconds a packet as ratios to a minimal flow counter, read-out time, memory,
// verified instructions.
#include <fffa_bpf/types.h>

#include "bench_flow.skel.h"
#include "bench_minimal.skel.h"
#include "flow_program.h"
#include "packet_builder.h"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>

using namespace fffa::bpf_test;

namespace {

using Flow = FlowProgram<bench_flow_bpf>;
constexpr int rounds = 11;

struct Minimal {
  bench_minimal_bpf* skeleton = bench_minimal_bpf__open();
  ~Minimal() { bench_minimal_bpf__destroy(skeleton); }
};

enum Stream : std::uint32_t { same_packet = 0, advancing = 1, data_and_ack = 2, random_flows = 3, loss = 4 };

// Nanoseconds a packet.
double run(const bpf_program* program, const Bytes& packet, int repeat) {
  Bytes out(packet.size() + 512);
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(), .data_out = out.data(),
              .data_size_in = static_cast<__u32>(packet.size()), .data_size_out = static_cast<__u32>(out.size()),
              .repeat = repeat);
  check(bpf_prog_test_run_opts(bpf_program__fd(program), &options), "BPF_PROG_TEST_RUN");
  return options.duration;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Case {
  const char* name;
  Bytes packet;
  Stream stream;
  std::uint32_t log_flows;
  double budget;  // 0: none
};

// Both programs in turn, the same number of packets each: the median of the ratios.
void compare(const Case& c, const Bytes& plain) {
  const std::uint32_t flows = c.stream == random_flows ? 2u << c.log_flows : 65536;
  Flow flow({.entries = flows});
  Minimal minimal;
  flow->rodata->stream_kind = minimal.skeleton->rodata->stream_kind = c.stream;
  flow->rodata->stream_log_flows = minimal.skeleton->rodata->stream_log_flows = c.log_flows;
  check(bpf_map__set_max_entries(minimal.skeleton->maps.flows, flows), "size the minimal map");
  flow.load();
  check(bench_minimal_bpf__load(minimal.skeleton), "load the minimal programs");
  const bool still = c.stream == same_packet;
  const auto& ours = flow->progs;
  const auto& theirs = minimal.skeleton->progs;
  const std::pair<const bpf_program*, const bpf_program*> pairs[] = {
      {still ? ours.fffa_xdp_ingress : ours.stream_xdp, still ? theirs.minimal_xdp : theirs.stream_xdp},
      {still ? ours.fffa_tc_egress : ours.stream_tc, still ? theirs.minimal_tc : theirs.stream_tc}};
  const int repeat = c.log_flows ? 200000 : 50000;
  std::printf("%-28s", c.name);
  for (const auto& [our, their] : pairs) {
    std::vector<double> ratios, ns;
    run(our, c.packet, 1 << (c.log_flows + 1));
    run(their, plain, 1 << (c.log_flows + 1));
    for (int i = 0; i < rounds; ++i) {
      const auto base = run(their, plain, repeat), cost = run(our, c.packet, repeat);
      ns.push_back(cost);
      ratios.push_back(cost / base);
    }
    const auto ratio = median(ratios);
    std::printf("  %5.0f ns  %4.2f %s", median(ns), ratio,
                c.budget == 0       ? "    "
                : ratio <= c.budget ? "ok  "
                                    : "OVER");
  }
  if (c.budget != 0) std::printf("  <= %.1f", c.budget);
  std::printf("\n");
}

void compare_all() {
  const TcpFields segment{.seq = 1000, .ack = 7777, .flags = 0x18, .window = 502};
  const auto v4 = PacketBuilder().eth().ipv4("11.0.0.0", "10.1.0.0").tcp(40000, 443, segment).payload(60).build();
  const auto v6 = PacketBuilder().eth().ipv6("2001:db8::1", "2001:db8::2").tcp(40000, 443, segment).payload(60).build();
  const auto gwlb = PacketBuilder()
                        .eth()
                        .ipv4("10.9.0.1", "10.9.0.2")
                        .udp(50000, 6081)
                        .geneve(0, gwlb_options(1, 2, 3))
                        .ipv4("11.0.0.0", "10.1.0.0")
                        .tcp(40000, 443, segment)
                        .payload(60)
                        .build();
  const auto geneve6 = PacketBuilder()
                           .eth()
                           .ipv4("10.9.0.1", "10.9.0.2")
                           .udp(50000, 6081)
                           .geneve(7)
                           .eth()
                           .ipv6("2001:db8::1", "2001:db8::2")
                           .tcp(40000, 443, segment)
                           .payload(60)
                           .build();
  std::printf("%-28s  XDP      ratio     TC       ratio     budget\n", "known TCP flow");
  for (const auto& c :
       {Case{"IPv4", v4, same_packet, 0, 1.0}, Case{"IPv6", v6, same_packet, 0, 1.0},
        Case{"IPv4, advancing", v4, advancing, 0, 1.0}, Case{"IPv4, data and ACK in turn", v4, data_and_ack, 0, 1.0},
        Case{"IPv4, loss and repair", v4, loss, 0, 0}, Case{"GENEVE, GWLB, IPv4", gwlb, same_packet, 0, 1.1},
        Case{"GENEVE, Ethernet, IPv6", geneve6, same_packet, 0, 1.1},
        Case{"IPv4, 128 k flows at random", v4, random_flows, 17, 1.1},
        Case{"IPv4, 1 M flows at random", v4, random_flows, 20, 0}})
    compare(c, v4);
}

// Read-out of n flows of which each has one packet to report.
void read_out(std::uint32_t log_flows) {
  const TcpFields segment{.ack = 7777, .flags = 0x18, .window = 502};
  const auto v4 = PacketBuilder().eth().ipv4("11.0.0.0", "10.1.0.0").tcp(40000, 443, segment).payload(60).build();
  const std::uint32_t flows = log_flows == 20 ? 1000000 : log_flows == 17 ? 100000 : 10000;
  Flow flow({.entries = 1u << log_flows, .open_geneve = false});
  flow->rodata->stream_kind = random_flows;
  flow->rodata->stream_log_flows = log_flows;
  flow.load();
  std::vector<double> total, idle, longest;
  std::uint64_t records = 0;
  for (int i = 0; i < 7; ++i) {
    // one round visits every flow once; the first `flows` of it are as good as any
    flow->bss->stream_tick = static_cast<std::uint64_t>(i == 0 ? 0 : 0);
    run(flow->progs.stream_xdp, v4, static_cast<int>(flows));
    for (auto* into : {&total, &idle}) {
      double all = 0, most = 0;
      const auto used = std::min(flow->bss->table_state.next_index, 1u << log_flows);
      for (std::uint32_t start = 0; start < used; start += FFFA_DRAIN_CHUNK) {
        flow->bss->drain_request = {0, ~0ull, ~0ull, start, std::min<std::uint32_t>(used - start, FFFA_DRAIN_CHUNK),
                                    0, 0};
        const auto begin = std::chrono::steady_clock::now();
        records += flow.drain_once().records;
        const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
        all += took.count();
        most = std::max(most, took.count());
      }
      into->push_back(all);
      if (into == &total) longest.push_back(most);
    }
  }
  if (records != 7ull * flows)
    std::printf("read-out lost records: %llu of %llu\n", static_cast<unsigned long long>(records), 7ull * flows);
  std::printf("%8u active flows: %7.2f ms, longest call %5.2f ms; the same flows idle: %6.2f ms%s\n", flows,
              median(total), median(longest), median(idle),
              flows != 100000       ? ""
              : median(total) <= 25 ? "   ok   <= 25 ms"
                                    : "   OVER <= 25 ms");
}

std::uint64_t memory_of(const bpf_map* map) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(bpf_map__fd(map)));
  for (std::string key; info >> key;) {
    std::uint64_t value = 0;
    if (key == "memlock:" && info >> value) return value;
  }
  return 0;
}

void memory_and_verifier() {
  for (const std::uint32_t entries : {100000u, 1000000u}) {
    Flow flow({.entries = entries});
    flow.load();
    const auto table = static_cast<double>(memory_of(flow->maps.flows) + memory_of(flow->maps.buckets)) / entries;
    std::printf(
        "table of %7u: %5.1f bytes a connection %s <= 560, and %5.1f in the side array while tunnels are opened\n",
        entries, table, table <= 560 ? "ok  " : "OVER", static_cast<double>(memory_of(flow->maps.tunnels)) / entries);
  }
  Flow flow({});
  flow.load();
  for (const auto* program : {flow->progs.fffa_xdp_ingress, flow->progs.fffa_tc_ingress, flow->progs.fffa_tc_egress,
                              flow->progs.fffa_drain}) {
    bpf_prog_info info{};
    __u32 size = sizeof info;
    check(bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size), "program info");
    std::printf("%-18s %7u instructions verified, %6u bytes of machine code\n", bpf_program__name(program),
                info.verified_insns, info.jited_prog_len);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string only = argc > 1 ? argv[1] : "";
  if (only.empty() || only == "packets") compare_all();
  if (only.empty() || only == "read-out")
    for (const std::uint32_t log_flows : {14u, 17u, 20u}) read_out(log_flows);
  if (only.empty() || only == "memory") memory_and_verifier();
}
