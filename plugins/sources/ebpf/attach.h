// SPDX-License-Identifier: MIT
// Attaching kernel programs to the hooks of an interface, and knowing whether they still are.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fffa/detail/descriptor.h"
#include "fffa/record.h"
#include "fffa/result.h"

namespace fffa::ebpf {

enum class Hook : std::uint8_t { xdp_native, xdp_generic, tcx, clsact };
std::string_view hook_name(Hook hook) noexcept;  // "xdp-native", ... "tcx", "clsact"

// The programs that count packets, and those that see what netfilter makes of them: at both ends of each hook, and
// where packets are freed (`freed_for`: as kernel 6.11 and newer tell of it); then those that stand in for them before
// kernel 6.4 (`traced_back`: where packets come back from a queue).
enum class Program : std::uint8_t {
  xdp_ingress,
  tc_ingress,
  tc_egress,
  hook_begin,
  hook_end,
  freed,
  freed_for,
  traced_begin,
  traced_end,
  traced_back,
  traced_freed,
  count
};

// The interface to attach to.
struct Target {
  std::uint32_t ifindex = 0;
  std::string name;  // for messages
};

class Clsact;

// One program on one hook of one interface. Destruction detaches it; a killed process's links vanish with it, its
// clsact filters are found and replaced by the next start. Movable; one thread.
class Attachment {
 public:
  Attachment(Attachment&&) noexcept;
  Attachment& operator=(Attachment&&) noexcept;
  ~Attachment();

  Hook hook() const noexcept { return hook_; }
  // False once somebody else has removed or replaced the program, or the interface is gone.
  bool intact() const noexcept;

 private:
  friend Result<Attachment> attach_xdp(int program, const Target& target, bool generic);
  friend Result<Attachment> attach_tcx(int program, const Target& target, Direction direction);
  friend Result<Attachment> attach_clsact(int program, const Target& target, Direction direction);
  Attachment(Hook hook, Direction direction, const Target& target);

  Hook hook_;
  Direction direction_;
  Target target_;
  Descriptor link_;                 // all but clsact
  std::shared_ptr<Clsact> clsact_;  // clsact: shared by both directions of the interface
  std::uint32_t program_id_ = 0;    // clsact
};

// `program` is a loaded program's descriptor; the kernel keeps it as long as it is attached. A program of somebody else
// is never replaced: the error names it. Errors whose cause is a missing privilege or kernel feature are `unavailable`.
Result<Attachment> attach_xdp(int program, const Target& target, bool generic);
Result<Attachment> attach_tcx(int program, const Target& target, Direction direction);
Result<Attachment> attach_clsact(int program, const Target& target, Direction direction);
// TCX where the kernel has it, else clsact.
Result<Attachment> attach_tc(int program, const Target& target, Direction direction);

// The XDP program on an interface, whoever put it there: "`xdp_filter` (id 12, native mode)"; empty: none.
std::string describe_xdp(std::uint32_t ifindex);
// Whether the running kernel has TCX links (6.6). Without CAP_NET_ADMIN it does not say: nullopt.
std::optional<bool> has_tcx() noexcept;
// Whether it has netfilter programs (6.4), and links for them. Without CAP_BPF and CAP_NET_ADMIN it does not say.
std::optional<bool> has_netfilter_links() noexcept;
// Whether a program may trace a function of the kernel's, or with BPF_TRACE_RAW_TP a tracepoint: 0, or why not (EPERM).
int probe_tracing(const char* function, bpf_attach_type how) noexcept;
// Attaches a program that traces.
Result<Descriptor> attach_tracing(int program, std::string_view what);

// Waits until no processor runs a program, or has a packet in its hands, that did so at the call.
void wait_for_running_programs() noexcept;

}  // namespace fffa::ebpf
