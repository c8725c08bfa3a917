// SPDX-License-Identifier: MIT
#include "privileges.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>

#include "ebpf.h"
#include "fffa/testing/config_text.h"

namespace fffa::ebpf {
namespace {

// In a process that has no privileges, whoever runs the test.
int as_nobody(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0 ? 99 : body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Privileges, WhatTheMachineForbidsIsUnavailable) {
  for (const int error : {EPERM, EACCES, EOPNOTSUPP})
    EXPECT_EQ(kernel_error("attach", error).disposition, Disposition::unavailable) << error;
  for (const int error : {EMFILE, EBUSY, EINVAL})
    EXPECT_EQ(kernel_error("attach", error).disposition, Disposition::fatal) << error;
  EXPECT_EQ(kernel_error("attach", EMFILE).message, "attach: Too many open files");
}

TEST(Privileges, OneErrorNamesAllThatIsMissing) {
  const auto body = [] {
    const auto allowed = check_privileges();
    return !allowed && allowed.error().disposition == Disposition::unavailable &&
                   allowed.error().message.find("missing CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON: run as root") !=
                       std::string::npos
               ? 0
               : 1;
  };
  EXPECT_EQ(as_nobody(body), 0);
}

// As few file descriptors as a process can have.
int with_descriptors(rlim_t limit, const std::function<int()>& body) {
  const auto limited = [&] {
    const rlimit few{limit, limit};
    return ::setrlimit(RLIMIT_NOFILE, &few) != 0 ? 98 : body();
  };
  const pid_t child = ::fork();
  if (child == 0) ::_exit(limited());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
bool names_the_cause(const std::string& message) {
  return message.find("Too many open files") != std::string::npos;
}

TEST(Descriptors, WithoutAnyTheCauseIsNamed) {
  const auto body = [] {
    const auto enough = check_descriptors();
    if (enough || !names_the_cause(enough.error().message)) return 1;
    const auto findings = examine();
    const bool said = std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
      return finding.what == "file descriptors" && names_the_cause(finding.detail);
    });
    const auto probe = Ebpf::probe();
    return said && probe.findings.back().what == "interfaces" && names_the_cause(probe.findings.back().detail) ? 0 : 2;
  };
  EXPECT_EQ(with_descriptors(0, body), 0);
  EXPECT_EQ(with_descriptors(16, [] { return check_descriptors() ? 1 : 0; }), 0);
  EXPECT_TRUE(check_descriptors());
}

TEST(Interfaces, WithoutPrivilegesNobodyKnowsOfTcx) {
  EXPECT_EQ(as_nobody([] { return has_tcx().has_value() ? 1 : 0; }), 0);
}

TEST(Interfaces, HooksAreWhatIsKnown) {
  const Link eth0{2, "eth0", true, false, true};
  const Link lo{1, "lo", true, true, true};
  const Link tun{3, "tun0", true, false, false};
  EXPECT_EQ(describe_hooks(eth0, "", true), "xdp-native ingress, else tcx, tcx egress");
  EXPECT_EQ(describe_hooks(eth0, "", false), "xdp-native ingress, else clsact, clsact egress");
  EXPECT_EQ(describe_hooks(lo, "", true), "tcx ingress, tcx egress");
  EXPECT_EQ(describe_hooks(eth0, "`x` (id 5, native mode)", true),
            "tcx ingress (XDP is used by `x` (id 5, native mode)), tcx egress");
  EXPECT_EQ(describe_hooks(eth0, "", std::nullopt),
            "xdp-native ingress, else tcx or clsact, tcx or clsact egress (which of the two cannot be told without "
            "privileges)");
  EXPECT_EQ(describe_hooks(tun, "", std::nullopt), "none (no Ethernet header)");
}

// What check() says of the options, with its place.
std::string complaint(const char* yaml) {
  static constexpr StageType kType = stage_type<Ebpf, Config>("ebpf", "under test");
  Diagnostics diagnostics;
  const auto node = fffa::testing::parse_config(yaml, "a.yaml");
  const bool good = kType.check(*node, "sources.x", diagnostics);
  EXPECT_EQ(good, diagnostics.all().empty());
  return diagnostics.all().empty() ? "" : to_string(diagnostics.all().front());
}

TEST(Options, WhereNothingCouldBeCapturedTheyAreWrong) {
  EXPECT_EQ(complaint("interfaces: [eth0]"), "");
  EXPECT_EQ(complaint("interfaces: []"),
            "a.yaml:1:13: sources.x.interfaces: must not be empty: nothing could be captured");
  EXPECT_EQ(complaint("hooks: []"), "a.yaml:1:8: sources.x.hooks: neither ingress nor egress is captured");
}

}  // namespace
}  // namespace fffa::ebpf
