// SPDX-License-Identifier: MIT
// Substitution in the values (not the keys) of a configuration:
//   ${NAME}            the environment variable; its name is of capitals, digits and `_`
//   ${NAME:-default}   the default if the variable is unset or empty
//   ${file:/path}      the file's contents, without the newline that ends it
//   $$                 a dollar
// Anything else with a dollar stays as it is, so that `${srcaddr}` of an AWS format or `${host}` of a template can
// be written as they are. The result is one scalar, never a list, map or null; it is not substituted again. It is a
// number or a duration as if it stood there itself.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "fffa/config_node.h"
#include "fffa/result.h"

namespace fffa::core {

// Where values come from; tests give their own.
struct Environment {
  std::function<std::optional<std::string>(const std::string& name)> variable;
  std::function<Result<std::string>(const std::string& path)> file;
};
// The process's environment, and files of at most 64 KiB of text.
Environment process_environment();

// Substitutes in place; errors name the variable or file, never a value. A scalar with an error stays as it was
// written. False if there were any.
bool substitute(ConfigNode& root, const Environment& environment, Diagnostics& diagnostics);

}  // namespace fffa::core
