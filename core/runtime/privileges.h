// SPDX-License-Identifier: MIT
// What privileges are left once everything that needs more of them is open.
#pragma once

#include "fffa/result.h"

namespace fffa::core {

// Of the calling thread, and of the threads that it makes from now on: leaves CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON (to
// attach to interfaces that appear) and, for root, CAP_DAC_OVERRIDE (to go on writing where the start could), as far as
// it has them; empties the bounding, inheritable and ambient sets of everything else; sets no_new_privs. See
// docs/security.md.
Result<void> drop_privileges();

}  // namespace fffa::core
