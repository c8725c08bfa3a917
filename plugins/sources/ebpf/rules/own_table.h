// SPDX-License-Identifier: MIT
// The table that chooses which packets are traced, as nft's commands.
#pragma once

#include <string>
#include <vector>

#include "rule_tracer.h"

namespace fffa::ebpf {

// Fails, by `create`, where a table of that name exists.
std::string own_table_commands(const std::string& name, const RuleTracerOptions& options);
// Adds flows to the table's sets of wanted ones. Flows without a tuple are left out.
std::string want_commands(const std::string& name, const std::vector<TracedFlow>& flows);

}  // namespace fffa::ebpf
