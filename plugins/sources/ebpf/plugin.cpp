// SPDX-License-Identifier: MIT
#include "ebpf.h"

using fffa::ebpf::Config;
using fffa::ebpf::Ebpf;
FFFA_PLUGIN("ebpf", "flows of this machine's interfaces, live, by XDP and TC", Ebpf, Config)
