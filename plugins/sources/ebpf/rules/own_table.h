// SPDX-License-Identifier: MIT
// The table that chooses which packets are traced, as nft's commands.
#pragma once

#include <string>
#include <vector>

#include "rule_tracer.h"

namespace fffa::ebpf {

// What stands in it: for NftContext::make_own_table().
std::string own_table_body(const RuleTracerOptions& options);
// Adds flows to the table's sets of wanted ones. Flows without a tuple are left out.
std::string want_commands(const std::string& name, const std::vector<TracedFlow>& flows);

}  // namespace fffa::ebpf
