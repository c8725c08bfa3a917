// SPDX-License-Identifier: MIT
// The main job: `fffa run`, real packets, its records against the counters of the interface's peer. Runs in virtual
// machines too (tests/vm/integration.sh).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <thread>

#include "attach.h"
#include "fffa_process.h"
#include "netns.h"
#include "traffic.h"

namespace fffa::integration {
namespace {

using nlohmann::json;

constexpr std::uint64_t kEthernet = 14;
constexpr int kWindow = 5;  // seconds

// Under emulation: so many times less traffic.
std::size_t divisor() {
  const char* text = std::getenv("FFFA_TRAFFIC_DIVISOR");
  return text == nullptr ? 1 : std::stoul(text);
}

std::string pipeline(const std::string& capture) {
  return "sources:\n  capture: {type: ebpf, interfaces: [veth0]" + capture +
         "}\naggregators:\n  flows: {type: flow_cache, inputs: [capture], interval: " + std::to_string(kWindow) +
         "s}\nsinks:\n  out: {type: stdout, inputs: [flows], format: json}\n";
}

std::vector<json> records(const std::string& lines) {
  std::istringstream in(lines);
  std::vector<json> all;
  for (std::string line; std::getline(in, line);) all.push_back(json::parse(line));
  return all;
}

struct Sum {
  std::uint64_t packets = 0, bytes = 0;
  friend bool operator==(const Sum&, const Sum&) = default;
  friend void PrintTo(const Sum& sum, std::ostream* out) {
    *out << sum.packets << " packets, " << sum.bytes << " bytes";
  }
};

std::array<Sum, 2> by_direction(const std::vector<json>& all) {
  std::array<Sum, 2> sums;
  for (const auto& record : all) {
    auto& sum = sums.at(record.at("direction").get<std::size_t>());
    sum.packets += record.at("packets").get<std::uint64_t>();
    sum.bytes += record.at("bytes").get<std::uint64_t>();
  }
  return sums;
}

long long window_of(const json& record) {
  const auto text = record.at("first_seen").get<std::string>();
  std::tm parts{};
  ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  return ::timegm(&parts) / kWindow;
}

// What identifies a flow and the window in which it was counted.
std::string flow_and_window(const json& record) {
  std::string text = std::to_string(window_of(record));
  for (const auto* field : {"proto", "src_ip", "src_port", "dst_ip", "dst_port", "direction"})
    text += " " + record.at(field).dump();
  return text;
}

std::array<Sum, 2> truth(const Counters& before, const Counters& after, bool native_xdp) {
  const std::uint64_t sent = after.tx_packets - before.tx_packets;
  const std::uint64_t received = after.rx_packets - before.rx_packets;
  return {Sum{sent, after.tx_bytes - before.tx_bytes - (native_xdp ? 0 : sent * kEthernet)},
          Sum{received, after.rx_bytes - before.rx_bytes - received * kEthernet}};
}

class MainJob : public ::testing::TestWithParam<std::string> {};

TEST_P(MainJob, SumsAreThePeersAndEveryFlowOnceAWindow) {
  const VethPair veth;
  std::unique_ptr<FffaProcess> fffa;
  Counters before;
  do {  // the kernel's own multicast reports may come while it attaches
    if (fffa) {
      fffa->signal(SIGTERM);
      ASSERT_EQ(fffa->wait(), 0) << fffa->log();
    }
    before = veth.peer_at_rest();
    fffa = std::make_unique<FffaProcess>(veth.here, pipeline(", ingress: " + GetParam()));
    ASSERT_TRUE(fffa->logged("running: ")) << fffa->log();
  } while (veth.peer() != before);
  const bool native = fffa->log().find("ingress xdp-native") != std::string::npos;

  const std::size_t less = divisor();
  for (const auto* address : {kThere4, kThere6}) {
    tcp_bulk(veth.here, veth.there, address, 4, 2'000'000 / less);
    tcp_short(veth.here, veth.there, address, 500 / less);
    udp_exchange(veth.here, veth.there, address, 10, 50);
    echo(veth.here, address, 20);
  }
  const std::array<Sum, 2> expected = truth(before, veth.peer_at_rest(), native);
  fffa->signal(SIGTERM);
  ASSERT_EQ(fffa->wait(), 0) << fffa->log();

  const std::vector<json> all = records(fffa->out());
  const std::array<Sum, 2> sums = by_direction(all);
  EXPECT_EQ(sums[0], expected[0]);
  EXPECT_EQ(sums[1], expected[1]);
  EXPECT_GT(expected[1].packets, 8'000 / less);
  std::set<std::string> flows_and_windows;
  std::set<std::string> protocols;
  for (const auto& record : all) {
    EXPECT_TRUE(flows_and_windows.insert(flow_and_window(record)).second) << "twice in a window: " << record.dump();
    protocols.insert(record.at("proto"));
    EXPECT_EQ(record.at("interface"), "veth0");
  }
  for (const auto* protocol : {"TCP", "UDP", "ICMP", "ICMPv6"}) EXPECT_EQ(protocols.count(protocol), 1u) << protocol;
}
INSTANTIATE_TEST_SUITE_P(Ingress, MainJob, ::testing::Values("auto", "tc"),
                         [](const auto& parameter) { return parameter.param; });

class Process : public ::testing::Test {
 protected:
  // What is attached to veth0: XDP and TCX programs, by `bpf` itself; clsact filters, which may stay, are not looked
  // at.
  std::string attached() const {
    const Netns::Inside inside(veth_.here);
    return ebpf::describe_xdp(::if_nametoindex("veth0"));
  }
  VethPair veth_;
};

TEST_F(Process, KilledItLeavesNothingAndStartsAgainAtOnce) {
  for (int round = 0; round < 2; ++round) {
    FffaProcess fffa(veth_.here, pipeline(""));
    ASSERT_TRUE(fffa.logged("running: ")) << fffa.log();
    EXPECT_NE(attached().find("fffa_xdp_ingres"), std::string::npos) << attached();
    fffa.signal(SIGKILL);
    EXPECT_EQ(fffa.wait(), -SIGKILL);
    EXPECT_EQ(attached(), "");
  }
  FffaProcess fffa(veth_.here, pipeline(""));
  ASSERT_TRUE(fffa.logged("running: ")) << fffa.log();
  udp_exchange(veth_.here, veth_.there, kThere4, 1, 100);
  fffa.signal(SIGTERM);
  EXPECT_EQ(fffa.wait(), 0) << fffa.log();
  EXPECT_GE(by_direction(records(fffa.out()))[0].packets, 100u);
}

TEST_F(Process, WithoutPrivilegesItSaysWhatIsMissingAndExitsWith3) {
  FffaProcess fffa(veth_.here, pipeline(""), {.without_privileges = true, .stdout_fd = -1});
  EXPECT_EQ(fffa.wait(), 3);
  EXPECT_NE(fffa.log().find("missing CAP_BPF, CAP_NET_ADMIN"), std::string::npos) << fffa.log();
  EXPECT_NE(fffa.log().find("run as root"), std::string::npos) << fffa.log();
  EXPECT_EQ(attached(), "");
}

TEST_F(Process, ASinkThatBlocksLosesNothing) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const Counters before = veth_.peer_at_rest();
  FffaProcess fffa(veth_.here,
                   "sources:\n  capture: {type: ebpf, interfaces: [veth0], drain_interval: 200ms, table_size: 500}\n"
                   "sinks:\n  out: {type: stdout, inputs: [capture], format: json}\n",
                   {.without_privileges = false, .stdout_fd = pipe[1]});
  ASSERT_TRUE(fffa.logged("running: ")) << fffa.log();
  for (int i = 0; i < 20; ++i) {  // nobody reads the pipe
    tcp_short(veth_.here, veth_.there, kThere4, 100);
    udp_flood(veth_.there, veth_.here, kHere6, 500);
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
  }
  const std::array<Sum, 2> expected = truth(before, veth_.peer_at_rest(), true);
  std::string out;
  std::thread reader([&] {
    std::array<char, 65536> block{};
    for (ssize_t got; (got = ::read(pipe[0], block.data(), block.size())) > 0;)
      out.append(block.data(), static_cast<std::size_t>(got));
  });
  fffa.signal(SIGTERM);
  EXPECT_EQ(fffa.wait(), 0) << fffa.log();
  reader.join();
  ::close(pipe[0]);
  const std::array<Sum, 2> sums = by_direction(records(out));
  EXPECT_GE(sums[0].packets, 10'000u);
  // a multicast report of the kernel's while it attached may be in one and not in the other
  EXPECT_LE(expected[0].packets - sums[0].packets, 2u);
  EXPECT_LE(expected[1].packets - sums[1].packets, 2u);
}

// /dev/full takes nothing. What the table holds at the deadline is more than one batch.
TEST_F(Process, AtTheShutdownTimeoutAllThatWasSeenIsInTheAccount) {
  const Counters before = veth_.peer_at_rest();
  FffaProcess fffa(veth_.here,
                   "sources:\n  capture: {type: ebpf, interfaces: [veth0], drain_interval: 1m}\n"
                   "sinks:\n  out: {type: stdout, inputs: [capture], queue: 1}\nshutdown_timeout: 500ms\n",
                   {.without_privileges = false, .stdout_fd = ::open("/dev/full", O_WRONLY | O_CLOEXEC)});
  ASSERT_TRUE(fffa.logged("running: ")) << fffa.log();
  udp_flood(veth_.there, veth_.here, kHere4, 20'000);
  const std::array<Sum, 2> expected = truth(before, veth_.peer_at_rest(), true);
  fffa.signal(SIGTERM);
  EXPECT_EQ(fffa.wait(), 4) << fffa.log();
  const std::string log = fffa.log();
  EXPECT_EQ(log.find("unaccounted for"), std::string::npos) << log;
  const auto at = log.find("out: seen ");
  ASSERT_NE(at, std::string::npos) << log;
  const auto seen = std::stoull(log.substr(at + 10));
  EXPECT_GE(seen, 20'000u);
  // a multicast report of the kernel's while it attached may be in one and not in the other
  EXPECT_LE(expected[0].packets + expected[1].packets - seen, 4u) << log;
}

// More news than the kernel keeps for a reader that does not read: it says so, and everything is listed anew.
TEST_F(Process, MissedNewsAboutInterfacesAreMadeUpFor) {
  FffaProcess fffa(veth_.here,
                   "sources:\n  capture: {type: ebpf, interfaces: [veth0, 'eni*']}\n"
                   "sinks:\n  out: {type: stdout, inputs: [capture], format: json}\n");
  ASSERT_TRUE(fffa.logged("running: ")) << fffa.log();
  fffa.signal(SIGSTOP);
  const auto batch = std::filesystem::temp_directory_path() / ("fffa-source-batch-" + std::to_string(::getpid()));
  {
    std::ofstream lines(batch);
    for (int i = 0; i < 3000; ++i) lines << "link set dev lo alias number" << i << "\n";
  }
  run({"ip", "-n", veth_.here.name(), "-batch", batch.string()});
  std::filesystem::remove(batch);
  veth_.here.ip("link add eni0 type veth peer name other");
  fffa.signal(SIGCONT);
  EXPECT_TRUE(fffa.logged("the kernel dropped news about interfaces")) << fffa.log();
  EXPECT_TRUE(fffa.logged("capturing on eni0")) << fffa.log();
  fffa.signal(SIGTERM);
  EXPECT_EQ(fffa.wait(), 0) << fffa.log();
}

}  // namespace
}  // namespace fffa::integration
