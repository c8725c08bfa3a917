// SPDX-License-Identifier: MIT
#include "links.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

namespace fffa::imds {
namespace {

constexpr std::size_t kMacBytes = 6;
constexpr std::size_t kMaxAddress = 32;  // the kernel's MAX_ADDR_LEN

std::string mac_text(const unsigned char* bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  bool any = false;
  for (std::size_t i = 0; i < kMacBytes; ++i) {
    if (i > 0) text += ':';
    text += kHex[bytes[i] >> 4];
    text += kHex[bytes[i] & 15];
    any = any || bytes[i] != 0;
  }
  return any ? text : std::string();
}

ifreq request_for(const std::string& name) {
  ifreq request{};
  std::copy_n(name.data(), std::min(name.size(), sizeof request.ifr_name - 1), request.ifr_name);
  return request;
}

std::string permanent_mac(int fd, const std::string& name) {
  // The head is followed by the address.
  alignas(ethtool_perm_addr) std::array<unsigned char, sizeof(ethtool_perm_addr) + kMaxAddress> query{};
  auto* head = new (query.data()) ethtool_perm_addr{};
  head->cmd = ETHTOOL_GPERMADDR;
  head->size = kMaxAddress;
  ifreq request = request_for(name);
  request.ifr_data = reinterpret_cast<char*>(query.data());
  if (ioctl(fd, SIOCETHTOOL, &request) != 0 || head->size != kMacBytes) return {};
  return mac_text(query.data() + sizeof(ethtool_perm_addr));
}

std::string current_mac(int fd, const std::string& name) {
  ifreq request = request_for(name);
  if (ioctl(fd, SIOCGIFHWADDR, &request) != 0 || request.ifr_hwaddr.sa_family != ARPHRD_ETHER) return {};
  std::array<unsigned char, kMacBytes> bytes;
  std::memcpy(bytes.data(), request.ifr_hwaddr.sa_data, bytes.size());
  return mac_text(bytes.data());
}

}  // namespace

std::vector<Link> list_links() {
  std::vector<Link> links;
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return links;
  struct if_nameindex* const names = if_nameindex();
  for (auto* entry = names; entry != nullptr && entry->if_index != 0; ++entry) {
    Link link{entry->if_name, entry->if_index, {}, true};
    link.mac = permanent_mac(fd, link.name);
    if (link.mac.empty()) {
      link.permanent = false;
      link.mac = current_mac(fd, link.name);
    }
    links.push_back(std::move(link));
  }
  if_freenameindex(names);
  close(fd);
  return links;
}

}  // namespace fffa::imds
