// SPDX-License-Identifier: MIT
#include "netfilter_findings.h"

#include <bpf/btf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "attach.h"
#include "kernel_types.h"
#include "rules/nft_socket.h"
#include "rules/rule_tracer.h"

namespace fffa::ebpf {
namespace {

using Level = Finding::Level;

constexpr const char* kVerdicts = "netfilter verdicts";
constexpr const char* kDrops = "netfilter drops";
constexpr const char* kRules = "netfilter rules";
constexpr const char* kTranslations = "netfilter translations";

// Why a tracing program was not taken.
std::string refusal(int error) {
  if (error == EPERM) return "tracing programs are refused";
  return error == ENOENT || error == ESRCH ? "this kernel does not have what would be traced"
                                           : "tracing programs do not load";
}

constexpr const char* kTracedExceptions =
    "use kernel 6.4 or newer to see this too: what the hooks behind a queue's make of a packet that it accepted at "
    "input "
    "or postrouting; packets that come while the same program is interrupted. fffa's table `fffa_hooks` keeps input "
    "and "
    "postrouting in use, where every packet passes it; with neither it nor chains of others, accepts are not seen";

Finding verdict_finding() {
  const auto links = has_netfilter_links();
  if (!links) return {Level::degraded, kVerdicts, "the kernel refuses to say", {}};
  if (*links) return {Level::ok, kVerdicts, "netfilter links", {}};
  for (const char* function : {"nf_hook_slow", "nf_reinject"}) {
    for (const auto how : {BPF_TRACE_FENTRY, BPF_TRACE_FEXIT}) {
      if (const int error = probe_tracing(function, how); error != 0)
        return {
            Level::degraded, kVerdicts,
            "none: no netfilter links (before kernel 6.4), and " + refusal(error) + " (" + function + ")",
            "without them flows have no verdicts, rules or refused packets; use kernel 6.4 or newer, or one without "
            "lockdown"};
    }
  }
  return {Level::degraded, kVerdicts, "tracing programs (no netfilter links before kernel 6.4)", kTracedExceptions};
}

Finding drop_finding() {
  const int error = probe_tracing("kfree_skb", BPF_TRACE_RAW_TP);
  if (error != 0)
    return {Level::degraded, kDrops, "none: " + refusal(error) + " (kfree_skb)",
            "without them no verdicts are counted at all; use a kernel with BTF, and without lockdown"};
  return {Level::ok, kDrops, "tracepoint kfree_skb, with reasons", {}};
}

Finding rule_finding() {
  auto dump = NftDump::open();
  const auto generation = dump ? dump->generation() : Result<std::uint32_t>(dump.error());
  if (!generation)
    return {
        Level::degraded, kRules, "none: " + generation.error().message,
        "without them verdicts are counted, but their rules stay null, and a REJECT is told by its answer only; load "
        "nf_tables (kernel 5.12 or newer)"};
  if (has_legacy_iptables())
    return {Level::degraded, kRules, "nftables' trace; there are rules of iptables-legacy, which it does not see",
            "rule fields stay null where those decide: use iptables-nft"};
  return {Level::ok, kRules, "nftables' trace", {}};
}

// conntrack's types: in the kernel's own, or in its module's.
Finding translation_finding() {
  const KernelTypes types = load_kernel_types();
  const bool known = types && btf__find_by_name_kind(types.get(), "nf_conn", BTF_KIND_STRUCT) > 0;
  if (known) return {Level::ok, kTranslations, "conntrack can be read", {}};
  if (::access("/sys/kernel/btf/nf_conntrack", R_OK) == 0)
    return {Level::ok, kTranslations, "conntrack can be read (its module is loaded)", {}};
  return {
      Level::degraded, kTranslations, "conntrack's types are not known",
      "translated flows are counted under the tuples that their packets have when netfilter is done with them; load "
      "nf_conntrack before fffa starts"};
}

}  // namespace

std::vector<Finding> examine_netfilter(bool privileged) {
  if (!privileged)
    return {{Level::degraded, kVerdicts, "cannot be told without privileges", {}}, translation_finding()};
  return {verdict_finding(), drop_finding(), rule_finding(), translation_finding()};
}

}  // namespace fffa::ebpf
