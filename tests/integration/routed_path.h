// SPDX-License-Identifier: MIT
// A router between a client and a server, each a network namespace: the place where a firewall sees INPUT, OUTPUT and
// FORWARD. Needs root; without it everything here throws.
#pragma once

#include <string>

#include "netns.h"

namespace fffa::integration {

enum class Family { ip4, ip6, inet };  // inet: nft's tables for both
inline constexpr Family kFamilies[] = {Family::ip4, Family::ip6};

//   client  10.78.1.2, fd78:1::2   on `eth0`
//   router  10.78.1.1, fd78:1::1   on `cl0`, towards the client
//           10.78.2.1, fd78:2::1   on `sv0`, towards the server
//   server  10.78.2.2, fd78:2::2   on `eth0`
// with fixed neighbours (no ARP, no neighbour discovery), no multicast chatter and no offloads: rules count packets,
// and with offloads on a packet may be many segments.
class RoutedPath {
 public:
  // `name` tells several paths of one process apart.
  explicit RoutedPath(const std::string& name = "");
  Netns client;
  Netns router;
  Netns server;

  static std::string client_address(Family family);
  static std::string server_address(Family family);
  // The router's own, on the client's and on the server's side.
  static std::string near_address(Family family);
  static std::string far_address(Family family);

 private:
  void join(const Netns& end, const std::string& at_router, const std::string& net);
};

// Writes a value below /proc/sys of the namespace.
void set_sysctl(const Netns& netns, const std::string& path, const std::string& value);
// Reads one; empty where there is none.
std::string get_sysctl(const Netns& netns, const std::string& path);

}  // namespace fffa::integration
