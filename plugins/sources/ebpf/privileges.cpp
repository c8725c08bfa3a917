// SPDX-License-Identifier: MIT
#include "privileges.h"

#include <bpf/libbpf.h>
#include <sys/eventfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <optional>

#include "attach.h"
#include "fffa/capabilities.h"
#include "fffa/detail/descriptor.h"
#include "netfilter_findings.h"

namespace fffa::ebpf {
namespace {

struct Capability {
  int bit;
  const char* name;
};
constexpr std::array<Capability, 3> kCapabilities = {{{39, "CAP_BPF"}, {12, "CAP_NET_ADMIN"}, {38, "CAP_PERFMON"}}};
constexpr int kSysAdmin = 21;  // stands in for CAP_BPF and CAP_PERFMON
constexpr const char* kRemedy =
    "run as root (sudo), or grant CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (systemd: AmbientCapabilities=, containers: "
    "--cap-add)";

struct Kernel {
  std::string release;
  int version = 0;  // 6.1 is 601
};
constexpr std::size_t kDescriptors = 20;  // that loading takes, with some to spare
constexpr int kOldest = 517;              // bpf_loop
constexpr int kTested = 601;

Kernel running_kernel() {
  utsname name{};
  ::uname(&name);
  int major = 0;
  int minor = 0;
  std::sscanf(name.release, "%d.%d", &major, &minor);
  return {name.release, major * 100 + minor};
}

// "CAP_BPF, CAP_NET_ADMIN"; empty: nothing is missing.
std::string missing_capabilities() {
  const std::uint64_t effective = effective_capabilities();
  std::string missing;
  for (const auto& capability : kCapabilities) {
    const bool stand_in = capability.bit != 12 && (effective >> kSysAdmin & 1) != 0;
    if ((effective >> capability.bit & 1) == 0 && !stand_in)
      missing += (missing.empty() ? "" : ", ") + std::string(capability.name);
  }
  return missing;
}

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// "none", "integrity" or "confidentiality"; empty where it cannot be read.
std::string lockdown() {
  const std::string line = first_line("/sys/kernel/security/lockdown");
  const auto open = line.find('[');
  const auto close = line.find(']');
  return open == std::string::npos || close == std::string::npos ? std::string()
                                                                 : line.substr(open + 1, close - open - 1);
}

bool has_btf() {
  return ::access("/sys/kernel/btf/vmlinux", R_OK) == 0;
}

Finding kernel_finding() {
  const Kernel kernel = running_kernel();
  Finding finding{Finding::Level::ok, "kernel", kernel.release, {}};
  if (kernel.version < kOldest) {
    finding.level = Finding::Level::missing;
    finding.remedy = "use 6.1 or newer (5.17 at least)";
  } else if (kernel.version < kTested) {
    finding.level = Finding::Level::degraded;
    finding.remedy = "works as far as we know; tested are 6.1, 6.12 and 6.18";
  }
  return finding;
}

Finding capability_finding(const std::string& missing) {
  if (missing.empty()) return {Finding::Level::ok, "capabilities", "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON", {}};
  return {Finding::Level::missing, "capabilities", "missing " + missing, kRemedy};
}

// `probed`: as libbpf_probe_* return it.
Finding probe_finding(const char* what, int probed, const char* remedy) {
  if (probed == 1) return {Finding::Level::ok, what, "supported", {}};
  if (probed == 0) return {Finding::Level::missing, what, "this kernel does not have it", remedy};
  return {Finding::Level::missing, what, "cannot be told without privileges", kRemedy};
}

Finding tcx_finding(bool privileged) {
  const auto tcx = privileged ? has_tcx() : std::nullopt;
  if (!tcx) return probe_finding("TC hooks", -EPERM, "");
  if (*tcx) return {Finding::Level::ok, "TC hooks", "TCX links", {}};
  return {Finding::Level::degraded, "TC hooks", "clsact filters (no TCX before kernel 6.6)",
          "nothing to do: a filter that outlives a killed fffa is replaced by the next start"};
}

Finding btf_finding() {
  if (has_btf()) return {Finding::Level::ok, "kernel type information (BTF)", "/sys/kernel/btf/vmlinux", {}};
  return {Finding::Level::degraded, "kernel type information (BTF)", "not there: verdicts of netfilter cannot be read",
          "use a kernel built with CONFIG_DEBUG_INFO_BTF=y"};
}

Finding lockdown_finding() {
  const std::string mode = lockdown();
  if (mode.empty())
    return {Finding::Level::degraded, "lockdown", "unknown: securityfs cannot be read",
            "matters before kernel 6.4 only; `ip netns exec` and most containers hide securityfs"};
  if (mode == "none") return {Finding::Level::ok, "lockdown", mode, {}};
  return {Finding::Level::degraded, "lockdown", mode,
          "flows are captured; tracing programs (netfilter on kernels before 6.4) may be refused"};
}

Finding unprivileged_finding() {
  const std::string value = first_line("/proc/sys/kernel/unprivileged_bpf_disabled");
  return {Finding::Level::ok, "unprivileged BPF", value == "0" ? "allowed" : "disabled, as it should be", {}};
}

}  // namespace

Result<void> check_privileges() {
  std::string problems;
  if (const Kernel kernel = running_kernel(); kernel.version < kOldest) {
    problems += "kernel " + kernel.release + " is too old (5.17 is needed, 6.1 or newer recommended)";
  }
  if (const std::string missing = missing_capabilities(); !missing.empty()) {
    problems += (problems.empty() ? "" : "; ") + ("missing " + missing) + ": " + kRemedy;
  }
  if (problems.empty()) return {};
  return unavailable("cannot capture: " + problems + " (`fffa doctor` shows the whole table)");
}

Result<void> check_descriptors() {
  std::array<Descriptor, kDescriptors> spare;
  for (auto& fd : spare) {
    fd = Descriptor(::eventfd(0, EFD_CLOEXEC));
    if (!fd)
      return system_error("fewer than " + std::to_string(kDescriptors) + " file descriptors are left (`ulimit -n`)");
  }
  return {};
}

Error kernel_error(std::string_view what, int error) {
  const bool forbidden = error == EPERM || error == EACCES || error == EOPNOTSUPP;
  return system_error(what, error, forbidden ? Disposition::unavailable : Disposition::fatal);
}

std::string explain_load_failure(int error) {
  if (error == EPERM)
    return ", not permitted in spite of the capabilities: a user namespace, a seccomp profile, lockdown or an LSM may "
           "forbid bpf()";
  if (error == ENOMEM) return ", not enough memory: make `table_size` smaller";
  return {};
}

std::vector<Finding> examine() {
  const std::string missing = missing_capabilities();
  libbpf_set_print(nullptr);
  std::vector<Finding> findings = {kernel_finding(), capability_finding(missing)};
  if (auto enough = check_descriptors(); !enough) {  // what follows would look as if the kernel did not have it
    findings.push_back({Finding::Level::missing, "file descriptors", enough.error().message, "raise the limit"});
    return findings;
  }
  const auto probed = [&](auto probe) { return missing.empty() ? probe() : -EPERM; };
  findings.push_back(probe_finding("XDP", probed([] { return libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_XDP, nullptr); }),
                                   "use `ingress: tc`, or a kernel built with CONFIG_BPF_SYSCALL=y"));
  findings.push_back(probe_finding("TC programs",
                                   probed([] { return libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SCHED_CLS, nullptr); }),
                                   "use a kernel built with CONFIG_NET_CLS_BPF=y"));
  findings.push_back(tcx_finding(missing.empty()));
  findings.push_back(probe_finding("BPF ring buffer",
                                   probed([] { return libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, nullptr); }),
                                   "use kernel 5.8 or newer"));
  findings.push_back(probe_finding(
      "bpf_loop", probed([] { return libbpf_probe_bpf_helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_loop, nullptr); }),
      "use kernel 5.17 or newer"));
  findings.push_back(btf_finding());
  findings.push_back(lockdown_finding());
  findings.push_back(unprivileged_finding());
  for (auto& finding : examine_netfilter(missing.empty())) findings.push_back(std::move(finding));
  return findings;
}

}  // namespace fffa::ebpf
