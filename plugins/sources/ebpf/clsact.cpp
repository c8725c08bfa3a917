// SPDX-License-Identifier: MIT
#include "clsact.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <map>

#include "privileges.h"

namespace fffa::ebpf {
namespace {

// Priority 1 runs first: a filter before ours that says "accept" would hide packets from us. The handle is what tells
// ours from others there.
constexpr std::uint32_t kPriority = 1;
constexpr std::uint32_t kHandle = 0xfffa;
constexpr std::string_view kProgramPrefix = "fffa_";  // of all of our programs' names

bpf_tc_hook make_hook(std::uint32_t ifindex, bpf_tc_attach_point point) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = point;
  return hook;
}

bpf_tc_attach_point point_of(Direction direction) {
  return direction == Direction::ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

bpf_tc_opts make_options() {
  bpf_tc_opts options{};
  options.sz = sizeof options;
  options.handle = kHandle;
  options.priority = kPriority;
  return options;
}

// A name in the namespace's list of abstract sockets, which the kernel takes back when the process dies, however it
// dies.
Result<Descriptor> claim(std::uint32_t ifindex, const std::string& name) {
  Descriptor fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return kernel_error("open a socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = "fffa/clsact/" + std::to_string(ifindex);
  std::memcpy(address.sun_path + 1, text.data(), text.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) == 0) return fd;
  if (errno != EADDRINUSE) return kernel_error("claim the clsact filters of " + name);
  return fail("attach to " + name +
              ": another running fffa holds its clsact filters (kernels from 6.6 on allow several)");
}

// True if a filter is on the qdisc's hook `parent`, or if that cannot be told.
bool has_filters(std::uint32_t ifindex, std::uint32_t parent) noexcept {
  Descriptor fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  struct {
    nlmsghdr header;
    tcmsg message;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETTFILTER;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.message.tcm_ifindex = static_cast<int>(ifindex);
  request.message.tcm_parent = parent;
  if (!fd || ::send(fd.get(), &request, sizeof request, 0) < 0) return true;
  alignas(nlmsghdr) std::array<char, 32768> buffer;
  for (;;) {
    const ssize_t got = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (got < 0) return true;
    auto left = static_cast<unsigned>(got);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type == NLMSG_DONE) return false;
      if (header->nlmsg_type == NLMSG_ERROR || header->nlmsg_type == RTM_NEWTFILTER) return true;
    }
  }
}

std::map<std::uint32_t, std::weak_ptr<Clsact>>& held() {
  thread_local std::map<std::uint32_t, std::weak_ptr<Clsact>> all;
  return all;
}

}  // namespace

std::string program_name(std::uint32_t program_id) {
  Descriptor fd(bpf_prog_get_fd_by_id(program_id));
  bpf_prog_info info{};
  std::uint32_t size = sizeof info;
  if (!fd || bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0) return {};
  return {info.name, ::strnlen(info.name, sizeof info.name)};
}

Clsact::Clsact(std::uint32_t ifindex, std::string name, Descriptor claim)
    : ifindex_(ifindex), name_(std::move(name)), claim_(std::move(claim)) {}

Result<std::shared_ptr<Clsact>> Clsact::open(std::uint32_t ifindex, const std::string& name) {
  if (auto there = held()[ifindex].lock()) return there;
  auto fd = claim(ifindex, name);
  if (!fd) return fd.error();
  std::shared_ptr<Clsact> clsact(new Clsact(ifindex, name, std::move(*fd)));
  auto hook = make_hook(ifindex, static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS));
  const int error = bpf_tc_hook_create(&hook);
  if (error == 0) {
    clsact->ours_ = true;
  } else if (error == -ENOENT) {  // the kernel has no such qdisc
    return system_error("make a clsact qdisc on " + name, ENOENT, Disposition::unavailable);
  } else if (error != -EEXIST) {
    return kernel_error("make a clsact qdisc on " + name, -error);
  } else {
    // what a killed fffa left behind is ours again, if nothing else is there
    bool leftover = false;
    for (auto direction : {Direction::ingress, Direction::egress}) {
      if (!program_name(clsact->attached(direction).value_or(0)).starts_with(kProgramPrefix)) continue;
      clsact->detach(direction);
      leftover = true;
    }
    clsact->ours_ = leftover && clsact->empty();
  }
  held()[ifindex] = clsact;
  return clsact;
}

Clsact::~Clsact() {
  if (!ours_ || !empty()) return;
  auto hook = make_hook(ifindex_, static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS));
  bpf_tc_hook_destroy(&hook);
}

Result<std::uint32_t> Clsact::attach(int program, Direction direction) {
  auto hook = make_hook(ifindex_, point_of(direction));
  auto options = make_options();
  options.prog_fd = program;
  const int error = bpf_tc_attach(&hook, &options);
  if (error == 0) return options.prog_id;
  if (error == -EEXIST) {
    const std::uint32_t foreign = attached(direction).value_or(0);
    return fail("attach to " + name_ + ": TC filter priority 1 handle 0xfffa is held by program `" +
                program_name(foreign) + "` (id " + std::to_string(foreign) + "), which is left alone");
  }
  return kernel_error("attach a TC filter to " + name_, -error);
}

void Clsact::detach(Direction direction) noexcept {
  auto hook = make_hook(ifindex_, point_of(direction));
  auto options = make_options();
  bpf_tc_detach(&hook, &options);
}

std::optional<std::uint32_t> Clsact::attached(Direction direction) const noexcept {
  auto hook = make_hook(ifindex_, point_of(direction));
  auto options = make_options();
  const int error = bpf_tc_query(&hook, &options);
  if (error == -EMFILE || error == -ENFILE || error == -ENOMEM) return std::nullopt;
  return error == 0 ? options.prog_id : 0;
}

bool Clsact::empty() const noexcept {
  return !has_filters(ifindex_, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)) &&
         !has_filters(ifindex_, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS));
}

}  // namespace fffa::ebpf
