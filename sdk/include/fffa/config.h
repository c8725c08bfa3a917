// SPDX-License-Identifier: MIT
// Config binding. Declare a struct, bind its fields once; parsing, validation, "did you mean", JSON Schema and
// `fffa plugins describe` follow.
//
//   struct Config {
//     std::string host;                       // a std::string, path or Secret without a default must be given
//     std::uint16_t port = 514;
//     std::chrono::nanoseconds timeout = std::chrono::seconds(5);
//     std::vector<std::string> interfaces = {"auto"};
//     std::map<std::string, std::string> labels;
//     std::optional<Tls> tls;                 // a struct bound likewise
//   };
//   FFFA_CONFIG(Config, (host, "collector"), (port, "UDP port", fffa::range(1, 65535)), (timeout, "per message"),
//   ...)
//
//   enum class Mode { interval, cumulative };
//   FFFA_ENUM(Mode, (interval, "interval", "what happened since the last record"), (cumulative, "cumulative",
//   "totals so far"))
//
// Scalars: bool, integers, double, std::string, std::filesystem::path, std::chrono::nanoseconds (`250ms`, `5s`,
// `5m`, `1h`, `7d`), ByteSize (`75MB`, `16MiB`), Secret, enums. Containers: std::optional, std::vector,
// std::map<std::string, T>. Nested structs. std::variant of bound structs, each with a `static constexpr
// std::string_view kType`, chosen by their key `type`. Attributes after the doc line: fffa::range(min, max),
// fffa::required, fffa::may_be_empty, fffa::may_be_literal.
#pragma once

#include <string>

#include "fffa/config_node.h"
#include "fffa/config_types.h"
#include "fffa/detail/config_bind.h"
#include "fffa/detail/config_macros.h"
#include "fffa/schema.h"

namespace fffa {

// Reads `node` into a T; what is wrong goes to `diagnostics` with its place, `path` being the key path of `node`.
// False if anything was wrong.
template <typename T>
bool read_config(const ConfigNode& node, const std::string& path, T& config, Diagnostics& diagnostics) {
  return detail::read_value(node, path, config, diagnostics);
}
// The schema of a bound T, defaults included.
template <typename T>
const Schema& schema_of() {
  static const Schema schema = detail::make_schema<T>();
  return schema;
}

}  // namespace fffa
