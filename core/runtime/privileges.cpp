// SPDX-License-Identifier: MIT
// By system call, not by libcap: capabilities belong to threads, and this one thread is what is meant.
#include "privileges.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>

#ifndef CAP_PERFMON  // Linux 5.8
#define CAP_PERFMON 38
#define CAP_BPF 39
#endif

namespace fffa::core {

namespace {

using Sets = std::array<__user_cap_data_struct, 2>;

std::uint64_t wanted() {
  std::uint64_t set = (1ull << CAP_BPF) | (1ull << CAP_NET_ADMIN) | (1ull << CAP_PERFMON);
  if (geteuid() == 0) set |= 1ull << CAP_DAC_OVERRIDE;
  return set;
}

}  // namespace

Result<void> drop_privileges() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  Sets sets{};
  if (syscall(SYS_capget, &header, sets.data()) != 0) return system_error("read capabilities");
  const std::uint64_t keep = wanted();
  // The bounding set first: that itself takes a capability, and without it there is nothing that exec could give back
  // (no_new_privs).
  if ((sets[0].effective & (1u << CAP_SETPCAP)) != 0) {
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; ++cap) {
      if ((keep >> cap & 1) == 0 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
        return system_error("drop a capability from the bounding set");
    }
  }
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
    return system_error("clear the ambient capabilities");
  for (std::size_t i = 0; i < sets.size(); ++i) {
    sets[i].permitted &= static_cast<std::uint32_t>(keep >> (32 * i));
    sets[i].effective = sets[i].permitted;
    sets[i].inheritable = 0;
  }
  if (syscall(SYS_capset, &header, sets.data()) != 0) return system_error("drop capabilities");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return system_error("set no_new_privs");
  return {};
}

}  // namespace fffa::core
