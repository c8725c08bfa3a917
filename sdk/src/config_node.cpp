// SPDX-License-Identifier: MIT
#include "fffa/config_node.h"

#include <algorithm>
#include <cctype>
#include <numeric>

namespace fffa {

std::string to_string(const Location& location) {
  if (!location.file) return {};
  if (location.line == 0) return *location.file;
  return *location.file + ":" + std::to_string(location.line) + ":" + std::to_string(location.column);
}

std::string to_string(const Diagnostic& diagnostic) {
  std::string text = to_string(diagnostic.at);
  for (const auto* part : {&diagnostic.path, &diagnostic.message}) {
    if (!text.empty() && !part->empty()) text += ": ";
    text += *part;
  }
  if (!diagnostic.hint.empty()) text += " (" + diagnostic.hint + ")";
  // One line, and nothing that a terminal obeys: keys and values come from whoever wrote the file.
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  std::replace_if(text.begin(), text.end(), control, '?');
  return text;
}

const ConfigNode* ConfigNode::find(std::string_view key) const noexcept {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.key == key; });
  return found == entries.end() ? nullptr : &found->value;
}

ConfigNode* ConfigNode::find(std::string_view key) noexcept {
  return const_cast<ConfigNode*>(static_cast<const ConfigNode*>(this)->find(key));
}

namespace {

// Edit distance with swaps of neighbours as one step; letters count as equal whatever their case, `-` and `_` too.
std::size_t distance(std::string_view a, std::string_view b) {
  const auto fold = [](char c) {
    return c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  };
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = fold(a[i - 1]) == fold(b[j - 1]);
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]))
        now[j] = std::min(now[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(now);
  }
  return last[b.size()];
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  constexpr std::size_t kLongest = 64;  // what is longer is no slip of the finger
  if (word.empty() || word.size() > kLongest) return {};
  std::string best;
  std::size_t least = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    if (candidate.size() > kLongest) continue;
    const std::size_t steps = distance(word, candidate);
    if (steps < least) least = steps, best = candidate;
  }
  return best;
}

}  // namespace fffa
