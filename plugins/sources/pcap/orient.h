// SPDX-License-Identifier: MIT
// What a captured packet is to the flow engine: the frame that it parses, the direction, and the path that the packet
// was seen on. Decides; counts nothing. (A test hands the same decisions to the kernel programs.)
//
// Direction. Where the capture tells it, it is the kernel's. Where it does not, "remote" is the lower (address, port)
// of the packet's two ends, so that both directions of a connection meet in one entry.
//
// Path. The same connection on two paths is two entries: else every copy would look like a retransmission. A path is
// the capture's interface, the VLAN tags, whether the direction is known, and, if it is not, of an encapsulated packet
//   (a) from a Gateway Load Balancer: the outer direction. Each carries both inner directions, and what comes back from
//       the appliance goes the other way. An appliance begins nothing, so the outer direction that was seen first is
//       the one towards it: that of the path's records is ingress, of the other's egress;
//   (b) else: whether inner and outer packet go the same way. So A -> B over X -> Y and the answers over Y -> X are one
//       path, and A -> B over Y -> X is another.
// A datagram's fragments go the way of the wire: so they find its ports before the two ends are put in order.
// Paths have numbers, which stand in the engine's key in place of an interface's index.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "fffa_bpf/host_fragments.h"
#include "fffa_bpf/parse.h"
#include "reader.h"

namespace fffa::pcap {

struct Path {
  std::uint32_t interface = 0;  // place in Reader::interfaces()
  std::uint32_t ifindex = 0;    // of the machine that captured, where the link type tells it; else 0
  std::uint32_t vlans = 0;      // outer tags: two ids of 16 bits, each with FFFA_VLAN_PRESENT
  std::uint16_t inner_vlan = 0;
  enum Kind : std::uint8_t { directed, undirected, overlay, overlay_reverse, gwlb, gwlb_reverse } kind = directed;
  Way way = Way::unknown;  // of all its packets, where it goes by who began
  friend bool operator==(const Path&, const Path&) = default;
};

// What captures choose is hashed with random seeds, the engine's way: who does not know them cannot make keys that
// meet.
class SeededHash {
 public:
  static constexpr std::size_t kWords = 4;
  SeededHash();
  std::size_t operator()(std::span<const std::uint64_t> words) const noexcept;  // kWords at most

 private:
  std::array<std::uint32_t, 2 * kWords> seeds_;
};
struct PathHash {
  SeededHash hash;
  std::size_t operator()(const Path& path) const noexcept;
};

// Numbers of paths, from 1 on. Bounded: when there are kMax (nobody has as many but forgers), further ones keep their
// interface, kind and way only. Of those there are at most kPlain for each interface of the capture, which the reader
// bounds: kMax + kPlain * kMaxInterfaces in all.
class Paths {
 public:
  static constexpr std::size_t kMax = std::size_t{1} << 20;
  static constexpr std::size_t kPlain = 10;  // four kinds without a way, and two with any of three
  std::uint32_t number_of(const Path& path) {
    if (path == last_) return last_number_;
    return look_up(path);
  }
  const Path& operator[](std::uint32_t number) const { return paths_[number - 1]; }
  std::size_t size() const noexcept { return paths_.size(); }

 private:
  std::uint32_t look_up(const Path& path);
  std::uint32_t add(const Path& path, std::size_t limit);
  std::vector<Path> paths_;
  std::unordered_map<Path, std::uint32_t, PathHash> numbers_;
  Path last_{.interface = UINT32_MAX};  // no path yet
  std::uint32_t last_number_ = 0;
};

// A packet as the engine parses it.
struct Framed {
  fffa_frame frame{};
  bool ethernet = false;     // fffa_parse_frame, else fffa_parse_raw_ip
  bool readable = false;     // else the link type is not known, or its header is cut off: `reason`
  int reason = FFFA_NOT_IP;  // enum fffa_reason, if not readable
  Way way = Way::unknown;
  std::uint32_t ifindex = 0;
  std::uint32_t header = 0;  // bytes of the link layer before the IP packet, at least
};

// Finds the frame in a packet. The two cooked link types become Ethernet frames; for that, up to two bytes of a cooked
// header (never of what it carries) are overwritten.
Framed frame_of(const Packet& packet, std::uint16_t link_type, std::uint32_t tunnels);

// Two outer addresses, the lower one first.
struct GatewayPair {
  fffa_addr low, high;
  friend bool operator==(const GatewayPair& a, const GatewayPair& b) noexcept;
};
struct GatewayPairHash {
  SeededHash hash;
  std::size_t operator()(const GatewayPair& pair) const noexcept;
};

// Which of two outer directions a Gateway Load Balancer's packets were first seen in. Bounded: of further pairs of
// addresses nothing is known (nobody has as many but forgers).
class GatewayPaths {
 public:
  static constexpr std::size_t kMax = 65536;
  // `reverse`: from the higher to the lower address.
  Way way_of(const fffa_outer& outer, bool reverse);

 private:
  std::unordered_map<GatewayPair, bool, GatewayPairHash> first_;  // whether it was the reverse one
};

class Orienter {
 public:
  explicit Orienter(std::uint32_t tunnels);

  // Parses `packet`. FFFA_OK: `out` is ready to be tracked; its direction is enum fffa_direction, its key's ifindex the
  // path's number. Else enum fffa_reason: why no flow can be named. `framed` is set in any case.
  int operator()(const Packet& packet, std::uint16_t link_type, fffa_packet& out, Framed& framed);

  const Paths& paths() const noexcept { return paths_; }

 private:
  void set_kind(const fffa_packet& packet, bool reverse, Path& path);
  void set_undirected(fffa_packet& packet, Path& path);
  void follow_fragment(const Path& path, fffa_packet& packet);

  std::uint32_t tunnels_;
  Paths paths_;
  GatewayPaths gateways_;
  std::vector<fffa_fragment> fragment_entries_;  // FFFA_FRAGMENTS, once there is one
  fffa_fragments fragments_{};
};

}  // namespace fffa::pcap
