// SPDX-License-Identifier: MIT
// Aligned columns of text.
#pragma once

#include <string>
#include <vector>

namespace fffa::core {

// Rows under a header line; columns two spaces apart, as wide as their widest cell; no spaces at the ends of lines.
// Control characters in cells become `?`: what plugins and interfaces are called is not ours.
std::string format_table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);

}  // namespace fffa::core
