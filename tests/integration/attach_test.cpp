// SPDX-License-Identifier: MIT
// Hooks of real interfaces: what is attached, what is left alone, what remains afterwards.
#include "attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <future>

#include "clsact.h"
#include "netns.h"

namespace fffa::ebpf {
namespace {

using fffa::integration::Netns;
using fffa::integration::run;
using fffa::integration::try_run;

// A program of two instructions: return `verdict`.
Descriptor load(bpf_prog_type type, const char* name, int verdict) {
  const std::array<bpf_insn, 2> code = {
      {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, verdict}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}}};
  return Descriptor(bpf_prog_load(type, name, "GPL", code.data(), code.size(), nullptr));
}
constexpr int kXdpPass = 2;
constexpr int kTcNext = -1;

class AttachTest : public ::testing::Test {
 protected:
  AttachTest() : netns_("attach"), inside_(netns_) {
    netns_.ip("link add veth0 type veth peer name veth1");
    target_ = {::if_nametoindex("veth0"), "veth0"};
    xdp_ = load(BPF_PROG_TYPE_XDP, "fffa_test_xdp", kXdpPass);
    tc_ = load(BPF_PROG_TYPE_SCHED_CLS, "fffa_test_tc", kTcNext);
    foreign_xdp_ = load(BPF_PROG_TYPE_XDP, "somebody_else", kXdpPass);
  }
  static bool clsact_there() { return try_run({"bash", "-c", "tc qdisc show dev veth0 | grep -q clsact"}); }
  static int filters(const char* hook) {
    std::array<char, 64> answer{};
    FILE* pipe =
        ::popen((std::string("bash -c 'tc filter show dev veth0 ") + hook + " | grep -c handle'").c_str(), "r");
    const bool read = std::fgets(answer.data(), answer.size(), pipe) != nullptr;
    ::pclose(pipe);
    return read ? std::atoi(answer.data()) : -1;
  }

  void add_foreign_filter(unsigned priority, unsigned handle) const {
    const Descriptor foreign = load(BPF_PROG_TYPE_SCHED_CLS, "somebody_else", kTcNext);
    bpf_tc_hook hook{};
    hook.sz = sizeof hook;
    hook.ifindex = static_cast<int>(target_.ifindex);
    hook.attach_point = BPF_TC_INGRESS;
    bpf_tc_opts options{};
    options.sz = sizeof options;
    options.prog_fd = foreign.get();
    options.handle = handle;
    options.priority = priority;
    ASSERT_EQ(bpf_tc_attach(&hook, &options), 0);
  }

  Netns netns_;
  Netns::Inside inside_;
  Target target_;
  Descriptor xdp_, tc_, foreign_xdp_;
};

TEST_F(AttachTest, XdpIsThereWhileTheAttachmentLives) {
  for (const bool generic : {false, true}) {
    {
      auto attached = attach_xdp(xdp_.get(), target_, generic);
      ASSERT_TRUE(attached.ok()) << attached.error().message;
      EXPECT_TRUE(attached->intact());
      EXPECT_NE(describe_xdp(target_.ifindex).find("fffa_test_xdp"), std::string::npos);
    }
    EXPECT_EQ(describe_xdp(target_.ifindex), "");
  }
}

TEST_F(AttachTest, ForeignXdpIsNamedAndLeftAlone) {
  for (const unsigned mode : {XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE}) {
    ASSERT_EQ(bpf_xdp_attach(static_cast<int>(target_.ifindex), foreign_xdp_.get(), mode, nullptr), 0);
    for (const bool generic : {false, true}) {
      auto attached = attach_xdp(xdp_.get(), target_, generic);
      ASSERT_FALSE(attached.ok());
      EXPECT_NE(attached.error().message.find("`somebody_else` (id "), std::string::npos) << attached.error().message;
      EXPECT_NE(attached.error().disposition, Disposition::unavailable);
    }
    EXPECT_NE(describe_xdp(target_.ifindex).find("somebody_else"), std::string::npos);
    ASSERT_EQ(bpf_xdp_detach(static_cast<int>(target_.ifindex), mode, nullptr), 0);
  }
}

TEST_F(AttachTest, DeletedInterfaceIsNoticed) {
  auto xdp = attach_xdp(xdp_.get(), target_, false);
  auto tc = attach_tc(tc_.get(), target_, Direction::egress);
  ASSERT_TRUE(xdp.ok() && tc.ok());
  netns_.ip("link del veth0");
  EXPECT_FALSE(xdp->intact());
  EXPECT_FALSE(tc->intact());
}

TEST_F(AttachTest, TcxWhereTheKernelHasIt) {
  if (has_tcx() != true) return;  // before 6.6: attach_tc() is attach_clsact(), tested below
  {
    auto attached = attach_tc(tc_.get(), target_, Direction::ingress);
    ASSERT_TRUE(attached.ok()) << attached.error().message;
    EXPECT_EQ(attached->hook(), Hook::tcx);
    EXPECT_TRUE(attached->intact());
    EXPECT_FALSE(clsact_there());
    // another instance finds room beside it
    const Descriptor other = load(BPF_PROG_TYPE_SCHED_CLS, "fffa_test_tc", kTcNext);
    EXPECT_TRUE(attach_tc(other.get(), target_, Direction::ingress).ok());
  }
}

TEST_F(AttachTest, ClsactGoesWithTheLastFilter) {
  {
    auto ingress = attach_clsact(tc_.get(), target_, Direction::ingress);
    ASSERT_TRUE(ingress.ok()) << ingress.error().message;
    {
      auto egress = attach_clsact(tc_.get(), target_, Direction::egress);
      ASSERT_TRUE(egress.ok()) << egress.error().message;
      EXPECT_EQ(filters("egress"), 1);
      EXPECT_TRUE(egress->intact());
    }
    EXPECT_EQ(filters("egress"), 0);
    EXPECT_EQ(filters("ingress"), 1);
    EXPECT_TRUE(ingress->intact());
  }
  EXPECT_FALSE(clsact_there());
}

TEST_F(AttachTest, ForeignClsactStays) {
  run({"tc", "qdisc", "add", "dev", "veth0", "clsact"});
  { ASSERT_TRUE(attach_clsact(tc_.get(), target_, Direction::ingress).ok()); }
  EXPECT_TRUE(clsact_there());
  EXPECT_EQ(filters("ingress"), 0);
}

TEST_F(AttachTest, OwnClsactWithAForeignFilterStays) {
  {
    ASSERT_TRUE(attach_clsact(tc_.get(), target_, Direction::ingress).ok());
    auto attached = attach_clsact(tc_.get(), target_, Direction::ingress);
    ASSERT_TRUE(attached.ok());
    add_foreign_filter(7, 1);
  }
  EXPECT_TRUE(clsact_there());
}

TEST_F(AttachTest, ForeignFilterInOurPlaceIsNamed) {
  run({"tc", "qdisc", "add", "dev", "veth0", "clsact"});
  add_foreign_filter(1, 0xfffa);
  auto attached = attach_clsact(tc_.get(), target_, Direction::ingress);
  ASSERT_FALSE(attached.ok());
  EXPECT_NE(attached.error().message.find("somebody_else"), std::string::npos) << attached.error().message;
  EXPECT_EQ(filters("ingress"), 1);
}

TEST_F(AttachTest, FilterOfAKilledProcessIsReplaced) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto ingress = attach_clsact(tc_.get(), target_, Direction::ingress);
    auto egress = attach_clsact(tc_.get(), target_, Direction::egress);
    if (!ingress || !egress) ::_exit(1);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(filters("egress"), 1) << "a clsact filter outlives its process";
  {
    auto attached = attach_clsact(tc_.get(), target_, Direction::ingress);
    ASSERT_TRUE(attached.ok()) << attached.error().message;
    EXPECT_EQ(filters("ingress"), 1);
    EXPECT_EQ(filters("egress"), 0);
  }
  EXPECT_FALSE(clsact_there());
}

TEST_F(AttachTest, RemovedFilterIsNoticed) {
  auto attached = attach_clsact(tc_.get(), target_, Direction::ingress);
  ASSERT_TRUE(attached.ok());
  run({"tc", "qdisc", "del", "dev", "veth0", "clsact"});
  EXPECT_FALSE(attached->intact());
}

TEST_F(AttachTest, WithoutADescriptorAFilterDoesNotSeemToBeGone) {
  auto attached = attach_clsact(tc_.get(), target_, Direction::ingress);
  ASSERT_TRUE(attached.ok());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const bool intact = attached->intact();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(intact);
}

TEST_F(AttachTest, OneLiveProcessHoldsTheClsactFilters) {
  auto mine = attach_clsact(tc_.get(), target_, Direction::ingress);
  ASSERT_TRUE(mine.ok());
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // another process knows nothing of what this one holds
    auto second =
        std::async(std::launch::async, [&] { return attach_clsact(tc_.get(), target_, Direction::ingress); }).get();
    const bool refused = !second.ok() && second.error().message.find("another running fffa") != std::string::npos;
    ::_exit(refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(mine->intact());
}

}  // namespace
}  // namespace fffa::ebpf
