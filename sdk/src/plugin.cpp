// SPDX-License-Identifier: MIT
#include "fffa/plugin.h"

#include <charconv>

namespace fffa {

namespace {

// The next step of "tls.hosts[0].name", taken off its front: a key, or an index.
const ConfigNode* step(const ConfigNode& node, std::string_view& option) {
  if (option.front() == '[') {
    const std::size_t close = option.find(']');
    std::size_t index = 0;
    if (close == std::string_view::npos) return nullptr;
    std::from_chars(option.data() + 1, option.data() + close, index);
    option.remove_prefix(close + 1);
    return index < node.items.size() ? &node.items[index] : nullptr;
  }
  if (option.front() == '.') option.remove_prefix(1);
  if (const ConfigNode* whole = node.find(option)) {  // a key may have dots in it
    option = {};
    return whole;
  }
  const std::size_t length = option.find_first_of(".[");
  const std::string_view key = option.substr(0, length);
  option.remove_prefix(key.size());
  return node.find(key);
}

}  // namespace

// The place is that of the deepest part of the option that is written in the YAML.
void Checker::error(std::string_view option, std::string message, std::string hint) {
  const ConfigNode* at = &node_;
  for (std::string_view rest = option; !rest.empty();) {
    const ConfigNode* next = step(*at, rest);
    if (!next) break;
    at = next;
  }
  std::string path = path_;
  if (!option.empty()) path += (path.empty() || option.front() == '[' ? "" : ".") + std::string(option);
  diagnostics_.add({at->at, std::move(path), std::move(message), std::move(hint)});
}

}  // namespace fffa
