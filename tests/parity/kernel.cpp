// SPDX-License-Identifier: MIT
#include "kernel.h"

#include <linux/bpf.h>
#include <sched.h>

#include <string>

#include "../integration/netns.h"
#include "flow.skel.h"

namespace fffa::parity {

using bpf_test::check;

Kernel& Kernel::get() {
  static auto* kernel = new Kernel;  // never destroyed: the process's end frees programs and namespace
  return *kernel;
}

Kernel::Kernel() {
  check(::unshare(CLONE_NEWNET) != 0 ? -errno : 0, "make a network namespace");
  program_ = new Program({.end_events = false, .manual_clock = true});
  program_->load();
}

// Devices whose indices are the path numbers.
void Kernel::need_interface(std::uint32_t ifindex) {
  while (interfaces_ < ifindex) {
    const auto a = std::to_string(interfaces_ + 1), b = std::to_string(interfaces_ + 2);
    integration::run(
        {"ip", "link", "add", "parity" + a, "index", a, "type", "veth", "peer", "name", "parity" + b, "index", b});
    interfaces_ += 2;
  }
}

void Kernel::run(Hook ingress, const Handed& packet, std::uint32_t segments, std::uint32_t segment) {
  need_interface(packet.path);
  auto& kernel = *program_;
  kernel->bss->manual_now_ns = static_cast<__u64>(packet.time);
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.frame.data(),
              .data_size_in = static_cast<__u32>(packet.frame.size()), .repeat = 1);
  xdp_md xdp{};
  __sk_buff skb{};
  const bpf_program* program = kernel->progs.fffa_xdp_ingress;
  if (packet.direction == FFFA_INGRESS && ingress == Hook::xdp) {
    xdp.data_end = options.data_size_in;
    xdp.ingress_ifindex = packet.path;
    options.ctx_in = &xdp;
    options.ctx_size_in = sizeof xdp;
  } else {
    const bool out = packet.direction == FFFA_EGRESS;
    program = out ? kernel->progs.fffa_tc_egress : kernel->progs.fffa_tc_ingress;
    skb.ifindex = packet.path;
    skb.ingress_ifindex = out && packet.at_sender ? 0 : packet.path;  // 0: it was not forwarded
    skb.gso_segs = segments;
    skb.gso_size = segment;
    options.ctx_in = &skb;
    options.ctx_size_in = sizeof skb;
  }
  check(bpf_prog_test_run_opts(bpf_program__fd(program), &options), "BPF_PROG_TEST_RUN");
}

std::vector<fffa_drain_record> Kernel::read_out() {
  std::vector<fffa_drain_record> records;
  program_->drain(UINT64_MAX, UINT64_MAX, [&](const fffa_drain_record& record) { records.push_back(record); });
  return records;
}

void Kernel::forget_all() {
  program_->drain(0, 0, [](const fffa_drain_record&) {});  // reports what is left, and what had ended goes
  program_->drain(0, 0, [](const fffa_drain_record&) {});
}

Totals Kernel::totals() {
  Totals totals;
  for (std::uint32_t ifindex = 1; ifindex <= interfaces_; ++ifindex) {
    const auto counters = program_->counters(ifindex);
    for (int side = 0; side < 2; ++side) {
      totals.seen += {counters.seen[side].packets, counters.seen[side].bytes};
      totals.filtered += {counters.filtered[side].packets, counters.filtered[side].bytes};
      for (const auto& count : {counters.diverted[side], counters.lost[side]})
        totals.elsewhere += {count.packets, count.bytes};
    }
  }
  for (std::uint32_t reason = 0; reason < FFFA_REASONS; ++reason) {
    const auto counters = program_->reason(reason);
    totals.reasons[reason] = counters.side[0].packets + counters.side[1].packets;
  }
  return totals;
}

}  // namespace fffa::parity
