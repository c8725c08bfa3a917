// SPDX-License-Identifier: MIT
// Checks of how stages are connected. Each reports all that it finds.
#pragma once

#include <cstddef>
#include <vector>

#include "graph/draft.h"

namespace fffa::core {

// Ids that are used twice.
void check_ids(const std::vector<Draft>& drafts, Diagnostics& diagnostics);
// Finds the stages that the inputs name (DraftInput::stage).
void resolve_inputs(std::vector<Draft>& drafts, Diagnostics& diagnostics);
// Sources, enrichers and aggregators whose output goes nowhere; no source or sink at all.
void check_ends(const std::vector<Draft>& drafts, const ConfigNode& config, Diagnostics& diagnostics);
// The stages' indices, each after its inputs; those in a cycle, and behind one, are left out and the cycle reported.
std::vector<std::size_t> sort_stages(const std::vector<Draft>& drafts, Diagnostics& diagnostics);
// Cumulative records where deltas are needed. `order`: from sort_stages().
void check_record_kinds(const std::vector<Draft>& drafts, const std::vector<std::size_t>& order,
                        Diagnostics& diagnostics);
// Two owners of one resource.
void check_resources(const std::vector<Draft>& drafts, Diagnostics& diagnostics);

}  // namespace fffa::core
