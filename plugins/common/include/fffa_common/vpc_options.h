// SPDX-License-Identifier: MIT
// Options that sinks writing VPC Flow Log text share.
#pragma once

#include <string>

#include "fffa/config.h"
#include "fffa/format.h"
#include "fffa/plugin.h"

namespace fffa {

FFFA_ENUM(EniAddress, (packet, "packet", "addresses as the packet carried them"),
          (primary, "primary", "the interface's primary address on its own side, as AWS does"))

namespace common {

// Reports what is wrong with an AWS format string under the option `log_format`.
inline void check_log_format(const std::string& log_format, Checker& checker) {
  const TextTable none(1, 1);
  VpcFormatOptions options;
  options.log_format = log_format;
  const auto made = make_vpc_format(none, std::move(options));
  if (!made) checker.error("log_format", made.error().message);
}

}  // namespace common
}  // namespace fffa
