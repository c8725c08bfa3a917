// SPDX-License-Identifier: MIT
#include "netns.h"

#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace fffa::integration {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

std::vector<std::string> split(const std::string& words) {
  std::istringstream in(words);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

// With standard output going to `out` if there is one. Spawned, not forked: a test that holds the records of many flows
// would spend its time on copying page tables.
int spawn_and_wait(const std::vector<std::string>& command, int out = -1) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  if (out >= 0) ::posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  pid_t child = -1;
  errno = ::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (errno == ENOENT) return 127;
  if (errno != 0) fail("spawn");
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) fail("waitpid");
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

std::string unique(const std::string& name) {
  return "fffa-source-" + std::to_string(::getpid()) + "-" + name;
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
}

}  // namespace

bool try_run(const std::vector<std::string>& command) {
  return spawn_and_wait(command) == 0;
}

namespace {
[[noreturn]] void refuse(const std::vector<std::string>& command) {
  std::string text;
  for (const auto& word : command) text += word + " ";
  throw std::runtime_error("failed: " + text + "(these tests need root and iproute2)");
}
}  // namespace

void run(const std::vector<std::string>& command) {
  if (!try_run(command)) refuse(command);
}

std::string output_of(const std::vector<std::string>& command) {
  // a file in memory: the command never waits for somebody who reads
  const int fd = ::memfd_create("output", MFD_CLOEXEC);
  if (fd < 0) fail("memfd_create");
  const int code = spawn_and_wait(command, fd);
  std::string text(static_cast<std::size_t>(::lseek(fd, 0, SEEK_END)), '\0');
  const ssize_t got = ::pread(fd, text.data(), text.size(), 0);
  ::close(fd);
  if (code != 0 || got != static_cast<ssize_t>(text.size())) refuse(command);
  return text;
}

Netns::Netns(const std::string& name) : name_(unique(name)) {
  run({"ip", "netns", "add", name_});
}
Netns::~Netns() {
  try_run({"ip", "netns", "del", name_});
}

void Netns::ip(const std::string& words) const {
  std::vector<std::string> command = {"ip", "-n", name_};
  for (auto& word : split(words)) command.push_back(word);
  run(command);
}

Netns::Inside::Inside(const Netns& netns) : back_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
  const int fd = ::open(("/run/netns/" + netns.name()).c_str(), O_RDONLY | O_CLOEXEC);
  if (back_ < 0 || fd < 0 || ::setns(fd, CLONE_NEWNET) != 0) fail("enter namespace " + netns.name());
  ::close(fd);
}
Netns::Inside::~Inside() {
  if (::setns(back_, CLONE_NEWNET) != 0) std::abort();
  ::close(back_);
}

void set_offloads(const std::string& interface, bool on) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  for (const unsigned command : {ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO, ETHTOOL_STXCSUM}) {
    ethtool_value value{command, on ? 1U : 0U};
    ifreq request{};
    std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
    request.ifr_data = reinterpret_cast<char*>(&value);
    // not to be switched while the peer runs native XDP, which has done it already
    if (::ioctl(fd, SIOCETHTOOL, &request) != 0 && errno != EOPNOTSUPP) fail("switch offloads of " + interface);
  }
  ::close(fd);
}

Counters counters(const std::string& interface) {
  std::ifstream file("/proc/thread-self/net/dev");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(':');
    if (colon == std::string::npos || split(line.substr(0, colon)) != std::vector<std::string>{interface}) continue;
    std::istringstream numbers(line.substr(colon + 1));
    Counters found;
    std::uint64_t skip = 0;
    numbers >> found.rx_bytes >> found.rx_packets;
    for (int i = 0; i < 6; ++i) numbers >> skip;
    numbers >> found.tx_bytes >> found.tx_packets >> skip >> found.tx_dropped;
    return found;
  }
  throw std::runtime_error("no interface " + interface);
}

VethPair::VethPair(bool offloads) : here("here"), there("there"), offloads_(offloads) {
  make();
}

void VethPair::make() {
  here.ip("link add veth0 address 02:00:00:00:77:01 type veth peer name peer0 address 02:00:00:00:77:02 netns " +
          there.name());
  const auto set_up = [&](const Netns& side, const std::string& name, const std::string& last,
                          const std::string& other) {
    const Netns::Inside inside(side);
    set_offloads(name, offloads_);
    // no router solicitations, no link-local address, no multicast reports
    write_file("/proc/sys/net/ipv6/conf/" + name + "/addr_gen_mode", "1");
    write_file("/proc/sys/net/ipv6/conf/" + name + "/router_solicitations", "0");
    side.ip("link set " + name + " multicast off up");
    side.ip("link set lo up");
    side.ip("address add 10.77.0." + last + "/24 dev " + name);
    side.ip("address add fd77::" + last + "/64 nodad dev " + name);
    side.ip("neighbour replace 10.77.0." + other + " lladdr 02:00:00:00:77:0" + other + " nud permanent dev " + name);
    side.ip("neighbour replace fd77::" + other + " lladdr 02:00:00:00:77:0" + other + " nud permanent dev " + name);
  };
  set_up(here, "veth0", "1", "2");
  set_up(there, "peer0", "2", "1");
}

Counters VethPair::peer() const {
  const Netns::Inside inside(there);
  return counters("peer0");
}

Counters VethPair::peer_at_rest() const {
  Counters last = peer();
  for (int quiet = 0; quiet < 5;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const Counters now = peer();
    quiet = now == last ? quiet + 1 : 0;
    last = now;
  }
  return last;
}

}  // namespace fffa::integration
