// SPDX-License-Identifier: MIT
// What both formats have in common.
#include "reader.h"

#include <cstring>

namespace fffa::pcap {
namespace {

constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a;  // the same in either byte order

}  // namespace

std::uint16_t Reader::u16(const std::uint8_t* at) const noexcept {
  std::uint16_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return swapped_ ? __builtin_bswap16(value) : value;
}

std::uint32_t Reader::u32(const std::uint8_t* at) const noexcept {
  std::uint32_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return swapped_ ? __builtin_bswap32(value) : value;
}

Reader::Step Reader::damaged(std::uint64_t offset, const std::string& what) {
  ended_ = true;
  error_ = name_ + ": at byte " + std::to_string(offset) + ": " + what;
  return Step::error;
}

Reader::Step Reader::short_end(std::uint64_t offset, std::uint64_t wanted) {
  ended_ = true;
  if (window_.error()) {
    error_ = name_ + ": " + window_.error()->message;
    return Step::error;
  }
  if (window_.size() == 0 && window_.offset() == offset) return Step::end;
  cut_ = name_ + ": cut off at byte " + std::to_string(window_.offset() + window_.size()) + ": of the record at byte " +
         std::to_string(offset) + " only " + std::to_string(window_.offset() + window_.size() - offset) + " of " +
         std::to_string(wanted) + " bytes are there";
  return Step::end;
}

std::uint32_t Reader::intern(std::uint16_t link_type, const std::string& name, std::uint16_t number) {
  const std::pair key{name, std::uint32_t{number} << 16 | link_type};
  if (const auto found = known_.find(key); found != known_.end()) return found->second;
  const auto place = static_cast<std::uint32_t>(interfaces_.size());
  if (place >= kMaxInterfaces) return place;
  known_.emplace(key, place);
  interfaces_.push_back({link_type, name});
  return place;
}

Result<void> Reader::open() {
  if (format_ != Format::unknown || ended_) return {};
  if (!window_.has(4)) {
    ended_ = true;
    error_ = name_ + ": ";
    if (window_.error())
      error_ += window_.error()->message;
    else if (const auto complaint = window_.complaint(); !complaint.empty())
      error_ += "no capture: " + complaint;
    else if (window_.size() == 0)
      error_ += "is empty";
    else
      error_ += "neither pcap nor pcapng: it has only " + std::to_string(window_.size()) + " bytes";
    return fail(error_);
  }
  std::uint32_t magic = 0;
  std::memcpy(&magic, window_.at(), sizeof magic);
  if (magic != kSectionHeader) return open_classic(magic);
  format_ = Format::blocks;
  return {};
}

Reader::Next Reader::next(Packet& packet) {
  if (format_ == Format::unknown && !ended_) static_cast<void>(open());
  while (!ended_) {
    const Step step = format_ == Format::classic ? next_classic(packet) : next_block(packet);
    if (step == Step::packet) return Next::packet;
    ended_ = ended_ || step != Step::skipped;
  }
  return error_.empty() ? Next::end : Next::error;
}

}  // namespace fffa::pcap
