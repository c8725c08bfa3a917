// SPDX-License-Identifier: MIT
// Durations and sizes as text, both ways.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "fffa/config_types.h"

namespace fffa::detail {

// "250ms", "1.5h", "1h30m", "0". Units: ns us ms s m h d. False if it is none, or negative, or beyond 292 years;
// then `hint` may help.
bool parse_duration(std::string_view text, std::chrono::nanoseconds& value, std::string& hint);
// "75MB", "16MiB", "1.5GB", "512B", "0". False if it is none, or beyond 2^64; then `hint` may help.
bool parse_size(std::string_view text, ByteSize& value, std::string& hint);
// Fit for a message: control characters replaced, cut where it is long.
std::string shown(std::string_view text);

}  // namespace fffa::detail
