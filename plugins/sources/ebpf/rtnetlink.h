// SPDX-License-Identifier: MIT
// What the kernel says about interfaces, addresses and default routes: as a list, and as changes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fffa/detail/descriptor.h"
#include "fffa/record.h"
#include "fffa/result.h"

namespace fffa::ebpf {

struct Link {
  std::uint32_t ifindex = 0;
  std::string name;
  bool up = false;  // administratively and operationally
  bool loopback = false;
  bool ethernet = true;  // its packets begin with an Ethernet header
};

// The first address of global scope of each family that is neither secondary, temporary nor deprecated; zero: none.
struct PrimaryAddresses {
  Address ipv4{};
  Address ipv6{};
  friend bool operator==(const PrimaryAddresses&, const PrimaryAddresses&) = default;
};

struct LinkAddress {
  std::uint32_t ifindex = 0;
  std::uint8_t family = 0;  // 4 or 6
  std::uint8_t prefix_length = 0;
  bool primary = false;  // may be an interface's primary address
  Address address{};
};

struct LinkEvent {
  bool removed = false;
  Link link;
};

struct LinkChanges {
  std::vector<LinkEvent> links;  // in the kernel's order
  bool addresses = false;        // some address changed: list them anew
  bool routes = false;           // some default route changed
  bool overrun = false;          // the kernel dropped messages: list everything anew
  bool any() const noexcept { return !links.empty() || addresses || routes || overrun; }
};

// Of the network namespace in which it was opened. One thread.
class RtNetlink {
 public:
  // `routes`: watch default routes as well.
  static Result<RtNetlink> open(bool routes);

  // Readable when changes() has something to say.
  int fd() const noexcept { return events_.get(); }
  // Everything that happened since the last call; never blocks.
  LinkChanges changes();

  Result<std::vector<Link>> links();
  Result<std::vector<LinkAddress>> addresses();
  // Interfaces of the preferred default route of each family, in the main table.
  Result<std::vector<std::uint32_t>> default_route_links();

 private:
  RtNetlink(Descriptor events, Descriptor requests) : events_(std::move(events)), requests_(std::move(requests)) {}

  template <typename Visit>
  Result<void> dump(int type, int family, Visit visit);
  template <typename Visit>
  Result<bool> dump_once(int type, int family, Visit visit);

  Descriptor events_;
  Descriptor requests_;
  std::uint32_t sequence_ = 0;
};

// Of the addresses of one interface.
PrimaryAddresses primary_addresses(const std::vector<LinkAddress>& all, std::uint32_t ifindex);
// "10.0.0.1", "fe80::1".
std::string to_string(const Address& address, std::uint8_t family);

}  // namespace fffa::ebpf
