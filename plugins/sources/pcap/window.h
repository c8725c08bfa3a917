// SPDX-License-Identifier: MIT
// A window of bounded size that moves over an input.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "input.h"

namespace fffa::pcap {

class Window {
 public:
  static constexpr std::size_t kSize = std::size_t{512} << 10;

  // `memory`: kSize bytes, for who reads many small inputs; null: its own.
  explicit Window(Input& input, std::uint8_t* memory = nullptr)
      : input_(input),
        own_(memory == nullptr ? std::make_unique_for_overwrite<std::uint8_t[]>(kSize) : nullptr),
        bytes_(memory == nullptr ? own_.get() : memory) {}

  // Whether the next `size` (at most kSize) bytes are there; reads on if they are not. Bytes that were there before
  // move: pointers into the window hold until the next call.
  bool has(std::size_t size) { return end_ - at_ >= size || fill(size); }
  std::uint8_t* at() noexcept { return bytes_ + at_; }
  std::size_t size() const noexcept { return end_ - at_; }  // bytes there now
  void skip(std::size_t size) noexcept {                    // of those that are there
    at_ += size;
  }
  // Passes over any number of bytes, there or not; false if the input ends before.
  bool pass(std::uint64_t size);
  std::uint64_t offset() const noexcept { return begin_ + at_; }  // of at(), in the input
  const std::optional<Error>& error() const noexcept { return error_; }
  std::string complaint() const { return input_.complaint(); }

 private:
  bool fill(std::size_t size);

  Input& input_;
  std::unique_ptr<std::uint8_t[]> own_;
  std::uint8_t* bytes_;
  std::size_t at_ = 0;
  std::size_t end_ = 0;
  std::uint64_t begin_ = 0;  // offset of bytes_[0] in the input
  bool ended_ = false;
  std::optional<Error> error_;
};

}  // namespace fffa::pcap
