// SPDX-License-Identifier: MIT
#include "fffa_kafka/topic_name.h"

#include <algorithm>

namespace fffa::kafka {

std::string wrong_topic_character(std::string_view text) {
  const auto bad = std::ranges::find_if_not(text, legal_in_topic);
  if (bad == text.end()) return {};
  return "a topic's name has letters, digits, `.`, `_` and `-`, and no `" + std::string(1, *bad) + "`";
}

std::string wrong_topic(std::string_view name) {
  if (name.empty()) return "a topic has a name";
  if (name == "." || name == "..") return "`" + std::string(name) + "` is no name for a topic";
  if (name.size() > kMostTopicChars) return "a topic's name has at most 249 characters";
  return wrong_topic_character(name);
}

}  // namespace fffa::kafka
