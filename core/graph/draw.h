// SPDX-License-Identifier: MIT
// A pipeline as a picture.
#pragma once

#include <string>

#include "graph/pipeline.h"

namespace fffa::core {

// One line a stage, in the order of the records: kind, id, type, and where its output goes.
std::string draw_text(const Pipeline& pipeline);
// A flowchart that GitHub and others render.
std::string draw_mermaid(const Pipeline& pipeline);

}  // namespace fffa::core
