// SPDX-License-Identifier: MIT
// Packets of flows whose tuple the test chooses, whether or not they get through. Bounded in volume and time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "netns.h"

namespace fffa::integration {

struct Tuple {
  std::string src;
  std::uint16_t src_port = 0;
  std::string dst;
  std::uint16_t dst_port = 0;
};

// Datagrams of 10 bytes. That a local firewall refuses them, or the other side, is no error.
void send_udp(const Netns& from, const Tuple& flow, std::size_t datagrams);
// One datagram for each pair of ports, as fast as they go, at most `rate` a second; returns how many were sent.
std::size_t send_udp_burst(const Netns& from, const Tuple& first, std::size_t src_ports, std::size_t dst_ports,
                           std::size_t rate);
// SYNs that are not answered, or with a reset: each attempt sends one.
void try_tcp(const Netns& from, const Tuple& flow, std::size_t attempts);
// A connection to a Responder: `rounds` requests and answers, then it is closed; throws if that takes more than 10 s.
void talk_tcp(const Netns& from, const Tuple& flow, std::size_t rounds = 1);
// ICMP or ICMPv6 packets of 64 bytes with a header of 8; answers are not waited for.
void send_icmp(const Netns& from, const std::string& src, const std::string& dst, std::uint8_t type, std::size_t count);

// Answers every TCP request of 4 bytes on these ports, and takes every datagram; both for IPv4 and IPv6.
class Responder {
 public:
  Responder(const Netns& netns, const std::vector<std::uint16_t>& tcp, const std::vector<std::uint16_t>& udp);
  ~Responder();
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;

 private:
  void serve();
  std::vector<int> listeners_;
  std::vector<int> sinks_;
  std::vector<int> connections_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace fffa::integration
