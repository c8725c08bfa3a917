// SPDX-License-Identifier: MIT
// Runs another program for its output.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "fffa/result.h"

namespace fffa::ebpf {

// What `command` (an absolute path and arguments) prints. It gets a clean environment, the locale C, no input and none
// of this process's descriptors. An error: it failed, printed more than `limit` bytes, or took longer than `patience`;
// it is killed then.
Result<std::string> output_of(const std::vector<std::string>& command, std::chrono::milliseconds patience,
                              std::size_t limit);

}  // namespace fffa::ebpf
