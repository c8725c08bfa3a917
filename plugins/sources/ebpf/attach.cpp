// SPDX-License-Identifier: MIT
#include "attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "clsact.h"
#include "newer.h"
#include "privileges.h"

namespace fffa::ebpf {
namespace {

// Of kernel 6.6's <linux/bpf.h>; the headers we build with may be older.
constexpr std::uint32_t kTcxIngress = 46;
constexpr std::uint32_t kTcxEgress = 47;
constexpr std::uint32_t kBefore = 1U << 3;  // BPF_F_BEFORE; without a reference: before all others

struct TcxLinkAttributes {
  std::uint32_t program;
  std::uint32_t ifindex;
  std::uint32_t attach_type;
  std::uint32_t flags;
  std::uint32_t relative;
  std::uint32_t padding;
  std::uint64_t expected_revision;
};

int bpf_system_call(int command, void* attributes, unsigned size) {
  return static_cast<int>(::syscall(SYS_bpf, command, attributes, size));
}

int create_tcx_link(int program, std::uint32_t ifindex, Direction direction) {
  TcxLinkAttributes attributes{};
  attributes.program = static_cast<std::uint32_t>(program);
  attributes.ifindex = ifindex;
  attributes.attach_type = direction == Direction::ingress ? kTcxIngress : kTcxEgress;
  attributes.flags = kBefore;  // a program before ours that ends the chain would hide packets from us
  return bpf_system_call(BPF_LINK_CREATE, &attributes, sizeof attributes);
}

// Loads a program that only returns `value`: 0, or the kernel's error.
int try_load(bpf_prog_type type, std::int32_t value, const bpf_prog_load_opts& options) {
  std::array<bpf_insn, 2> program{};
  program[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
  program[0].imm = value;
  program[1].code = BPF_JMP | BPF_EXIT;
  const Descriptor loaded(bpf_prog_load(type, "fffa_probe", "GPL", program.data(), program.size(), &options));
  return loaded ? 0 : errno;
}

std::string quoted_program(std::uint32_t id, std::string_view mode) {
  const std::string name = program_name(id);  // without privileges there is none
  if (name.empty()) return "id " + std::to_string(id) + " (" + std::string(mode) + ")";
  return "`" + name + "` (id " + std::to_string(id) + ", " + std::string(mode) + ")";
}

}  // namespace

std::string_view hook_name(Hook hook) noexcept {
  switch (hook) {
    case Hook::xdp_native: return "xdp-native";
    case Hook::xdp_generic: return "xdp-generic";
    case Hook::tcx: return "tcx";
    case Hook::clsact: return "clsact";
  }
  return "";
}

Attachment::Attachment(Hook hook, Direction direction, const Target& target)
    : hook_(hook), direction_(direction), target_(target) {}
Attachment::Attachment(Attachment&&) noexcept = default;
Attachment& Attachment::operator=(Attachment&& other) noexcept {
  std::swap(hook_, other.hook_);
  std::swap(direction_, other.direction_);
  std::swap(target_, other.target_);
  std::swap(link_, other.link_);
  std::swap(clsact_, other.clsact_);
  std::swap(program_id_, other.program_id_);
  return *this;
}

Attachment::~Attachment() {
  // somebody else's filter may have taken the place of ours
  if (clsact_ && clsact_->attached(direction_) == program_id_) clsact_->detach(direction_);
}

bool Attachment::intact() const noexcept {
  if (clsact_) return clsact_->attached(direction_).value_or(program_id_) == program_id_;
  bpf_link_info info{};
  std::uint32_t size = sizeof info;
  // TCX keeps its ifindex where XDP does; a detached link says 0
  return bpf_obj_get_info_by_fd(link_.get(), &info, &size) == 0 && info.xdp.ifindex == target_.ifindex;
}

std::string describe_xdp(std::uint32_t ifindex) {
  bpf_xdp_query_opts found{};
  found.sz = sizeof found;
  if (bpf_xdp_query(static_cast<int>(ifindex), 0, &found) != 0) return {};
  if (found.drv_prog_id != 0) return quoted_program(found.drv_prog_id, "native mode");
  if (found.skb_prog_id != 0) return quoted_program(found.skb_prog_id, "generic mode");
  if (found.hw_prog_id != 0) return quoted_program(found.hw_prog_id, "offloaded");
  return {};
}

Result<Attachment> attach_xdp(int program, const Target& target, bool generic) {
  bpf_link_create_opts options{};
  options.sz = sizeof options;
  options.flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
  Attachment attachment(generic ? Hook::xdp_generic : Hook::xdp_native, Direction::ingress, target);
  const int fd = bpf_link_create(program, static_cast<int>(target.ifindex), BPF_XDP, &options);
  if (fd >= 0) {
    attachment.link_ = Descriptor(fd);
    return attachment;
  }
  const std::string what = "attach XDP to " + target.name + (generic ? " in generic mode" : " in native mode");
  if (const std::string foreign = describe_xdp(target.ifindex); fd != -EPERM && !foreign.empty()) {
    return system_error(what + ": program " + foreign + " is there already and is left alone (use `ingress: tc`)", -fd);
  }
  return kernel_error(what, -fd);
}

Result<Attachment> attach_tcx(int program, const Target& target, Direction direction) {
  Attachment attachment(Hook::tcx, direction, target);
  const int fd = create_tcx_link(program, target.ifindex, direction);
  if (fd < 0) return kernel_error("attach TCX to " + target.name);
  attachment.link_ = Descriptor(fd);
  return attachment;
}

Result<Attachment> attach_clsact(int program, const Target& target, Direction direction) {
  auto clsact = Clsact::open(target.ifindex, target.name);
  if (!clsact) return clsact.error();
  auto id = (*clsact)->attach(program, direction);
  if (!id) return id.error();
  Attachment attachment(Hook::clsact, direction, target);
  attachment.clsact_ = std::move(*clsact);
  attachment.program_id_ = *id;
  return attachment;
}

Result<Attachment> attach_tc(int program, const Target& target, Direction direction) {
  return has_tcx() == false ? attach_clsact(program, target, direction) : attach_tcx(program, target, direction);
}

std::optional<bool> has_tcx() noexcept {
  // the kernel says EINVAL to an attach type that it does not know; loopback exists in every namespace
  bpf_attr attributes{};
  attributes.query.target_fd = 1;
  attributes.query.attach_type = kTcxIngress;
  if (bpf_system_call(BPF_PROG_QUERY, &attributes, sizeof attributes) == 0 || errno == ENODEV) return true;
  if (errno == EPERM) return std::nullopt;
  return false;
}

std::optional<bool> has_netfilter_links() noexcept {
  bpf_prog_load_opts options{};
  options.sz = sizeof options;
  options.expected_attach_type = newer<bpf_attach_type>(kNetfilterAttach);
  const int error = try_load(newer<bpf_prog_type>(kNetfilterProgram), 1, options);
  if (error == EPERM) return std::nullopt;
  return error == 0;
}

int probe_tracing(const char* function, bpf_attach_type how) noexcept {
  const int id = libbpf_find_vmlinux_btf_id(function, how);
  if (id < 0) return -id;
  bpf_prog_load_opts options{};
  options.sz = sizeof options;
  options.expected_attach_type = how;
  options.attach_btf_id = static_cast<std::uint32_t>(id);
  return try_load(BPF_PROG_TYPE_TRACING, 0, options);
}

Result<Descriptor> attach_tracing(int program, std::string_view what) {
  Descriptor link(bpf_raw_tracepoint_open(nullptr, program));
  if (!link) return kernel_error("attach to " + std::string(what));
  return link;
}

void wait_for_running_programs() noexcept {
  ::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

}  // namespace fffa::ebpf
