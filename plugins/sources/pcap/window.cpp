// SPDX-License-Identifier: MIT
#include "window.h"

#include <algorithm>
#include <cstring>

namespace fffa::pcap {

bool Window::fill(std::size_t size) {
  if (at_ != 0) {
    std::memmove(bytes_, bytes_ + at_, end_ - at_);
    begin_ += at_;
    end_ -= at_;
    at_ = 0;
  }
  while (end_ < size && !ended_) {
    auto got = input_.read({bytes_ + end_, kSize - end_});
    if (!got) error_ = std::move(got.error());
    if (!got || *got == 0) {
      ended_ = true;
      break;
    }
    end_ += *got;
  }
  return end_ >= size;
}

bool Window::pass(std::uint64_t size) {
  while (size > end_ - at_) {
    size -= end_ - at_;
    at_ = end_;
    if (!has(1)) return false;
  }
  at_ += static_cast<std::size_t>(size);
  return true;
}

}  // namespace fffa::pcap
