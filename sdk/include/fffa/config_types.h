// SPDX-License-Identifier: MIT
// Types of options that std does not have.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace fffa {

// A number of bytes.
struct ByteSize {
  std::uint64_t bytes = 0;
  friend bool operator==(const ByteSize&, const ByteSize&) = default;
};

// Text that is never printed, and comes from outside the configuration: ${file:/path} or ${VAR}.
class Secret {
 public:
  // Of one that stands in the configuration itself.
  static constexpr const char* kLiteral = "a secret stands here for all to read";
  static constexpr const char* kInstead = "write ${file:/path} or ${VAR}";

  Secret() = default;
  explicit Secret(std::string value, bool literal = false) : value_(std::move(value)), literal_(literal) {}
  const std::string& reveal() const noexcept { return value_; }
  bool empty() const noexcept { return value_.empty(); }
  // It stands in the configuration itself, which only `may_be_literal` allows.
  bool literal() const noexcept { return literal_; }

 private:
  std::string value_;
  bool literal_ = false;
};

}  // namespace fffa
