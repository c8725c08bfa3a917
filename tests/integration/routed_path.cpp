// SPDX-License-Identifier: MIT
#include "routed_path.h"

#include <fstream>
#include <stdexcept>

namespace fffa::integration {
namespace {

std::string address(Family family, const std::string& net, const std::string& host) {
  return family == Family::ip4 ? "10.78." + net + "." + host : "fd78:" + net + "::" + host;
}

// The hardware address of host 1 (the router) or 2 (the end) of a net.
std::string hardware(const std::string& net, const std::string& host) {
  return "02:00:00:78:0" + net + ":0" + host;
}

void set_up(const Netns& side, const std::string& interface, const std::string& net, const std::string& host) {
  {
    const Netns::Inside inside(side);
    set_offloads(interface, false);
  }
  // no router solicitations, no link-local address, no multicast reports
  set_sysctl(side, "net/ipv6/conf/" + interface + "/addr_gen_mode", "1");
  set_sysctl(side, "net/ipv6/conf/" + interface + "/router_solicitations", "0");
  side.ip("link set " + interface + " multicast off up");
  side.ip("link set lo up");
  const std::string other = host == "1" ? "2" : "1";
  for (const Family family : kFamilies) {
    const bool four = family == Family::ip4;
    side.ip("address add " + address(family, net, host) + (four ? "/24" : "/64 nodad") + " dev " + interface);
    side.ip("neighbour replace " + address(family, net, other) + " lladdr " + hardware(net, other) +
            " nud permanent dev " + interface);
  }
}

}  // namespace

void set_sysctl(const Netns& netns, const std::string& path, const std::string& value) {
  const Netns::Inside inside(netns);
  std::ofstream file("/proc/sys/" + path);
  file << value << std::flush;
  if (!file) throw std::runtime_error("cannot write " + path);
}

std::string get_sysctl(const Netns& netns, const std::string& path) {
  const Netns::Inside inside(netns);
  std::ifstream file("/proc/sys/" + path);
  std::string value;
  std::getline(file, value);
  return value;
}

RoutedPath::RoutedPath(const std::string& name)
    : client(name + "client"), router(name + "router"), server(name + "server") {
  join(client, "cl0", "1");
  join(server, "sv0", "2");
  set_sysctl(router, "net/ipv4/ip_forward", "1");
  set_sysctl(router, "net/ipv6/conf/all/forwarding", "1");
}

void RoutedPath::join(const Netns& end, const std::string& at_router, const std::string& net) {
  router.ip("link add " + at_router + " address " + hardware(net, "1") + " type veth peer name eth0 address " +
            hardware(net, "2") + " netns " + end.name());
  set_up(router, at_router, net, "1");
  set_up(end, "eth0", net, "2");
  end.ip("route add default via " + address(Family::ip4, net, "1"));
  end.ip("-6 route add default via " + address(Family::ip6, net, "1"));
}

std::string RoutedPath::client_address(Family family) {
  return address(family, "1", "2");
}
std::string RoutedPath::server_address(Family family) {
  return address(family, "2", "2");
}
std::string RoutedPath::near_address(Family family) {
  return address(family, "1", "1");
}
std::string RoutedPath::far_address(Family family) {
  return address(family, "2", "1");
}

}  // namespace fffa::integration
