// SPDX-License-Identifier: MIT
#include "fffa/capabilities.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace fffa {

std::uint64_t effective_capabilities() noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return 0;
  return std::uint64_t{sets[1].effective} << 32 | sets[0].effective;
}

}  // namespace fffa
