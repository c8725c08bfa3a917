// SPDX-License-Identifier: MIT
#include "probes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace fffa::integration {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

struct Address {
  sockaddr_in6 six{};
  socklen_t length = 0;
  int family = AF_INET;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&six); }
};

Address address(const std::string& text, std::uint16_t port) {
  Address made;
  if (text.find(':') != std::string::npos) {
    made.family = AF_INET6;
    made.six.sin6_family = AF_INET6;
    made.six.sin6_port = htons(port);
    ::inet_pton(AF_INET6, text.c_str(), &made.six.sin6_addr);
    made.length = sizeof made.six;
  } else {
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    ::inet_pton(AF_INET, text.c_str(), &four.sin_addr);
    std::memcpy(&made.six, &four, sizeof four);
    made.length = sizeof four;
  }
  return made;
}

class Socket {
 public:
  Socket(int family, int type, int protocol = 0) : fd_(::socket(family, type | SOCK_CLOEXEC, protocol)) {
    if (fd_ < 0) fail("socket");
  }
  ~Socket() { ::close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return fd_; }
  void bind(const Address& at) const {
    const int on = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd_, at.get(), at.length) != 0) fail("bind");
  }

 private:
  int fd_;
};

// Whether the socket has something to say before the time is over.
bool ready(int fd, short events, std::chrono::milliseconds time) {
  pollfd wanted{fd, events, 0};
  return ::poll(&wanted, 1, static_cast<int>(time.count())) > 0;
}

// What a firewall on this host, or the other side's, makes of a send.
bool refused() {
  return errno == EPERM || errno == ECONNREFUSED || errno == ENOBUFS || errno == EHOSTUNREACH || errno == ENETUNREACH;
}

}  // namespace

void send_udp(const Netns& from, const Tuple& flow, std::size_t datagrams) {
  const Netns::Inside inside(from);
  const Address to = address(flow.dst, flow.dst_port);
  const Socket socket(to.family, SOCK_DGRAM);
  socket.bind(address(flow.src, flow.src_port));
  for (std::size_t i = 0; i < datagrams; ++i) {
    if (::sendto(socket.get(), "0123456789", 10, 0, to.get(), to.length) != 10 && !refused()) fail("sendto");
  }
}

namespace {

// Sends to all the ports at once; returns how many went.
std::size_t send_to_each(int fd, std::vector<mmsghdr>& messages) {
  std::size_t sent = 0;
  while (sent < messages.size()) {
    const int some = ::sendmmsg(fd, messages.data() + sent, static_cast<unsigned>(messages.size() - sent), 0);
    if (some <= 0) fail("sendmmsg");
    sent += static_cast<std::size_t>(some);
  }
  return sent;
}

}  // namespace

std::size_t send_udp_burst(const Netns& from, const Tuple& first, std::size_t src_ports, std::size_t dst_ports,
                           std::size_t rate) {
  const Netns::Inside inside(from);
  std::vector<Address> to;
  for (std::size_t i = 0; i < dst_ports; ++i)
    to.push_back(address(first.dst, static_cast<std::uint16_t>(first.dst_port + i)));
  iovec payload{const_cast<char*>("0123456789"), 10};
  std::vector<mmsghdr> messages(dst_ports);
  for (std::size_t i = 0; i < dst_ports; ++i)
    messages[i].msg_hdr = {&to[i].six, to[i].length, &payload, 1, nullptr, 0, 0};
  const auto began = std::chrono::steady_clock::now();
  std::size_t sent = 0;
  for (std::size_t i = 0; i < src_ports; ++i) {
    const Socket socket(to[0].family, SOCK_DGRAM);
    socket.bind(address(first.src, static_cast<std::uint16_t>(first.src_port + i)));
    sent += send_to_each(socket.get(), messages);
    std::this_thread::sleep_until(began + std::chrono::microseconds(sent * 1'000'000 / rate));
  }
  return sent;
}

void try_tcp(const Netns& from, const Tuple& flow, std::size_t attempts) {
  const Netns::Inside inside(from);
  const Address to = address(flow.dst, flow.dst_port);
  for (std::size_t i = 0; i < attempts; ++i) {
    const Socket socket(to.family, SOCK_STREAM | SOCK_NONBLOCK);
    socket.bind(address(flow.src, flow.src_port));
    if (::connect(socket.get(), to.get(), to.length) != 0 && errno != EINPROGRESS && !refused()) fail("connect");
    ready(socket.get(), POLLOUT, std::chrono::milliseconds(20));  // well before the SYN would be sent again
  }
}

void talk_tcp(const Netns& from, const Tuple& flow, std::size_t rounds) {
  const Netns::Inside inside(from);
  const Address to = address(flow.dst, flow.dst_port);
  const Socket socket(to.family, SOCK_STREAM);
  const timeval patience{kPatience.count(), 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  socket.bind(address(flow.src, flow.src_port));
  if (::connect(socket.get(), to.get(), to.length) != 0) fail("connect to " + flow.dst);
  std::array<char, 4> answer{};
  for (std::size_t i = 0; i < rounds; ++i) {
    if (::send(socket.get(), "ping", 4, MSG_NOSIGNAL) != 4) fail("send");
    if (::recv(socket.get(), answer.data(), 4, MSG_WAITALL) != 4) fail("no answer from " + flow.dst);
  }
  ::shutdown(socket.get(), SHUT_WR);
  if (::recv(socket.get(), answer.data(), 1, 0) != 0) fail("not closed by " + flow.dst);
}

void send_icmp(const Netns& from, const std::string& src, const std::string& dst, std::uint8_t type,
               std::size_t count) {
  const Netns::Inside inside(from);
  const Address to = address(dst, 0);
  const bool six = to.family == AF_INET6;
  const Socket socket(to.family, SOCK_RAW, six ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP});
  socket.bind(address(src, 0));
  for (std::size_t i = 0; i < count; ++i) {
    std::array<std::uint8_t, 64> packet{};
    packet[0] = type;
    packet[5] = 0x78;
    packet[7] = static_cast<std::uint8_t>(i);
    if (!six) {  // the kernel fills in ICMPv6's checksum only; all but three bytes are zero
      const std::uint32_t sum = (packet[0] << 8U) + packet[5] + packet[7];
      packet[2] = static_cast<std::uint8_t>(~sum >> 8);
      packet[3] = static_cast<std::uint8_t>(~sum);
    }
    if (::sendto(socket.get(), packet.data(), packet.size(), 0, to.get(), to.length) < 0 && !refused()) fail("sendto");
  }
}

Responder::Responder(const Netns& netns, const std::vector<std::uint16_t>& tcp, const std::vector<std::uint16_t>& udp) {
  const Netns::Inside inside(netns);
  const auto open = [](int type, std::uint16_t port) {
    const int fd = ::socket(AF_INET6, type | SOCK_CLOEXEC, 0);  // takes IPv4 too
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const Address at = address("::", port);
    if (fd < 0 || ::bind(fd, at.get(), at.length) != 0) fail("bind port " + std::to_string(port));
    return fd;
  };
  for (const auto port : udp) sinks_.push_back(open(SOCK_DGRAM, port));
  for (const auto port : tcp) {
    listeners_.push_back(open(SOCK_STREAM, port));
    if (::listen(listeners_.back(), 64) != 0) fail("listen");
  }
  thread_ = std::thread([this] { serve(); });
}

Responder::~Responder() {
  stop_ = true;
  thread_.join();
  for (const auto& all : {listeners_, sinks_, connections_}) {
    for (const int fd : all) ::close(fd);
  }
}

void Responder::serve() {
  std::array<char, 2048> buffer{};
  while (!stop_) {
    std::vector<pollfd> wanted;
    for (const auto* all : {&listeners_, &sinks_, &connections_}) {
      for (const int fd : *all) wanted.push_back({fd, POLLIN, 0});
    }
    if (::poll(wanted.data(), wanted.size(), 20) <= 0) continue;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i].revents == 0) continue;
      const int fd = wanted[i].fd;
      if (i < listeners_.size()) {
        connections_.push_back(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC));
      } else if (const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
                 i >= listeners_.size() + sinks_.size()) {
        if (got > 0) {
          for (ssize_t at = 0; at + 4 <= got; at += 4) ::send(fd, "pong", 4, MSG_NOSIGNAL);
        } else {
          ::close(fd);
          std::erase(connections_, fd);
        }
      }
    }
  }
}

}  // namespace fffa::integration
