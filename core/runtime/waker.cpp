// SPDX-License-Identifier: MIT
#include "waker.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace fffa::core {

Waker::Waker() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (event_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

Waker::~Waker() {
  close(event_);
}

void Waker::signal() noexcept {
  if (signalled_.exchange(true)) return;  // one write a sleep
  const std::uint64_t one = 1;
  while (write(event_, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

bool Waker::sleep(std::chrono::nanoseconds limit, int fd) noexcept {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit);
  const timespec timeout{seconds.count(), (limit - seconds).count()};
  pollfd polled[] = {{event_, POLLIN, 0}, {fd, POLLIN, 0}};
  const int ready = ppoll(polled, 2, limit.count() < 0 ? nullptr : &timeout, nullptr);
  if (ready <= 0) return false;
  if (polled[0].revents != 0) {
    // Empty the event before the flag: a signal in between finds the flag still set, and its change is seen after the
    // exchange.
    std::uint64_t count = 0;
    while (read(event_, &count, sizeof count) < 0 && errno == EINTR) {
    }
    signalled_.exchange(false);
  }
  return polled[1].revents != 0;
}

}  // namespace fffa::core
