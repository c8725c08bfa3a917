// SPDX-License-Identifier: MIT
// What Kafka takes as a topic's name.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fffa::kafka {

inline constexpr std::size_t kMostTopicChars = 249;  // Kafka's own limit

constexpr bool legal_in_topic(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}
// Empty, or which character no topic's name may have.
std::string wrong_topic_character(std::string_view text);
// Empty, or why Kafka would not take this as a topic's name.
std::string wrong_topic(std::string_view name);

}  // namespace fffa::kafka
