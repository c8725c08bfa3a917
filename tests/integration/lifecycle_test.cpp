// SPDX-License-Identifier: MIT
// Interfaces that come, go, change their names, or belong to somebody else.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <array>
#include <filesystem>
#include <string>

#include "attach.h"
#include "kernel_table.h"
#include "live_source.h"
#include "netns.h"
#include "ports.h"
#include "traffic.h"

namespace fffa::integration {
namespace {

// Packets that records give to an interface, by its name.
std::uint64_t packets_on(LiveSource& source, const std::string& interface) {
  std::uint64_t sum = 0;
  for (const auto& batch : source.batches()) {
    for (const auto& record : batch) {
      if (source.text(record.interface) == interface) sum += record.packets;
    }
  }
  return sum;
}

void expect_balance(const LiveSource& source) {
  const Account account = source.account();
  Volume sum = account.records;
  sum += account.filtered;
  EXPECT_EQ(account.seen, sum);
  EXPECT_EQ(account.lost, Volume{});
}

constexpr const char* kOptions = "drain_interval: 200ms\ninterfaces: ";

TEST(Lifecycle, DownAndUpAgain) {
  const VethPair veth;
  LiveSource source(veth.here, std::string(kOptions) + "[veth0]");
  ASSERT_EQ(source.error(), "");
  udp_exchange(veth.here, veth.there, kThere4, 1, 100);
  veth.here.ip("link set veth0 down");
  EXPECT_TRUE(source.logged("interface veth0 is down"));
  source.wait_for_batches(2);
  EXPECT_FALSE(source.batches().back().interfaces.at(0).up);
  veth.here.ip("link set veth0 up");
  veth.here.ip("neighbour replace 10.77.0.2 lladdr 02:00:00:00:77:02 nud permanent dev veth0");
  EXPECT_TRUE(source.logged("interface veth0 is up"));
  udp_exchange(veth.here, veth.there, kThere4, 1, 100);
  source.stop();
  EXPECT_GE(packets_on(source, "veth0"), 400u);
  expect_balance(source);
}

TEST(Lifecycle, DeletedAndMadeAgain) {
  VethPair veth;
  LiveSource source(veth.here, std::string(kOptions) + "[veth0]");
  ASSERT_EQ(source.error(), "");
  udp_exchange(veth.here, veth.there, kThere4, 1, 100);
  veth.here.ip("link del veth0");
  ASSERT_TRUE(source.logged("interface veth0 is gone"));
  source.wait_for_batches(2);
  const std::uint64_t before = packets_on(source, "veth0");
  EXPECT_GE(before, 200u) << "what it carried is reported, with its name";
  veth.make();
  ASSERT_TRUE(source.logged("capturing on veth0 (ifindex " + std::to_string([&] {
                              const Netns::Inside inside(veth.here);
                              return ::if_nametoindex("veth0");
                            }()) +
                            ")"));
  udp_exchange(veth.here, veth.there, kThere4, 1, 100);
  source.stop();
  EXPECT_GE(packets_on(source, "veth0"), before + 200);
  expect_balance(source);
}

TEST(Lifecycle, MadeAgainBeforeItsFlowsAreReadOutItHasOneState) {
  VethPair veth;
  LiveSource source(veth.here, std::string(kOptions) + "[veth0]");
  ASSERT_EQ(source.error(), "");
  source.wait_for_batches(1);
  source.block(true);
  veth.here.ip("link del veth0");
  ASSERT_TRUE(source.logged("interface veth0 is gone"));
  veth.make();
  const Netns::Inside inside(veth.here);
  ASSERT_TRUE(source.logged("capturing on veth0 (ifindex " + std::to_string(::if_nametoindex("veth0")) + ")"));
  source.block(false);
  source.wait_for_batches(3);
  source.stop();
  int both = 0;
  for (const auto& batch : source.batches()) {
    if (batch.interfaces.size() < 2) continue;
    ++both;
    const auto& old = batch.interfaces.front();
    const auto& heir = batch.interfaces.back();
    EXPECT_EQ(heir.ifindex, ::if_nametoindex("veth0"));
    EXPECT_EQ(old.up, heir.up);
    EXPECT_EQ(old.primary_ipv4, heir.primary_ipv4);
  }
  EXPECT_EQ(both, 1) << "one read-out has the flows of both";
}

TEST(Lifecycle, AnotherInterfaceUnderTheSameIndex) {
  const VethPair veth;
  veth.here.ip("link add first index 777 type veth peer name other");
  LiveSource source(veth.here, std::string(kOptions) + "[first, second]");
  ASSERT_EQ(source.error(), "");
  veth.here.ip("link set other up");
  veth.here.ip("address add 10.78.0.1/24 dev first");
  veth.here.ip("link set first up");
  source.wait_for_batches(1);  // with the kernel's own multicast reports
  source.block(true);
  veth.here.ip("link del first");
  veth.here.ip("link add second index 777 type veth peer name other");
  ASSERT_TRUE(source.logged("interface first is gone"));
  EXPECT_FALSE(source.context().captured_log().contains("capturing on second"))
      << "not before the flows of the old one are read out";
  source.block(false);
  EXPECT_TRUE(source.logged("capturing on second (ifindex 777)"));
  source.stop();
  expect_balance(source);
}

TEST(Lifecycle, RenamedAndStillMeant) {
  const VethPair veth;
  LiveSource source(veth.here, std::string(kOptions) + "['veth*', 'wan*']");
  ASSERT_EQ(source.error(), "");
  veth.here.ip("link set veth0 name wan0");
  EXPECT_TRUE(source.logged("interface veth0 is now called wan0"));
  source.wait_for_batches(2);
  const auto attached = [&source](const std::string& name) {
    return source.context().captured_metrics().value("fffa_ebpf_attached{interface=\"" + name +
                                                     "\",direction=\"ingress\"}");
  };
  EXPECT_EQ(attached("veth0"), 0);
  EXPECT_EQ(attached("wan0"), 1);
  udp_exchange(veth.here, veth.there, kThere4, 1, 100);
  source.stop();
  EXPECT_GE(packets_on(source, "wan0"), 200u);
  expect_balance(source);
}

TEST(Lifecycle, RenamedAndNoLongerMeant) {
  const VethPair veth;
  LiveSource source(veth.here, std::string(kOptions) + "[veth0]");
  ASSERT_EQ(source.error(), "");
  udp_exchange(veth.here, veth.there, kThere4, 1, 100);
  source.wait_for_batches(2);
  veth.here.ip("link set veth0 name wan0");
  EXPECT_TRUE(source.logged("interface veth0 is now called wan0 and no longer monitored"));
  {
    const Netns::Inside inside(veth.here);
    EXPECT_EQ(ebpf::describe_xdp(::if_nametoindex("wan0")), "");
  }
  source.stop();
  EXPECT_GE(packets_on(source, "veth0"), 200u);
  expect_balance(source);
}

TEST(Lifecycle, ANewOneMatchesAGlob) {
  const VethPair veth;
  LiveSource source(veth.here, std::string(kOptions) + "['eni*']");
  ASSERT_EQ(source.error(), "");
  EXPECT_TRUE(source.logged("no interface matches `eni*`"));
  veth.here.ip("link add eni0 type veth peer name other");
  EXPECT_TRUE(source.logged("capturing on eni0"));
  veth.here.ip("link set other up");
  veth.here.ip("link set eni0 up");
  veth.here.ip("address add 10.79.0.1/24 dev eni0");
  veth.here.ip("neighbour replace 10.79.0.2 lladdr 02:00:00:00:00:01 nud permanent dev eni0");
  send_datagrams(veth.here, "10.79.0.2", 100);
  source.stop();
  EXPECT_GE(packets_on(source, "eni0"), 100u);
  expect_balance(source);
}

// veth0 has taken native XDP: nothing has needed the TC ingress program so far.
TEST(Lifecycle, OneWithoutNativeXdpComesLater) {
  const VethPair veth;
  LiveSource source(veth.here, std::string(kOptions) + "[veth0, eni0]");
  ASSERT_EQ(source.error(), "");
  ASSERT_TRUE(source.logged("capturing on veth0"));
  veth.here.ip("link add eni0 type bridge");
  EXPECT_TRUE(source.logged("capturing at TC instead"));
  EXPECT_TRUE(source.logged("capturing on eni0"));
  veth.here.ip("link set eni0 up");
  veth.here.ip("link set veth0 master eni0");
  veth.here.ip("address flush dev veth0");
  veth.here.ip("address add 10.79.0.1/24 dev eni0");
  veth.there.ip("address add 10.79.0.2/24 dev peer0");
  send_datagrams(veth.there, "10.79.0.1", 100);
  source.stop();
  EXPECT_GE(packets_on(source, "veth0"), 100u);
  EXPECT_GE(packets_on(source, "eni0"), 100u);
  expect_balance(source);
}

TEST(Lifecycle, AutoFollowsTheDefaultRoute) {
  const VethPair veth;
  LiveSource source(veth.here, std::string(kOptions) + "[auto]");
  ASSERT_EQ(source.error(), "");
  EXPECT_TRUE(source.logged("there is no default route"));
  veth.here.ip("route add default via 10.77.0.2 dev veth0");
  EXPECT_TRUE(source.logged("capturing on veth0"));
  veth.here.ip("link add other0 type veth peer name other1");
  veth.here.ip("link set other0 up");
  veth.here.ip("address add 10.79.0.1/24 dev other0");
  veth.here.ip("route replace default via 10.79.0.2 dev other0");
  EXPECT_TRUE(source.logged("capturing on other0"));
  EXPECT_TRUE(source.logged("interface veth0 is no longer monitored"));
  source.stop();
  expect_balance(source);
}

TEST(Lifecycle, WithoutEthernetHeadersItIsLeftOut) {
  const VethPair veth;
  LiveSource source(veth.here, std::string(kOptions) + "[all]");
  ASSERT_EQ(source.error(), "");
  veth.here.ip("tuntap add dev tunnel0 mode tun");
  EXPECT_TRUE(source.logged("interface tunnel0 is left out"));
  EXPECT_FALSE(source.context().captured_log().contains("capturing on tunnel0"));
  EXPECT_FALSE(source.context().captured_log().contains("capturing on lo "));
  source.stop();
}

TEST(Lifecycle, PrimaryAddressesAreReported) {
  const VethPair veth;
  LiveSource source(veth.here, std::string(kOptions) + "[veth0]");
  ASSERT_EQ(source.error(), "");
  source.wait_for_batches(1);
  const InterfaceStatus status = source.batches().back().interfaces.at(0);
  EXPECT_EQ(source.text(status.interface), "veth0");
  EXPECT_TRUE(status.up);
  EXPECT_EQ(status.primary_ipv4, (Address{10, 77, 0, 1}));
  EXPECT_EQ(status.primary_ipv6[0], 0xfd);
}

TEST(Lifecycle, WithoutEgressNativeXdpStaysWhereItIs) {
  const Netns netns("half");
  const Netns::Inside inside(netns);
  ebpf::Config config;
  config.interfaces = {"eni*"};
  config.ingress = ebpf::IngressHook::xdp_native;
  auto table = ebpf::KernelTable::load({config.table_size, config.ring_size.bytes, false});
  ASSERT_TRUE(table.ok());
  fffa::testing::TestContext context;
  ebpf::Ports ports(config, context);
  const auto all_but_egress = [&](ebpf::Program which) {
    return which == ebpf::Program::tc_egress ? Result<int>(-1) : (*table)->program(which);
  };
  ASSERT_TRUE(ports.start(all_but_egress).ok());
  netns.ip("link add eni0 type veth peer name other");
  ports.follow();
  for (int retry = 0; retry < 3; ++retry) ports.check();
  EXPECT_NE(ebpf::describe_xdp(::if_nametoindex("eni0")), "");
  int attached = 0, failed = 0;
  for (const auto& line : context.captured_log().lines()) {
    attached += line.message.starts_with("capturing on eni0");
    failed += line.level == LogLevel::error;
  }
  EXPECT_EQ(attached, 1);
  EXPECT_EQ(failed, 1) << "said once";
  const auto gauge = [&](const std::string& direction) {
    return context.captured_metrics().value("fffa_ebpf_attached{interface=\"eni0\",direction=\"" + direction + "\"}");
  };
  EXPECT_EQ(gauge("ingress"), 1);
  EXPECT_EQ(gauge("egress"), 0);
}

// Two instructions: pass.
int load_foreign_xdp() {
  const std::array<bpf_insn, 2> code = {
      {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 2}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}}};
  return bpf_prog_load(BPF_PROG_TYPE_XDP, "somebody_else", "GPL", code.data(), code.size(), nullptr);
}

class ForeignXdp : public ::testing::Test {
 protected:
  ForeignXdp() : program_(load_foreign_xdp()) {
    const Netns::Inside inside(veth_.here);
    ifindex_ = ::if_nametoindex("veth0");
    if (bpf_xdp_attach(static_cast<int>(ifindex_), program_.get(), XDP_FLAGS_DRV_MODE, nullptr) != 0)
      throw std::runtime_error("attach");
  }
  std::string attached() const {
    const Netns::Inside inside(veth_.here);
    return ebpf::describe_xdp(ifindex_);
  }
  VethPair veth_;
  Descriptor program_;
  unsigned ifindex_ = 0;
};

TEST_F(ForeignXdp, IsNamedInTheErrorAndLeftAlone) {
  const LiveSource source(veth_.here, "interfaces: [veth0]\ningress: xdp-native");
  EXPECT_NE(source.error().find("`somebody_else` (id "), std::string::npos) << source.error();
  EXPECT_NE(attached().find("somebody_else"), std::string::npos);
}

TEST_F(ForeignXdp, AutoCapturesAtTcInstead) {
  LiveSource source(veth_.here, std::string(kOptions) + "[veth0]");
  ASSERT_EQ(source.error(), "");
  EXPECT_TRUE(source.logged("somebody_else"));
  EXPECT_TRUE(source.logged("capturing at TC instead"));
  udp_exchange(veth_.here, veth_.there, kThere4, 1, 100);
  source.stop();
  EXPECT_GE(packets_on(source, "veth0"), 200u);
  EXPECT_NE(attached().find("somebody_else"), std::string::npos);
  expect_balance(source);
}

// Detaches every link of this process on the interface, as an administrator with bpftool can. Not by the ids of all
// links: those are the whole machine's, and interfaces of other namespaces have the same index.
int detach_links(unsigned ifindex) {
  int detached = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code closed;
    const auto target = std::filesystem::read_symlink(entry.path(), closed).string();
    if (closed || target.find("bpf_link") == std::string::npos) continue;
    const int link = std::stoi(entry.path().filename().string());
    bpf_link_info info{};
    std::uint32_t size = sizeof info;
    if (bpf_obj_get_info_by_fd(link, &info, &size) != 0 || info.xdp.ifindex != ifindex) continue;
    detached += bpf_link_detach(link) == 0;
  }
  return detached;
}

TEST(SelfHealing, ARemovedProgramIsAttachedAnew) {
  const VethPair veth;
  LiveSource source(veth.here, std::string(kOptions) + "[veth0]");
  ASSERT_EQ(source.error(), "");
  {
    const Netns::Inside inside(veth.here);
    ASSERT_GT(detach_links(::if_nametoindex("veth0")), 0);
  }
  const auto removed = std::chrono::steady_clock::now();
  ASSERT_TRUE(source.logged("somebody removed our program from veth0: attaching anew"));
  EXPECT_LT(std::chrono::steady_clock::now() - removed, std::chrono::seconds(10));
  source.wait_for_batches(1);
  EXPECT_EQ(source.context().captured_metrics().value(R"(fffa_ebpf_attached{interface="veth0",direction="ingress"})"),
            1);
  udp_exchange(veth.here, veth.there, kThere4, 1, 100);
  source.stop();
  EXPECT_GE(packets_on(source, "veth0"), 200u);
}

}  // namespace
}  // namespace fffa::integration
