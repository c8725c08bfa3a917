// SPDX-License-Identifier: MIT
// Runs a check in a process of its own.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace fffa::testing {

// The text that `check` gives in a child process (empty: all is well); a crash, a hang beyond `limit` and an exit of
// its own are problems too. The child's standard output goes nowhere.
std::string isolated(const std::function<std::string()>& check, std::chrono::milliseconds limit);

// Of this process, now.
struct Footprint {
  std::size_t threads = 0;
  std::size_t descriptors = 0;
};
Footprint footprint();
// What is left beyond `before`, once ending threads had time to end; empty: nothing.
std::string left_behind(const Footprint& before);

}  // namespace fffa::testing
