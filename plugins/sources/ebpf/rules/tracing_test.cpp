// SPDX-License-Identifier: MIT
#include "tracing_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "fffa/detail/descriptor.h"

namespace fffa::ebpf {
namespace {

using Clock = std::chrono::steady_clock;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress socket_address(std::uint8_t family, const Address& address, std::uint16_t port) {
  SocketAddress made;
  if (family == 4) {
    auto& in = reinterpret_cast<sockaddr_in&>(made.storage);
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, address.data(), 4);
    made.length = sizeof in;
  } else {
    auto& in = reinterpret_cast<sockaddr_in6&>(made.storage);
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port);
    std::memcpy(&in.sin6_addr, address.data(), 16);
    made.length = sizeof in;
  }
  return made;
}

void send_echo_request(const Tuple& tuple) {
  const bool v4 = tuple.family == 4;
  const Descriptor fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, tuple.protocol));
  const auto to = socket_address(tuple.family, tuple.dst, 0);
  std::array<std::uint8_t, 8> packet{static_cast<std::uint8_t>(tuple.dst_port >> 8),
                                     static_cast<std::uint8_t>(tuple.dst_port)};
  // the checksum of an otherwise empty message; the kernel sets ICMPv6's
  packet[2] = static_cast<std::uint8_t>(~packet[0]);
  packet[3] = static_cast<std::uint8_t>(~packet[1]);
  // a refusal at LOCAL_OUT is told here
  [[maybe_unused]] const auto sent = ::sendto(fd.get(), packet.data(), packet.size(), 0, to.get(), to.length);
}

void run_tables(const std::string& program, std::vector<std::string> words) {
  words.insert(words.begin(), program);
  integration::run(words);
}

}  // namespace

void nft(const std::string& commands) {
  std::array<char, 32> path{"/tmp/fffa-rules-XXXXXX"};
  const Descriptor fd(::mkstemp(path.data()));
  const auto written = ::write(fd.get(), commands.data(), commands.size());
  const bool done =
      written == static_cast<ssize_t>(commands.size()) && integration::try_run({"nft", "-f", path.data()});
  ::unlink(path.data());
  if (!done) throw std::runtime_error("nft refused: " + commands);
}

void iptables(std::vector<std::string> words) {
  run_tables("iptables-nft", std::move(words));
}
void ip6tables(std::vector<std::string> words) {
  run_tables("ip6tables-nft", std::move(words));
}

Tuple tuple(const std::string& src, std::uint16_t src_port, const std::string& dst, std::uint16_t dst_port,
            std::uint8_t protocol) {
  Tuple made;
  made.family = src.find(':') == std::string::npos ? 4 : 6;
  const int family = made.family == 4 ? AF_INET : AF_INET6;
  if (::inet_pton(family, src.c_str(), made.src.data()) != 1 || ::inet_pton(family, dst.c_str(), made.dst.data()) != 1)
    throw std::runtime_error("not addresses: " + src + " " + dst);
  made.src_port = src_port;
  made.dst_port = dst_port;
  made.protocol = protocol;
  return made;
}

void send(const Tuple& tuple) {
  if (tuple.protocol == IPPROTO_ICMP || tuple.protocol == IPPROTO_ICMPV6) return send_echo_request(tuple);
  const bool tcp = tuple.protocol == IPPROTO_TCP;
  const Descriptor fd(::socket(tuple.family == 4 ? AF_INET : AF_INET6,
                               (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const auto from = socket_address(tuple.family, tuple.src, tuple.src_port);
  const auto to = socket_address(tuple.family, tuple.dst, tuple.dst_port);
  if (::bind(fd.get(), from.get(), from.length) != 0)
    throw std::runtime_error(std::string("bind: ") + std::strerror(errno));
  [[maybe_unused]] auto done = ::connect(fd.get(), to.get(), to.length);
  if (!tcp) done = static_cast<int>(::send(fd.get(), "hello", 5, 0));
}

std::uint32_t interface_index(const std::string& name) {
  return ::if_nametoindex(name.c_str());
}

namespace {

// One wait, and what it brings.
void wait_once(RuleTracer& tracer) {
  pollfd wait{tracer.fd(), POLLIN, 0};
  if (::poll(&wait, 1, 20) > 0) tracer.read();
}

}  // namespace

const Rule* wait_for(RuleTracer& tracer, const TracedFlow& flow, double seconds) {
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end) {
    wait_once(tracer);
    if (const Rule* rule = tracer.find(flow)) return rule;
  }
  return nullptr;
}

void run_for(RuleTracer& tracer, double seconds) {
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end) wait_once(tracer);
}

std::string say(const Rule* rule) {
  if (rule == nullptr) return "none";
  static constexpr std::array<const char*, 8> verdicts{"none",  "accept", "drop",   "reject",
                                                       "queue", "stolen", "repeat", "stop"};
  static constexpr std::array<const char*, 6> hooks{"none",    "pre_routing", "local_in",
                                                    "forward", "local_out",   "post_routing"};
  return std::string(verdicts[static_cast<std::size_t>(rule->verdict)]) + " " +
         hooks[static_cast<std::size_t>(rule->hook)] + " " + std::to_string(rule->priority) + " " + rule->table + " " +
         rule->chain + " " + (rule->rule_num ? std::to_string(*rule->rule_num) : "-") + " " + rule->target + " [" +
         rule->match_info + "]";
}

namespace {

Tuple from_there(bool v4, std::uint16_t port, std::uint8_t protocol) {
  static std::uint16_t next_port = 20000;
  return tuple(v4 ? kThere4 : kThere6, next_port++, v4 ? kHere4 : kHere6, port, protocol);
}

}  // namespace

Tuple TracingTest::tcp(std::uint16_t port) {
  return from_there(true, port, IPPROTO_TCP);
}
Tuple TracingTest::udp(std::uint16_t port) {
  return from_there(true, port, IPPROTO_UDP);
}
Tuple TracingTest::tcp6(std::uint16_t port) {
  return from_there(false, port, IPPROTO_TCP);
}
Tuple TracingTest::udp6(std::uint16_t port) {
  return from_there(false, port, IPPROTO_UDP);
}

void TracingTest::start(const RuleTracerOptions& options) {
  auto started = RuleTracer::start(options, messages);
  ASSERT_TRUE(started) << started.error().message;
  tracer = std::move(*started);
}

void TracingTest::send_there(const Tuple& flow) const {
  const Netns::Inside peer(veth.there);
  send(flow);
}

std::string TracingTest::decided_in(const Tuple& flow, double seconds) {
  send_there(flow);
  return say(wait_for(*tracer, in(flow), seconds));
}

std::string TracingTest::decided_out(const Tuple& flow, double seconds) {
  send(flow);
  return say(wait_for(*tracer, {flow, 0}, seconds));
}

}  // namespace fffa::ebpf
