// SPDX-License-Identifier: MIT
#include "rtnetlink.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "privileges.h"

namespace fffa::ebpf {
namespace {

// Large enough for any message of a dump: the kernel sizes its replies by what the reader offers, at most 32 KiB.
constexpr std::size_t kBufferSize = 32768;
constexpr int kEventBuffer = 1 << 20;

Result<Descriptor> open_socket(int flags, std::uint32_t groups) {
  Descriptor fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE));
  if (!fd) return kernel_error("open a netlink socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return kernel_error("bind a netlink socket");
  }
  return fd;
}

template <typename Visit>
void for_each_attribute(const rtattr* attribute, std::size_t length, Visit visit) {
  auto left = static_cast<int>(length);
  for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) visit(*attribute);
}

template <typename T>
T attribute_value(const rtattr& attribute) {
  T value{};
  std::memcpy(&value, RTA_DATA(&attribute), std::min(sizeof value, static_cast<std::size_t>(RTA_PAYLOAD(&attribute))));
  return value;
}

std::optional<Link> parse_link(const nlmsghdr& header) {
  if (header.nlmsg_len < NLMSG_LENGTH(sizeof(ifinfomsg))) return std::nullopt;
  const auto& message = *static_cast<const ifinfomsg*>(NLMSG_DATA(&header));
  // a bridge reports its ports with family AF_BRIDGE: the interface itself has neither come nor gone
  if (message.ifi_family != AF_UNSPEC) return std::nullopt;
  Link link;
  link.ifindex = static_cast<std::uint32_t>(message.ifi_index);
  constexpr unsigned running = IFF_UP | IFF_RUNNING;
  link.up = (message.ifi_flags & running) == running;
  link.loopback = (message.ifi_flags & IFF_LOOPBACK) != 0;
  link.ethernet = message.ifi_type == ARPHRD_ETHER || message.ifi_type == ARPHRD_LOOPBACK;
  for_each_attribute(IFLA_RTA(&message), IFLA_PAYLOAD(&header), [&](const rtattr& attribute) {
    if (attribute.rta_type != IFLA_IFNAME) return;
    const auto* text = static_cast<const char*>(RTA_DATA(&attribute));
    link.name.assign(text, ::strnlen(text, RTA_PAYLOAD(&attribute)));
  });
  if (link.name.empty()) return std::nullopt;
  return link;
}

std::optional<LinkAddress> parse_address(const nlmsghdr& header) {
  if (header.nlmsg_len < NLMSG_LENGTH(sizeof(ifaddrmsg))) return std::nullopt;
  const auto& message = *static_cast<const ifaddrmsg*>(NLMSG_DATA(&header));
  if (message.ifa_family != AF_INET && message.ifa_family != AF_INET6) return std::nullopt;
  LinkAddress found;
  found.ifindex = message.ifa_index;
  found.family = message.ifa_family == AF_INET ? 4 : 6;
  found.prefix_length = message.ifa_prefixlen;
  std::uint32_t flags = message.ifa_flags;
  bool local = false;
  for_each_attribute(IFA_RTA(&message), IFA_PAYLOAD(&header), [&](const rtattr& attribute) {
    if (attribute.rta_type == IFA_FLAGS) flags = attribute_value<std::uint32_t>(attribute);
    // on a point-to-point link IFA_ADDRESS is the peer's
    if (attribute.rta_type == IFA_LOCAL || (attribute.rta_type == IFA_ADDRESS && !local)) {
      found.address = attribute_value<Address>(attribute);
      local = local || attribute.rta_type == IFA_LOCAL;
    }
  });
  found.primary = message.ifa_scope == RT_SCOPE_UNIVERSE && (flags & (IFA_F_SECONDARY | IFA_F_DEPRECATED)) == 0;
  return found;
}

struct DefaultRoute {
  std::uint32_t metric = 0;
  std::vector<std::uint32_t> links;
};

std::optional<DefaultRoute> parse_default_route(const nlmsghdr& header) {
  if (header.nlmsg_len < NLMSG_LENGTH(sizeof(rtmsg))) return std::nullopt;
  const auto& message = *static_cast<const rtmsg*>(NLMSG_DATA(&header));
  if (message.rtm_dst_len != 0 || message.rtm_type != RTN_UNICAST || message.rtm_table != RT_TABLE_MAIN)
    return std::nullopt;
  if (message.rtm_family != AF_INET && message.rtm_family != AF_INET6) return std::nullopt;
  DefaultRoute route;
  for_each_attribute(RTM_RTA(&message), RTM_PAYLOAD(&header), [&](const rtattr& attribute) {
    if (attribute.rta_type == RTA_PRIORITY) route.metric = attribute_value<std::uint32_t>(attribute);
    if (attribute.rta_type == RTA_OIF) route.links.push_back(attribute_value<std::uint32_t>(attribute));
    if (attribute.rta_type != RTA_MULTIPATH) return;
    const auto* hop = static_cast<const rtnexthop*>(RTA_DATA(&attribute));
    auto left = static_cast<int>(RTA_PAYLOAD(&attribute));
    while (left >= static_cast<int>(sizeof *hop) && RTNH_OK(hop, left)) {
      route.links.push_back(static_cast<std::uint32_t>(hop->rtnh_ifindex));
      left -= static_cast<int>(RTNH_ALIGN(hop->rtnh_len));
      hop = RTNH_NEXT(hop);
    }
  });
  return route;
}

void note(const nlmsghdr& header, LinkChanges& changes) {
  switch (header.nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      if (auto link = parse_link(header)) changes.links.push_back({header.nlmsg_type == RTM_DELLINK, std::move(*link)});
      break;
    case RTM_NEWADDR:
    case RTM_DELADDR: changes.addresses = true; break;
    case RTM_NEWROUTE:
    case RTM_DELROUTE: changes.routes = changes.routes || parse_default_route(header).has_value(); break;
    default: break;
  }
}

}  // namespace

Result<RtNetlink> RtNetlink::open(bool routes) {
  std::uint32_t groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (routes) groups |= RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  auto events = open_socket(SOCK_NONBLOCK, groups);
  if (!events) return events.error();
  ::setsockopt(events->get(), SOL_SOCKET, SO_RCVBUF, &kEventBuffer, sizeof kEventBuffer);
  auto requests = open_socket(0, 0);
  if (!requests) return requests.error();
  const timeval patience{5, 0};
  ::setsockopt(requests->get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return RtNetlink(std::move(*events), std::move(*requests));
}

LinkChanges RtNetlink::changes() {
  LinkChanges changes;
  alignas(nlmsghdr) std::array<char, kBufferSize> buffer;
  for (;;) {
    const ssize_t got = ::recv(events_.get(), buffer.data(), buffer.size(), MSG_TRUNC);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno != ENOBUFS) return changes;
      changes.overrun = true;
      continue;
    }
    if (static_cast<std::size_t>(got) > buffer.size()) {
      changes.overrun = true;
      continue;
    }
    auto left = static_cast<unsigned>(got);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      note(*header, changes);
    }
  }
}

// False: the list changed while it was read and must be read again.
template <typename Visit>
Result<bool> RtNetlink::dump_once(int type, int family, Visit visit) {
  struct {
    nlmsghdr header;
    rtgenmsg message;
    char padding[64];  // every request's own header fits, zeroed
  } request{};
  request.header.nlmsg_len = NLMSG_LENGTH(type == RTM_GETLINK   ? sizeof(ifinfomsg)
                                          : type == RTM_GETADDR ? sizeof(ifaddrmsg)
                                                                : sizeof(rtmsg));
  request.header.nlmsg_type = static_cast<std::uint16_t>(type);
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.header.nlmsg_seq = ++sequence_;
  request.message.rtgen_family = static_cast<unsigned char>(family);
  if (::send(requests_.get(), &request, request.header.nlmsg_len, 0) < 0) return kernel_error("ask netlink for a list");
  alignas(nlmsghdr) std::array<char, kBufferSize> buffer;
  bool consistent = true;
  for (;;) {
    const ssize_t got = ::recv(requests_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return kernel_error("read a list from netlink");
    auto left = static_cast<unsigned>(got);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_seq != sequence_) continue;
      if ((header->nlmsg_flags & NLM_F_DUMP_INTR) != 0) consistent = false;
      if (header->nlmsg_type == NLMSG_DONE) return consistent;
      if (header->nlmsg_type == NLMSG_ERROR) {
        return kernel_error("list over netlink", -static_cast<const nlmsgerr*>(NLMSG_DATA(header))->error);
      }
      visit(*header);
    }
  }
}

template <typename Visit>
Result<void> RtNetlink::dump(int type, int family, Visit visit) {
  constexpr int kTries = 5;
  for (int i = 0; i < kTries; ++i) {
    visit.clear();
    auto consistent = dump_once(type, family, visit);
    if (!consistent) return consistent.error();
    // an inconsistent list is good enough in the end: what changed meanwhile comes as an event too
    if (*consistent || i == kTries - 1) break;
  }
  return {};
}

namespace {

// Collects what `Parse` makes of each message.
template <typename T, std::optional<T> (*Parse)(const nlmsghdr&)>
struct Collect {
  std::vector<T>& out;
  std::size_t before = out.size();
  void clear() const { out.resize(before); }
  void operator()(const nlmsghdr& header) const {
    if (auto item = Parse(header)) out.push_back(std::move(*item));
  }
};

}  // namespace

Result<std::vector<Link>> RtNetlink::links() {
  std::vector<Link> all;
  if (auto done = dump(RTM_GETLINK, AF_UNSPEC, Collect<Link, parse_link>{all}); !done) return done.error();
  return all;
}

Result<std::vector<LinkAddress>> RtNetlink::addresses() {
  std::vector<LinkAddress> all;
  if (auto done = dump(RTM_GETADDR, AF_UNSPEC, Collect<LinkAddress, parse_address>{all}); !done) return done.error();
  return all;
}

Result<std::vector<std::uint32_t>> RtNetlink::default_route_links() {
  std::vector<std::uint32_t> links;
  for (int family : {AF_INET, AF_INET6}) {
    std::vector<DefaultRoute> routes;
    if (auto done = dump(RTM_GETROUTE, family, Collect<DefaultRoute, parse_default_route>{routes}); !done) {
      if (family == AF_INET6) continue;  // a kernel without IPv6
      return done.error();
    }
    const DefaultRoute* best = nullptr;
    for (const auto& route : routes) {
      if (!route.links.empty() && (best == nullptr || route.metric < best->metric)) best = &route;
    }
    if (best != nullptr) links.insert(links.end(), best->links.begin(), best->links.end());
  }
  return links;
}

PrimaryAddresses primary_addresses(const std::vector<LinkAddress>& all, std::uint32_t ifindex) {
  PrimaryAddresses found;
  for (const auto& address : all) {
    if (address.ifindex != ifindex || !address.primary) continue;
    Address& place = address.family == 4 ? found.ipv4 : found.ipv6;
    if (place == Address{}) place = address.address;
  }
  return found;
}

std::string to_string(const Address& address, std::uint8_t family) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(family == 4 ? AF_INET : AF_INET6, address.data(), text.data(), text.size());
  return text.data();
}

}  // namespace fffa::ebpf
