// SPDX-License-Identifier: MIT
// YAML text as a tree of ConfigNode. Bounded: whatever the text is, parsing ends soon and with little memory.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fffa/config_node.h"

namespace fffa::core {

struct YamlLimits {
  std::size_t nodes = 100'000;               // keys and values, aliases expanded
  std::size_t depth = 64;                    // of lists and maps in each other
  std::size_t text = std::size_t{16} << 20;  // bytes of all scalars together, aliases expanded
};

// Where the text stands: the place of its first character.
struct YamlOrigin {
  std::shared_ptr<const std::string> file;
  std::uint32_t line = 1;
  std::uint32_t column = 1;
};

// One document; its values are not substituted yet. Columns count bytes. Empty if the text is no YAML or exceeds a
// limit; what else is wrong (duplicate keys, tags, merge keys) is reported, left out, and the rest of the tree is
// returned, so that all errors can be shown in one go.
std::optional<ConfigNode> parse_yaml(std::string_view text, const YamlOrigin& origin, Diagnostics& diagnostics,
                                     const YamlLimits& limits = {});

// `value` as a message may show it: in backquotes and shortened, or words in its place if it was substituted and
// may be a secret.
std::string shown(const ConfigNode& value);
// The same of a text that is no secret.
std::string shown_text(std::string_view text);
// Where the character `offset` of a scalar stands; where that is not known (it was substituted, or spans lines), where
// the scalar begins.
Location place_in(const ConfigNode& scalar, std::size_t offset);
// "PATH.KEY", or KEY at the root.
std::string join_path(std::string_view path, std::string_view key);

}  // namespace fffa::core
