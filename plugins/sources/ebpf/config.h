// SPDX-License-Identifier: MIT
// Options of the source `ebpf`.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "fffa/config.h"

namespace fffa::ebpf {

enum class Direct : std::uint8_t { ingress, egress, netfilter };
enum class IngressHook : std::uint8_t { automatic, xdp_native, xdp_generic, tc, off };
enum class EgressHook : std::uint8_t { tc, off };
enum class Tunnel : std::uint8_t { geneve };
enum class Detail : std::uint8_t { final, all };
enum class Rules : std::uint8_t { first_packet, sampled, off };

struct NetfilterConfig {
  Detail detail = Detail::final;
  Rules rules = Rules::first_packet;
  std::uint32_t rate = 200;
};

struct Config {
  std::vector<std::string> interfaces = {"auto"};
  std::vector<Direct> hooks = {Direct::ingress, Direct::egress, Direct::netfilter};
  IngressHook ingress = IngressHook::automatic;
  EgressHook egress = EgressHook::tc;
  std::uint32_t table_size = 65536;
  std::chrono::nanoseconds table_timeout = std::chrono::seconds(300);
  fffa::ByteSize ring_size{4U << 20};
  std::chrono::nanoseconds drain_interval = std::chrono::seconds(5);
  std::vector<Tunnel> tunnels = {Tunnel::geneve};
  NetfilterConfig netfilter;
};

FFFA_ENUM(Direct, (ingress, "ingress", "packets that the interface receives"),
          (egress, "egress", "packets that it sends"),
          (netfilter, "netfilter", "what the firewall made of both, where the kernel allows us to see it"))
FFFA_ENUM(IngressHook, (automatic, "auto", "native XDP where the driver has it and nobody uses it, else TC"),
          (xdp_native, "xdp-native", "in the driver"),
          (xdp_generic, "xdp-generic", "XDP on any interface, slower than TC"),
          (tc, "tc", "TCX, or clsact before kernel 6.6"), (off, "off", "no ingress"))
FFFA_ENUM(EgressHook, (tc, "tc", "TCX, or clsact before kernel 6.6"), (off, "off", "no egress"))
FFFA_ENUM(Tunnel, (geneve, "geneve", "UDP port 6081, as AWS Gateway Load Balancer sends it"))

FFFA_ENUM(Detail, (final, "final", "the deciding hooks of each packet"),
          (all, "all", "also counts for each hook, as metrics"))
FFFA_ENUM(Rules, (first_packet, "first_packet", "of each connection's first packet, and of refused flows"),
          (sampled, "sampled", "of one packet in 100, by chance, and of refused flows"), (off, "off", "no rules"))

FFFA_CONFIG(NetfilterConfig, (detail, "what is counted"), (rules, "which packets are traced for the rule that decided"),
            (rate, "packets traced, at most, each second", fffa::range(1, 100000)))

FFFA_CONFIG(Config,
            (interfaces,
             "names, globs (`eth*`), `auto` (the default route's) or `all` (without `lo`, unless named); followed as "
             "they come and go"),
            (hooks, "what is watched"), (ingress, "how received packets are seen"),
            (egress, "how sent packets are seen"),
            (table_size,
             "connections that the kernel table holds; 560 bytes each, 144 more where tunnels are opened, 224 more "
             "with netfilter",
             fffa::range(64, 16777216)),
            (table_timeout, "forget a connection that was reported and stayed silent this long",
             fffa::range(std::chrono::seconds(1), std::chrono::hours(24))),
            (ring_size, "ring buffer for packets that find the table full; rounded up to a power of two",
             fffa::range(fffa::ByteSize{65536}, fffa::ByteSize{1U << 30})),
            (drain_interval,
             "read the table out at every multiple of this (UTC); windows downstream should be multiples of it",
             fffa::range(std::chrono::milliseconds(10), std::chrono::minutes(1))),
            (tunnels, "encapsulations that are opened; others count as the outer flow", fffa::may_be_empty),
            (netfilter, "how the firewall is watched"))

}  // namespace fffa::ebpf
