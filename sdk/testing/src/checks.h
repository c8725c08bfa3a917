// SPDX-License-Identifier: MIT
// The checks of one stage type; each gives its problem, or an empty text. They run in a process of their own.
#pragma once

#include <string>
#include <vector>

#include "fffa/plugin.h"
#include "fffa/testing/conformance.h"

namespace fffa::testing {

struct Subject {
  const StageType& type;
  std::string config;
};
struct Check {
  const char* name;
  std::string (*run)(const Subject& subject);
};

bool is_reserved(const std::string& option);        // an option that the host keeps for itself
std::vector<Check> config_checks();                 // checks_config.cpp
std::vector<Check> running_checks(StageKind kind);  // checks_run.cpp

}  // namespace fffa::testing
