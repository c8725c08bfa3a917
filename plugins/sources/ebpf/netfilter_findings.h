// SPDX-License-Identifier: MIT
// Which of the sources of netfilter's truth work on this machine, and what each missing one costs.
#pragma once

#include <vector>

#include "fffa/plugin.h"

namespace fffa::ebpf {

// For `fffa doctor`. Without the capabilities that capturing takes (`privileged` false) little can be told.
std::vector<Finding> examine_netfilter(bool privileged);

}  // namespace fffa::ebpf
