// SPDX-License-Identifier: MIT
// Records with every field set, as a busy instance behind a firewall would give them.
#pragma once

#include <string>
#include <vector>

#include "fffa/record.h"

namespace fffa::bench {

inline FlowRecord sample(TextTable& texts, std::size_t i, bool v6) {
  constexpr TimeNs kStart = 1'767'225'600'000'000'000;
  FlowRecord r;
  r.flow.family = v6 ? 6 : 4;
  r.flow.protocol = 6;
  if (v6) {
    r.flow.src = {0x26, 0x00, 0x1f, 0x18, 0x12, 0x34, 0x56, 0x00, 0xab, 0xcd, 0x12, 0x34, 0x56, 0x78};
    r.flow.dst = {0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01};
  } else {
    r.flow.src = {10, 20};
    r.flow.dst = {198, 51, 100, 24};
  }
  const std::size_t host = v6 ? 14 : 2;
  r.flow.src[host] = static_cast<std::uint8_t>(i >> 8);
  r.flow.src[host + 1] = static_cast<std::uint8_t>(i);
  r.flow.src_port = static_cast<std::uint16_t>(32768 + i);
  r.flow.dst_port = 443;
  r.host = texts.intern("ip-10-20-1-15.eu-central-1.compute.internal");
  r.run_id = texts.intern("8c5a2f6e-4b8e-4a57-9d6c-0f7a1b2c3d4e");
  r.interface = texts.intern("ens5");
  r.ifindex = 2;
  r.direction = Direction::egress;
  r.sequence = 1'000'000 + i;
  r.emitted = kStart + 65'000'000'000;
  r.packets = 1200 + i;
  r.bytes = 1'400'000 + 1000 * i;
  r.first_seen = kStart + static_cast<TimeNs>(i) * 1'234'567;
  r.last_seen = r.first_seen + 59'876'543'210;
  for (const auto has : {Has::tcp, Has::handshake, Has::window, Has::window_scale, Has::netfilter, Has::refused,
                         Has::rule, Has::nat, Has::drops}) {
    r.set(has);
  }
  r.tcp_flags = 0x1b;
  r.vpc_tcp_flags = 3;
  r.initiator = true;
  r.conn_state = ConnState::SF;
  r.handshake_latency_us = 1234;
  r.fast_retransmits = 3;
  r.timeout_retransmits = 1;
  r.out_of_order_pkts = 2;
  r.duplicate_acks = 7;
  r.jitter_sum_us = 123'456;
  r.jitter_samples = 1100;
  r.max_jitter_us = 34'567;
  r.min_window_size = 29'200;
  r.max_window_size = 3'145'728;
  r.last_window_size = 2'097'152;
  r.window_scale = 7;
  r.rtt_sum_us = 987'654;
  r.rtt_samples = 567;
  r.min_rtt_us = 812;
  r.max_rtt_us = 15'432;
  r.ecn_flags = 2;
  r.netfilter_verdict = Verdict::accept;
  r.netfilter_hook = NetfilterHook::local_out;
  r.netfilter_table = texts.intern("filter");
  r.netfilter_chain = texts.intern("OUTPUT");
  r.netfilter_rule_num = 12;
  r.netfilter_target = texts.intern("ACCEPT");
  r.netfilter_match_info = texts.intern("tcp dport 443 ct state new");
  r.netfilter_accepts = 1200;
  r.refused_packets = 2;
  r.refused_bytes = 120;
  r.refused_first_seen = r.first_seen;
  r.refused_last_seen = r.last_seen;
  r.drop_reason = texts.intern("NETFILTER_DROP");
  r.drops = 2;
  r.nat = r.flow;
  r.nat.src_port = 40'000;
  r.aws = {texts.intern("111122223333"),
           texts.intern("vpc-0a1b2c3d4e5f60001"),
           texts.intern("subnet-0a1b2c3d4e5f60001"),
           texts.intern("i-0a1b2c3d4e5f60001"),
           texts.intern("eu-central-1a"),
           texts.intern("euc1-az2"),
           texts.intern("eu-central-1"),
           texts.intern("eni-0a1b2c3d4e5f60001")};
  return r;
}

// The same in a tunnel of a Gateway Load Balancer, with the largest and smallest of numbers, and with labels.
inline FlowRecord tunnelled(TextTable& texts, bool v6) {
  auto r = sample(texts, 3, v6);
  r.encapsulation = Encapsulation::geneve;
  r.vni = 0xABCDEF;
  r.outer = {{10, 0, 0, 1}, {10, 0, 0, 2}, 60'000, 6081, 17, 4};
  r.gwlb_endpoint_id = 0xfedcba9876543210;
  r.set(Has::gwlb_endpoint);
  r.packets = std::uint64_t{1} << 44;
  r.netfilter_priority = -150;
  r.set_label(texts.intern("team \"a\""), texts.intern("Z\xc3\xbcrich\n"));
  r.set_label(texts.intern("empty"), Text::null);
  return r;
}

// Half of them IPv6.
inline std::vector<FlowRecord> samples(TextTable& texts, std::size_t count) {
  std::vector<FlowRecord> records;
  for (std::size_t i = 0; i < count; ++i) records.push_back(sample(texts, i, i % 2 == 1));
  return records;
}

}  // namespace fffa::bench
