// SPDX-License-Identifier: MIT
#include "traffic.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace fffa::integration {
namespace {

constexpr std::uint16_t kPort = 7777;

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

class Socket {
 public:
  Socket(int family, int type, int protocol = 0) : Socket(::socket(family, type | SOCK_CLOEXEC, protocol)) {}
  explicit Socket(int fd) : fd_(fd) {
    if (fd_ < 0) fail("socket");
    const timeval patience{30, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct Endpoint {
  sockaddr_storage storage{};
  socklen_t length = 0;
  int family = AF_INET;
  const sockaddr* address() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Endpoint endpoint(const std::string& text, std::uint16_t port) {
  Endpoint made;
  if (text.find(':') != std::string::npos) {
    auto& six = reinterpret_cast<sockaddr_in6&>(made.storage);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    ::inet_pton(AF_INET6, text.c_str(), &six.sin6_addr);
    made.length = sizeof six;
    made.family = AF_INET6;
  } else {
    auto& four = reinterpret_cast<sockaddr_in&>(made.storage);
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    ::inet_pton(AF_INET, text.c_str(), &four.sin_addr);
    made.length = sizeof four;
  }
  return made;
}

Socket listening(const Netns& netns, const Endpoint& at, int type) {
  const Netns::Inside inside(netns);
  Socket socket(at.family, type);
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(socket.get(), at.address(), at.length) != 0) fail("bind");
  if (type == SOCK_STREAM && ::listen(socket.get(), 1024) != 0) fail("listen");
  return socket;
}

// Runs `body` on threads of their own, in `netns`; rethrows what any of them threw.
class Workers {
 public:
  template <typename Body>
  void start(const Netns& netns, Body body) {
    auto& failure = failures_.emplace_back(std::make_unique<std::exception_ptr>());
    threads_.emplace_back([&netns, &failure = *failure, body]() mutable {
      try {
        const Netns::Inside inside(netns);
        body();
      } catch (...) {
        failure = std::current_exception();
      }
    });
  }
  void join() {
    for (auto& thread : threads_) thread.join();
    threads_.clear();
    for (auto& failure : failures_) {
      if (*failure) std::rethrow_exception(*failure);
    }
  }
  ~Workers() {
    for (auto& thread : threads_) thread.join();
  }

 private:
  std::vector<std::unique_ptr<std::exception_ptr>> failures_;
  std::vector<std::thread> threads_;
};

void send_all(int fd, std::size_t bytes) {
  const std::vector<char> block(65536, 'x');
  while (bytes > 0) {
    const ssize_t sent = ::send(fd, block.data(), std::min(bytes, block.size()), MSG_NOSIGNAL);
    if (sent <= 0) fail("send");
    bytes -= static_cast<std::size_t>(sent);
  }
}

std::size_t receive_all(int fd) {
  std::vector<char> block(65536);
  std::size_t total = 0;
  for (;;) {
    const ssize_t got = ::recv(fd, block.data(), block.size(), 0);
    if (got < 0) fail("recv");
    if (got == 0) return total;
    total += static_cast<std::size_t>(got);
  }
}

int accept_one(int listener) {
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) fail("accept");
  return fd;
}

}  // namespace

namespace {

// What the sockets of a transfer say of it, added up.
struct SocketSums {
  std::mutex mutex;
  TcpTotals totals;

  void add(int fd) {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) fail("TCP_INFO");
    const std::lock_guard lock(mutex);
    totals.segments_out += info.tcpi_segs_out;
    totals.segments_in += info.tcpi_segs_in;
    totals.bytes_out += info.tcpi_bytes_sent;
    totals.retransmits += info.tcpi_total_retrans;
    if (totals.min_rtt_us == 0 || info.tcpi_min_rtt < totals.min_rtt_us) totals.min_rtt_us = info.tcpi_min_rtt;
  }
};

// `send` writes what it will to a connected socket and returns how many bytes that were.
template <typename Send>
TcpTotals transfer(const Netns& client, const Netns& server, const std::string& address, std::size_t connections,
                   Send send) {
  const Endpoint at = endpoint(address, kPort);
  const Socket listener = listening(server, at, SOCK_STREAM);
  std::atomic<std::uint64_t> sent{0};
  std::atomic<std::uint64_t> received{0};
  SocketSums sums;
  Workers workers;
  for (std::size_t i = 0; i < connections; ++i) {
    workers.start(server, [&] {
      const Socket socket(accept_one(listener.get()));
      received += receive_all(socket.get());
    });
    workers.start(client, [&] {
      const Socket socket(at.family, SOCK_STREAM);
      // few packets on their way at a time: a veth drops what its receiver's backlog has no room for, behind our hook
      const int buffer = 32768;
      ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
      if (::connect(socket.get(), at.address(), at.length) != 0) fail("connect");
      sent += send(socket.get());
      ::shutdown(socket.get(), SHUT_WR);
      receive_all(socket.get());  // the peer's end: by now every segment of both sides is on its way
      sums.add(socket.get());
    });
  }
  workers.join();
  if (received != sent) throw std::runtime_error("not all bytes arrived");
  return sums.totals;
}

}  // namespace

TcpTotals tcp_bulk(const Netns& client, const Netns& server, const std::string& address, std::size_t connections,
                   std::size_t bytes) {
  return transfer(client, server, address, connections, [bytes](int fd) {
    send_all(fd, bytes);
    return bytes;
  });
}

TcpTotals tcp_for(const Netns& client, const Netns& server, const std::string& address, std::size_t connections,
                  std::chrono::milliseconds duration) {
  const auto end = std::chrono::steady_clock::now() + duration;
  return transfer(client, server, address, connections, [end](int fd) {
    constexpr std::size_t kBlock = 262144;
    std::size_t bytes = 0;
    for (; std::chrono::steady_clock::now() < end; bytes += kBlock) send_all(fd, kBlock);
    return bytes;
  });
}

void tcp_short(const Netns& client, const Netns& server, const std::string& address, std::size_t connections) {
  const Endpoint at = endpoint(address, kPort);
  const Socket listener = listening(server, at, SOCK_STREAM);
  std::array<char, 4> buffer{};
  Workers workers;
  workers.start(server, [&listener, connections] {
    std::array<char, 4> request{};
    for (std::size_t i = 0; i < connections; ++i) {
      const Socket socket(accept_one(listener.get()));
      if (::recv(socket.get(), request.data(), request.size(), 0) != 4) fail("recv");
      if (::send(socket.get(), "pong", 4, MSG_NOSIGNAL) != 4) fail("send");
    }
  });
  workers.start(client, [&] {
    for (std::size_t i = 0; i < connections; ++i) {
      const Socket socket(at.family, SOCK_STREAM);
      if (::connect(socket.get(), at.address(), at.length) != 0) fail("connect");
      if (::send(socket.get(), "ping", 4, MSG_NOSIGNAL) != 4) fail("send");
      if (::recv(socket.get(), buffer.data(), buffer.size(), 0) != 4) fail("recv");
    }
  });
  workers.join();
}

void udp_exchange(const Netns& client, const Netns& server, const std::string& address, std::size_t flows,
                  std::size_t datagrams) {
  const Endpoint at = endpoint(address, kPort);
  const Socket answering = listening(server, at, SOCK_DGRAM);
  Workers workers;
  workers.start(server, [&answering, total = flows * datagrams] {
    std::array<char, 2048> buffer{};
    for (std::size_t i = 0; i < total; ++i) {
      sockaddr_storage from{};
      socklen_t length = sizeof from;
      const ssize_t got =
          ::recvfrom(answering.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
      if (got < 0) fail("recvfrom");
      if (::sendto(answering.get(), buffer.data(), static_cast<std::size_t>(got), 0, reinterpret_cast<sockaddr*>(&from),
                   length) < 0)
        fail("sendto");
    }
  });
  workers.start(client, [&] {
    std::array<char, 512> buffer{};
    for (std::size_t flow = 0; flow < flows; ++flow) {
      const Socket socket(at.family, SOCK_DGRAM);
      if (::connect(socket.get(), at.address(), at.length) != 0) fail("connect");
      for (std::size_t i = 0; i < datagrams; ++i) {
        if (::send(socket.get(), buffer.data(), 1 + (i * 37) % buffer.size(), 0) < 0) fail("send");
        if (::recv(socket.get(), buffer.data(), buffer.size(), 0) < 0) fail("recv");
      }
    }
  });
  workers.join();
}

void udp_flood(const Netns& client, const Netns& server, const std::string& address, std::size_t flows) {
  const Endpoint at = endpoint(address, kPort);
  const Socket quiet = listening(server, at, SOCK_DGRAM);  // else the server would answer with ICMP errors
  const Netns::Inside inside(client);
  for (std::size_t flow = 0; flow < flows; ++flow) {
    const Socket socket(at.family, SOCK_DGRAM);
    const Endpoint from = endpoint(at.family == AF_INET ? "0.0.0.0" : "::", static_cast<std::uint16_t>(10000 + flow));
    if (::bind(socket.get(), from.address(), from.length) != 0) fail("bind");
    if (::sendto(socket.get(), "x", 1, 0, at.address(), at.length) != 1) fail("sendto");
  }
}

void send_datagrams(const Netns& client, const std::string& address, std::size_t datagrams) {
  const Netns::Inside inside(client);
  const Endpoint at = endpoint(address, kPort);
  const Socket socket(at.family, SOCK_DGRAM);
  for (std::size_t i = 0; i < datagrams; ++i) {
    if (::sendto(socket.get(), "x", 1, 0, at.address(), at.length) != 1) fail("sendto");
  }
}

void udp_hammer(const Netns& client, const Netns& server, const std::string& address, std::size_t datagrams_each) {
  const Endpoint at = endpoint(address, kPort);
  const Socket quiet = listening(server, at, SOCK_DGRAM);
  const auto connected = [&] {
    const Netns::Inside inside(client);
    Socket made(at.family, SOCK_DGRAM);
    if (::connect(made.get(), at.address(), at.length) != 0) fail("connect");
    return made;
  };
  const Socket socket = connected();
  Workers workers;
  for (int processor = 0; processor < 2; ++processor) {
    workers.start(client, [&, processor] {
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET(processor, &set);
      if (::sched_setaffinity(0, sizeof set, &set) != 0) fail("two processors are needed");
      for (std::size_t i = 0; i < datagrams_each; ++i) {
        if (::send(socket.get(), "hammer", 6, 0) != 6) fail("send");
      }
    });
  }
  workers.join();
}

void echo(const Netns& client, const std::string& address, std::size_t count) {
  const Netns::Inside inside(client);
  const Endpoint at = endpoint(address, 0);
  const bool six = at.family == AF_INET6;
  const int protocol = six ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP};
  const Socket socket(at.family, SOCK_RAW, protocol);
  for (std::size_t i = 0; i < count; ++i) {
    std::array<std::uint8_t, 64> packet{};
    packet[0] = six ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
    packet[5] = 0x77;
    packet[7] = static_cast<std::uint8_t>(i);
    if (!six) {  // the kernel fills in ICMPv6's checksum only
      std::uint32_t sum = 0;
      for (std::size_t at_byte = 0; at_byte < packet.size(); at_byte += 2)
        sum += static_cast<std::uint32_t>(packet[at_byte] << 8 | packet[at_byte + 1]);
      sum = (sum & 0xffff) + (sum >> 16);
      packet[2] = static_cast<std::uint8_t>(~sum >> 8);
      packet[3] = static_cast<std::uint8_t>(~sum);
    }
    if (::sendto(socket.get(), packet.data(), packet.size(), 0, at.address(), at.length) < 0) fail("sendto");
    std::array<std::uint8_t, 256> reply{};
    for (;;) {
      const ssize_t got = ::recv(socket.get(), reply.data(), reply.size(), 0);
      if (got < 0) fail("no echo reply");
      const std::size_t header = six ? 0 : static_cast<std::size_t>(reply[0] & 15) * 4;
      if (reply[header] == (six ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY) && reply[header + 7] == packet[7]) break;
    }
  }
}

}  // namespace fffa::integration
