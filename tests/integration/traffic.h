// SPDX-License-Identifier: MIT
// Real traffic between two namespaces, bounded in volume and time. Every function returns when its traffic is over, and
// throws if it did not get through within 30 s.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "netns.h"

namespace fffa::integration {

struct TcpTotals {
  std::uint64_t segments_out = 0;  // of the sending side, as tcp_info counts them
  std::uint64_t segments_in = 0;
  std::uint64_t bytes_out = 0;    // payload, what was sent again included
  std::uint64_t retransmits = 0;  // segments that the sending side sent again (tcpi_total_retrans)
  std::uint32_t min_rtt_us = 0;   // the sending side's, the smallest of all connections
};

// `connections` at once, each carrying `bytes` from `client` to `server` (at `address`), then closed.
TcpTotals tcp_bulk(const Netns& client, const Netns& server, const std::string& address, std::size_t connections,
                   std::size_t bytes);
// Likewise, each for as long as `duration` says.
TcpTotals tcp_for(const Netns& client, const Netns& server, const std::string& address, std::size_t connections,
                  std::chrono::milliseconds duration);
// One after the other: connect, a request, an answer, close.
void tcp_short(const Netns& client, const Netns& server, const std::string& address, std::size_t connections);
// Datagrams there and back, one socket each way; `flows` source ports.
void udp_exchange(const Netns& client, const Netns& server, const std::string& address, std::size_t flows,
                  std::size_t datagrams);
// One datagram from each of `flows` different source ports; nobody answers.
void udp_flood(const Netns& client, const Netns& server, const std::string& address, std::size_t flows);
// Datagrams of one flow to an address that need not be anybody's.
void send_datagrams(const Netns& client, const std::string& address, std::size_t datagrams);
// One connected socket, sent on by two threads at once, each on a processor of its own; nobody answers.
void udp_hammer(const Netns& client, const Netns& server, const std::string& address, std::size_t datagrams_each);
// Echo requests and their replies.
void echo(const Netns& client, const std::string& address, std::size_t count);

}  // namespace fffa::integration
