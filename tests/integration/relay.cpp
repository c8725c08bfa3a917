// SPDX-License-Identifier: MIT
#include "relay.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <queue>
#include <system_error>
#include <vector>

namespace fffa::integration {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// Every frame that `interface` of the calling thread's namespace receives.
int packet_socket(const std::string& interface) {
  const int fd = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
  if (fd < 0) fail("packet socket");
  const int buffer = 32 << 20;
  ::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
  const int on = 1;
  ::setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(ETH_P_ALL);
  at.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) fail("bind to " + interface);
  packet_mreq everything{};
  everything.mr_ifindex = at.sll_ifindex;
  everything.mr_type = PACKET_MR_PROMISC;
  if (::setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &everything, sizeof everything) != 0) fail("promiscuous");
  return fd;
}

std::uint32_t be(const std::uint8_t* at, int bytes) {
  std::uint32_t value = 0;
  for (int i = 0; i < bytes; ++i) value = value << 8 | at[i];
  return value;
}

}  // namespace

struct RelayedPair::Frame {
  std::vector<std::uint8_t> bytes;
  Clock::time_point release;
  std::uint64_t number = 0;  // frames released at one time leave in the order in which they came
  bool forth = true;         // from `here` to `there`
  bool held = false;         // longer than the others

  bool operator>(const Frame& other) const {
    return release != other.release ? release > other.release : number > other.number;
  }
  // The sequence number of IPv4 TCP with payload: false for anything else.
  bool tcp_payload(std::uint32_t& seq, std::uint32_t& length) const {
    if (bytes.size() < 54 || be(&bytes[12], 2) != ETH_P_IP || bytes[23] != IPPROTO_TCP) return false;
    const std::uint32_t ip = (bytes[14] & 15U) * 4;
    if (bytes.size() < 14 + ip + 20) return false;
    const std::uint8_t* tcp = &bytes[14 + ip];
    const std::uint32_t headers = ip + (tcp[12] >> 4) * 4U;
    const std::uint32_t total = be(&bytes[16], 2);
    seq = be(tcp + 4, 4);
    length = total > headers ? total - headers : 0;
    return length > 0;
  }
};

RelayedPair::RelayedPair(RelayOptions options) : here("here"), there("there"), options_(options), middle_("middle") {
  const auto join = [&](const Netns& side, const std::string& name, const std::string& last, const std::string& other,
                        const std::string& port) {
    side.ip("link add " + name + " address 02:00:00:00:77:0" + last + " type veth peer name " + port + " netns " +
            middle_.name());
    middle_.ip("link set " + port + " up");
    const Netns::Inside inside(side);
    set_offloads(name, false);
    side.ip("link set " + name + " multicast off up");
    side.ip("link set lo up");
    side.ip("address add 10.77.0." + last + "/24 dev " + name);
    side.ip("neighbour replace 10.77.0." + other + " lladdr 02:00:00:00:77:0" + other + " nud permanent dev " + name);
  };
  join(here, "veth0", "1", "2", "left");
  join(there, "peer0", "2", "1", "right");
  const Netns::Inside inside(middle_);
  const int left = packet_socket("left");
  const int right = packet_socket("right");
  thread_ = std::thread([this, left, right] {
    forward(left, right);
    ::close(left);
    ::close(right);
  });
}

RelayedPair::~RelayedPair() {
  stop();
}

RelayTruth RelayedPair::stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  return truth_;
}

bool RelayedPair::loses(const Frame& frame) {
  std::uint32_t seq = 0, length = 0;
  if (options_.loss == 0 || !frame.forth || !frame.tcp_payload(seq, length)) return false;
  return std::uniform_real_distribution<>(0, 1)(random_) < options_.loss;
}

bool RelayedPair::holds(const Frame& frame) {
  std::uint32_t seq = 0, length = 0;
  if (options_.hold_every == 0 || !frame.forth || !frame.tcp_payload(seq, length)) return false;
  return ++data_frames_ % options_.hold_every == 0;
}

void RelayedPair::note_delivery(const Frame& frame) {
  std::uint32_t seq = 0, length = 0;
  if (!frame.forth || !frame.tcp_payload(seq, length)) return;
  const std::uint32_t end = seq + length;
  if (begun_ && static_cast<std::int32_t>(seq - highest_) < 0) {
    ++truth_.late;
    if (frame.held) ++truth_.overtaken;
  }
  if (!begun_ || static_cast<std::int32_t>(end - highest_) > 0) highest_ = end;
  begun_ = true;
}

void RelayedPair::forward(int left, int right) {
  std::priority_queue<Frame, std::vector<Frame>, std::greater<>> waiting;
  std::array<pollfd, 2> ready = {pollfd{left, POLLIN, 0}, pollfd{right, POLLIN, 0}};
  std::vector<std::uint8_t> buffer(65536);
  std::uint64_t number = 0;
  while (!stop_ || !waiting.empty()) {
    timespec patience{0, 5'000'000};
    if (!waiting.empty()) {
      const auto left_over = std::chrono::nanoseconds(waiting.top().release - Clock::now()).count();
      patience.tv_nsec = std::clamp<std::int64_t>(left_over, 0, patience.tv_nsec);
    }
    ::ppoll(ready.data(), ready.size(), &patience, nullptr);
    for (const auto& from : ready) {
      for (ssize_t got = 0; (got = ::recv(from.fd, buffer.data(), buffer.size(), 0)) > 0;) {
        Frame frame{{buffer.begin(), buffer.begin() + got}, Clock::now(), number++, from.fd == left};
        if (loses(frame)) {
          ++truth_.lost;
          continue;
        }
        frame.held = holds(frame);
        frame.release += options_.delay + (frame.held ? options_.held_longer : std::chrono::microseconds{0});
        waiting.push(std::move(frame));
      }
    }
    for (; !waiting.empty() && waiting.top().release <= Clock::now(); waiting.pop()) {
      const Frame& frame = waiting.top();
      if (::send(frame.forth ? right : left, frame.bytes.data(), frame.bytes.size(), 0) > 0)
        note_delivery(frame);
      else
        ++truth_.lost;
    }
  }
}

}  // namespace fffa::integration
