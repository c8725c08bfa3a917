// SPDX-License-Identifier: MIT
// What accept accounting costs: processor time of a packet that a router forwards, receives or sends, with `netfilter`
// among the hooks and without, by turns in one run.
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "live_source.h"
#include "routed_path.h"

using namespace fffa::integration;

namespace {

constexpr int kRounds = 11;
constexpr int kBursts = 6;  // of each round; the first warms up
constexpr std::size_t kBurst = 20'000;
constexpr double kBudget = 60;  // nanoseconds a packet
constexpr std::uint16_t kPort = 4000;

void pin_to_first_processor() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(0, &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) throw std::runtime_error("sched_setaffinity");
}

// The kernel thread that takes over when packets come faster than the sender's system call hands them on.
std::string soft_interrupts_of_first_processor() {
  std::unique_ptr<DIR, int (*)(DIR*)> processes(::opendir("/proc"), ::closedir);
  while (const dirent* entry = ::readdir(processes.get())) {
    const std::string folder = std::string("/proc/") + entry->d_name;
    std::ifstream name(folder + "/comm");
    std::string text;
    if (std::getline(name, text) && text == "ksoftirqd/0") return folder + "/schedstat";
  }
  throw std::runtime_error("no ksoftirqd/0");
}

double nanoseconds_used(const std::string& schedstat) {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  double kernel = 0;
  std::ifstream(schedstat) >> kernel;
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec) + kernel;
}

// A socket for datagrams, with room for a burst of them.
class Datagrams {
 public:
  Datagrams(const Netns& netns, const std::string& address, std::uint16_t port) {
    const Netns::Inside inside(netns);
    fd_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int room = 256 << 20;
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    const sockaddr_in at = named(address, port);
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) throw std::runtime_error("bind");
  }
  ~Datagrams() { ::close(fd_); }
  Datagrams(const Datagrams&) = delete;
  Datagrams& operator=(const Datagrams&) = delete;

  void send(const std::string& address, std::size_t count) const {
    constexpr std::size_t kAtOnce = 50;
    const sockaddr_in to = named(address, kPort);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) throw std::runtime_error("connect");
    std::array<char, 64> payload{};
    iovec part{payload.data(), payload.size()};
    std::array<mmsghdr, kAtOnce> messages{};
    for (auto& message : messages) {
      message.msg_hdr.msg_iov = &part;
      message.msg_hdr.msg_iovlen = 1;
    }
    for (std::size_t sent = 0; sent < count;) {
      const int some = ::sendmmsg(fd_, messages.data(), kAtOnce, 0);
      if (some <= 0) throw std::runtime_error("sendmmsg");
      sent += static_cast<std::size_t>(some);
    }
  }
  // Takes all that has come; returns how many.
  std::size_t drain() const {
    std::array<char, 64> payload{};
    std::size_t count = 0;
    while (::recv(fd_, payload.data(), payload.size(), MSG_DONTWAIT) > 0) ++count;
    return count;
  }

 private:
  static sockaddr_in named(const std::string& address, std::uint16_t port) {
    sockaddr_in made{};
    made.sin_family = AF_INET;
    made.sin_port = htons(port);
    ::inet_pton(AF_INET, address.c_str(), &made.sin_addr);
    return made;
  }
  int fd_ = -1;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Packets from a socket to another that waits for them.
struct Way {
  const char* name;
  const Netns& from;
  std::string from_address;
  const Netns& to;
  std::string to_address;
};

// Processor time a packet while the source runs with these options.
double measure(const Netns& router, const Way& way, const std::string& options, const std::string& schedstat) {
  LiveSource source(router, "{interfaces: [cl0, sv0], drain_interval: 1m, " + options + "}");
  if (!source.error().empty()) throw std::runtime_error(source.error());
  const Datagrams sender(way.from, way.from_address, 40000);
  const Datagrams receiver(way.to, way.to_address, kPort);
  std::vector<double> costs;
  for (int i = 0; i < kBursts; ++i) {
    const double before = nanoseconds_used(schedstat);
    sender.send(way.to_address, kBurst);
    const double used = nanoseconds_used(schedstat) - before;
    const std::size_t came = receiver.drain();
    if (came < kBurst / 100 * 99) std::printf("only %zu of %zu packets came\n", came, kBurst);
    if (i > 0) costs.push_back(used / static_cast<double>(kBurst));
  }
  source.stop();
  return median(costs);
}

void compare(const Netns& router, const Way& way, const std::string& netfilter, const std::string& schedstat) {
  std::vector<double> without;
  std::vector<double> with;
  std::vector<double> differences;
  for (int round = 0; round < kRounds; ++round) {
    without.push_back(measure(router, way, "hooks: [ingress, egress]", schedstat));
    with.push_back(measure(router, way, "hooks: [ingress, egress, netfilter], netfilter: " + netfilter, schedstat));
    differences.push_back(with.back() - without.back());
  }
  const double difference = median(differences);
  std::printf("%-10s %-28s without %6.0f ns  with %6.0f ns  ratio %4.2f  difference %5.0f ns %s <= %.0f\n", way.name,
              netfilter.c_str(), median(without), median(with), median(with) / median(without), difference,
              difference <= kBudget ? "ok  " : "OVER", kBudget);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string only = argc > 1 ? argv[1] : "";
  const RoutedPath path;
  const std::string schedstat = soft_interrupts_of_first_processor();
  const std::string client = RoutedPath::client_address(Family::ip4);
  const std::string server = RoutedPath::server_address(Family::ip4);
  const std::array<Way, 3> ways = {
      {{"forwarded", path.client, client, path.server, server},
       {"received", path.client, client, path.router, RoutedPath::near_address(Family::ip4)},
       {"sent", path.router, RoutedPath::far_address(Family::ip4), path.server, server}}};
  pin_to_first_processor();  // what the sources start afterwards is pinned too, and sleeps
  for (const auto& way : ways) {
    if (only.empty() || only == way.name) compare(path.router, way, "{rules: off}", schedstat);
  }
  if (only.empty()) compare(path.router, ways[0], "{rules: off, detail: all}", schedstat);
  if (only.empty()) compare(path.router, ways[0], "{rules: first_packet}", schedstat);
}
