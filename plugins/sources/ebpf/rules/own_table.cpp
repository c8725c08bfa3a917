// SPDX-License-Identifier: MIT
#include "own_table.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string_view>

namespace fffa::ebpf {
namespace {

// Elements that may be in a set at a time: what passes the limits within its timeout, and some more.
std::uint32_t set_size(const RuleTracerOptions& options, std::uint32_t seconds) {
  return std::clamp<std::uint32_t>(options.rate, 50, 1000) * seconds * 3 / 2;
}

std::string concat(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const auto part : parts) text += part;
  return text;
}

constexpr std::uint32_t kSeenSeconds = 60;
constexpr std::uint32_t kWantedSeconds = 30;

struct Family {
  std::string_view ip;         // nft's keyword
  std::string_view address;    // type of an address
  std::string_view number;     // "4", "6": end of the sets' names
  std::string tuple() const {  // what every protocol has
    return std::string(ip) + " saddr . " + std::string(ip) + " daddr . meta l4proto";
  }
};
constexpr std::array<Family, 2> kFamilies{{{"ip", "ipv4_addr", "4"}, {"ip6", "ipv6_addr", "6"}}};

std::string set(std::string_view name, const Family& family, bool ports, std::uint32_t seconds, std::uint32_t size) {
  const std::string address(family.address);
  return "set " + std::string(name) + std::string(family.number) + " { type " + address + " . " + address +
         " . inet_proto" + (ports ? " . inet_service . inet_service" : "") + "; flags dynamic,timeout; timeout " +
         std::to_string(seconds) + "s; size " + std::to_string(size) + "; }\n";
}

std::string sets(const RuleTracerOptions& options) {
  std::string text;
  for (const auto& family : kFamilies) {
    for (const bool ports : {true, false}) {
      text += set(ports ? "wanted" : "wanted_plain", family, ports, kWantedSeconds, set_size(options, kWantedSeconds));
      if (options.mode == RuleTracerOptions::Mode::first_packet)
        text += set(ports ? "seen" : "seen_plain", family, ports, kSeenSeconds, set_size(options, kSeenSeconds));
    }
  }
  return text;
}

constexpr std::string_view kTrace = " meta nftrace set 1 return\n";

// A chain for protocols whose packets are told apart by `ports`, of which wanted ones are in the sets `wanted`.
std::string chooser(std::string_view chain, std::string_view ports, std::string_view suffix, bool tcp,
                    const RuleTracerOptions& options) {
  std::string text = "chain " + std::string(chain) + " {\n";
  const auto set_of = [&](std::string_view name, const Family& family) {
    return "@" + std::string(name) + std::string(suffix) + std::string(family.number);
  };
  for (const auto& family : kFamilies) {
    const std::string key = concat({family.tuple(), ports});
    const std::string wanted = set_of("wanted", family);
    text += concat({key, " ", wanted, " limit name \"total\" delete ", wanted, " { ", key, " }", kTrace});
  }
  const std::string limits = " limit name \"first\" limit name \"total\"";
  if (options.mode == RuleTracerOptions::Mode::sampled) {
    text += "numgen random mod 100 == 0" + limits + std::string(kTrace);
  } else if (tcp) {
    text += "tcp flags & syn == syn" + limits + std::string(kTrace);
  } else {
    for (const auto& family : kFamilies) {
      const std::string key = concat({family.tuple(), ports});
      const std::string seen = set_of("seen", family);
      text += concat({key, " != ", seen, limits, " add ", seen, " { ", key, " }", kTrace});
    }
  }
  return text + "}\n";
}

std::string limit(std::string_view name, std::uint32_t rate, std::uint32_t burst) {
  return "limit " + std::string(name) + " { rate " + std::to_string(std::max(rate, 1U)) + "/second burst " +
         std::to_string(std::max(burst, 1U)) + " packets; }\n";
}

std::string address_text(const Tuple& tuple, const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(tuple.family == 4 ? AF_INET : AF_INET6, address.data(), text.data(), text.size());
  return text.data();
}

bool has_ports(std::uint8_t protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE || protocol == IPPROTO_SCTP;
}
bool is_icmp(std::uint8_t protocol) {
  return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

// As the chains put it together: type and code of ICMP, the header's first two bytes, stand for both ports.
std::string element(const Tuple& tuple) {
  std::string text =
      address_text(tuple, tuple.src) + " . " + address_text(tuple, tuple.dst) + " . " + std::to_string(tuple.protocol);
  if (!has_ports(tuple.protocol) && !is_icmp(tuple.protocol)) return text;
  const auto first = is_icmp(tuple.protocol) ? tuple.dst_port : tuple.src_port;
  return text + " . " + std::to_string(first) + " . " + std::to_string(tuple.dst_port);
}

}  // namespace

std::string own_table_body(const RuleTracerOptions& options) {
  std::string text = limit("total", options.rate, options.rate);
  text += limit("first", options.rate - options.rate / 4, options.rate - options.rate / 4);
  text += sets(options);
  text += chooser("of_tcp", " . th sport . th dport", "", true, options);
  text += chooser("of_ports", " . th sport . th dport", "", false, options);
  text += chooser("of_icmp", " . th sport . th sport", "", false, options);
  text += chooser("of_others", "", "_plain", false, options);
  text +=
      "chain choose {\n"
      // TCP, UDP, UDP-Lite, SCTP, ICMP, ICMPv6: for their names nft wants /etc/protocols
      "meta l4proto vmap { 6 : goto of_tcp, 17 : goto of_ports, 136 : goto of_ports, 132 : goto of_ports,"
      " 1 : goto of_icmp, 58 : goto of_icmp }\n"
      "goto of_others\n}\n";
  // before connection tracking and any translation, raw and mangle; behind the reassembly of fragments
  for (const std::string_view hook : {"prerouting", "output"})
    text += concat({"chain ", hook, " { type filter hook ", hook, " priority -350; policy accept; jump choose; }\n"});
  return text;
}

std::string want_commands(const std::string& name, const std::vector<TracedFlow>& flows) {
  std::array<std::string, 4> elements;
  for (const auto& flow : flows) {
    const Tuple& tuple = flow.tuple;
    if (tuple.family != 4 && tuple.family != 6) continue;
    const bool ports = has_ports(tuple.protocol) || is_icmp(tuple.protocol);
    auto& list = elements[(tuple.family == 6 ? 1U : 0U) + (ports ? 0U : 2U)];
    list += list.empty() ? "" : ", ";
    list += element(tuple);
  }
  static constexpr std::array<std::string_view, 4> sets{"wanted4", "wanted6", "wanted_plain4", "wanted_plain6"};
  std::string text;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    if (!elements[i].empty()) text += concat({"add element inet ", name, " ", sets[i], " { ", elements[i], " }\n"});
  }
  return text;
}

}  // namespace fffa::ebpf
