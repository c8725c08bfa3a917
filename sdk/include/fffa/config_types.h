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

// Text that is never printed.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  const std::string& reveal() const noexcept { return value_; }
  bool empty() const noexcept { return value_.empty(); }

 private:
  std::string value_;
};

}  // namespace fffa
