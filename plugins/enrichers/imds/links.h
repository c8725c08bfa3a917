// SPDX-License-Identifier: MIT
// The kernel's network interfaces and their hardware addresses.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fffa::imds {

struct Link {
  std::string name;
  std::uint32_t ifindex = 0;
  std::string mac;         // "0e:49:61:0f:c3:11"; empty: none
  bool permanent = false;  // burnt in, as an ENI's is; false: set by software (veth, VLAN, bridge)
};

// Those of this process's network namespace. Cheap system calls, no waiting.
std::vector<Link> list_links();

}  // namespace fffa::imds
