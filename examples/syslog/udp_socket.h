// SPDX-License-Identifier: MIT
// A UDP socket connected to one host, closed with the object.
#pragma once

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include "fffa/result.h"

class UdpSocket {
 public:
  // Takes the first address of `host` that can be reached; throws fffa::Failure if there is none.
  UdpSocket(const std::string& host, std::uint16_t port) {
    const std::string where = host + " port " + std::to_string(port);
    addrinfo hints{};
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo* found = nullptr;
    if (const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); error != 0) {
      throw fffa::Failure(fffa::fail("look up " + where + ": " + gai_strerror(error)));
    }
    for (const addrinfo* each = found; each && fd_ < 0; each = each->ai_next) {
      fd_ = socket(each->ai_family, each->ai_socktype | SOCK_CLOEXEC, 0);
      if (fd_ >= 0 && connect(fd_, each->ai_addr, each->ai_addrlen) != 0) close(std::exchange(fd_, -1));
    }
    const int error = errno;
    freeaddrinfo(found);
    if (fd_ < 0) throw fffa::Failure(fffa::system_error("connect to " + where, error));
  }
  ~UdpSocket() { close(fd_); }
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;

  // One datagram; errno says what went wrong. A refusal that an earlier datagram met is no failure of this one: it is
  // sent again.
  bool send(std::string_view text) {
    ssize_t sent = ::send(fd_, text.data(), text.size(), 0);
    if (sent < 0 && errno == ECONNREFUSED) sent = ::send(fd_, text.data(), text.size(), 0);
    return sent >= 0;
  }

 private:
  int fd_ = -1;
};
