// SPDX-License-Identifier: MIT
// Builds test packets layer by layer: PacketBuilder().eth().ipv4("10.0.0.1", "10.0.0.2").tcp(1, 2).payload(10).build().
// Lengths and "next protocol" fields are filled in; set8/set16 overwrite bytes of the layer added last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fffa::bpf_test {

using Bytes = std::vector<std::uint8_t>;

struct TcpFields {
  std::uint32_t seq = 1000;
  std::uint32_t ack = 0;
  std::uint8_t flags = 0x10;
  std::uint16_t window = 1000;
  Bytes options = {};  // padded to a multiple of four
};

class PacketBuilder {
 public:
  PacketBuilder& eth();
  PacketBuilder& vlan(std::uint16_t id, std::uint16_t tpid = 0x8100);
  PacketBuilder& ipv4(const std::string& src, const std::string& dst, const Bytes& options = {});
  PacketBuilder& ipv6(const std::string& src, const std::string& dst);
  PacketBuilder& extension(std::uint8_t kind, std::size_t size);  // hop-by-hop 0, routing 43, destination 60
  PacketBuilder& authentication(std::size_t size);                // AH
  PacketBuilder& fragment(std::uint16_t offset_bytes, bool more, std::uint32_t id = 0);  // IPv6 fragment header
  PacketBuilder& tcp(std::uint16_t src, std::uint16_t dst, const TcpFields& fields = {});
  PacketBuilder& udp(std::uint16_t src, std::uint16_t dst);
  PacketBuilder& sctp(std::uint16_t src, std::uint16_t dst);
  PacketBuilder& icmp(std::uint8_t type, std::uint8_t code);  // ICMPv6 behind IPv6
  PacketBuilder& geneve(std::uint32_t vni, const Bytes& options = {});
  PacketBuilder& raw(const Bytes& bytes);
  PacketBuilder& payload(std::size_t size);

  PacketBuilder& set8(std::size_t at, std::uint8_t value);    // in the layer added last
  PacketBuilder& set16(std::size_t at, std::uint16_t value);  // likewise, big-endian
  PacketBuilder& pad(std::size_t size);                       // Ethernet padding: outside every length

  [[nodiscard]] Bytes build() const;

 private:
  enum class Kind { eth, ipv4, ipv6, extension, tcp, udp, other };
  struct Patch {
    std::size_t at;
    Bytes value;
  };
  struct Layer {
    Kind kind;
    std::size_t at;
  };

  std::size_t begin(Kind kind, std::uint16_t ethertype, std::uint8_t protocol);
  void append16(std::uint16_t value);
  void append32(std::uint32_t value);

  Bytes bytes_;
  std::vector<Layer> layers_;
  std::vector<Patch> patches_;
  std::size_t next_at_ = 0;    // where the layer added last names what follows it
  std::size_t next_size_ = 0;  // 2: an EtherType, 1: an IP protocol, 0: nowhere
  std::size_t padding_ = 0;
};

// The three options that AWS's Gateway Load Balancer adds.
Bytes gwlb_options(std::uint64_t endpoint, std::uint64_t attachment, std::uint32_t cookie);

}  // namespace fffa::bpf_test
