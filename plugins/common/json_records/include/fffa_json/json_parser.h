// SPDX-License-Identifier: MIT
// The way back of the JSON format.
#pragma once

#include <memory>

#include "fffa/format.h"

namespace fffa {

// Of objects as the JSON format writes them: one object, nothing after it. Texts of times and addresses are as printed
// (print.h); times are exact to the microsecond.
std::unique_ptr<RecordParser> make_json_parser(TextTable& texts);

}  // namespace fffa
