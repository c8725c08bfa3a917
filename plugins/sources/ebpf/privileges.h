// SPDX-License-Identifier: MIT
// What this machine allows, and what to do where it does not.
#pragma once

#include <cerrno>
#include <string>
#include <string_view>

#include "fffa/plugin.h"
#include "fffa/result.h"

namespace fffa::ebpf {

// Before loading: kernel version, type information (BTF), capabilities. One `unavailable` error names everything that
// is missing.
Result<void> check_privileges();
// Whether there are descriptors for all maps and programs. Without, libbpf would take the failure of its own probes for
// features that the kernel does not have.
Result<void> check_descriptors();
// The error of a call that the machine may forbid: `unavailable` for a refusal (EPERM, EACCES) and for what the kernel
// does not have (EOPNOTSUPP), else fatal.
Error kernel_error(std::string_view what, int error = errno);
// What a failed load most probably means: ": the kernel is locked down", or nothing.
std::string explain_load_failure(int error);
// The whole table, for `fffa doctor`.
std::vector<Finding> examine();

}  // namespace fffa::ebpf
