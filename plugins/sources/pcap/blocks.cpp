// SPDX-License-Identifier: MIT
// pcapng: sections of blocks. https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/
#include <algorithm>
#include <cstring>

#include "reader.h"

namespace fffa::pcap {
namespace {

enum BlockType : std::uint32_t {
  kSection = 0x0a0d0d0a,
  kInterface = 1,
  kObsoletePacket = 2,
  kSimplePacket = 3,
  kEnhancedPacket = 6,
};
enum OptionCode : std::uint16_t {
  kEnd = 0,
  kIfName = 2,
  kIfResolution = 9,
  kIfOffset = 14,
  kPacketFlags = 2,
};
constexpr std::uint32_t kByteOrder = 0x1a2b3c4d;
constexpr std::size_t kHeader = 8;   // type and length
constexpr std::size_t kTrailer = 4;  // the length once more
constexpr std::size_t kKept =
    Window::kSize / 2;  // of a block, the bytes that are looked at; the others are passed over
constexpr std::size_t kMaxName = 255;
constexpr std::uint8_t kMicroseconds = 6;  // if_tsresol where it is not told

__extension__ using Wide = unsigned __int128;
__extension__ using SignedWide = __int128;

// Units of a time stamp to nanoseconds. `resolution`: 10 to the minus this, or with the highest bit set 2 to the minus
// the rest.
Wide to_nanoseconds(std::uint64_t units, std::uint8_t resolution) {
  constexpr std::uint64_t second = 1'000'000'000;
  const unsigned exponent = resolution & 0x7f;
  if ((resolution & 0x80) != 0) return exponent < 128 ? Wide{units} * second >> exponent : 0;
  if (exponent > 28) return 0;  // less than a nanosecond in all
  Wide ns = units;
  for (unsigned i = exponent; i < 9; ++i) ns *= 10;
  for (unsigned i = exponent; i > 9; --i) ns /= 10;
  return ns;
}

}  // namespace

// Calls visit(code, value, length) for each option in [at, end), until one does not fit.
template <typename Visit>
void Reader::options(const std::uint8_t* at, const std::uint8_t* end, Visit visit) const {
  while (end - at >= 4) {
    const std::uint16_t code = u16(at), length = u16(at + 2);
    at += 4;
    if (code == kEnd || length > end - at) return;
    visit(code, at, length);
    const std::size_t padded = (std::size_t{length} + 3) & ~std::size_t{3};
    at += std::min<std::size_t>(padded, static_cast<std::size_t>(end - at));
  }
}

TimeNs Reader::time_of(const Local& local, std::uint64_t units) const {
  Wide ns = 0;
  if (local.resolution == kMicroseconds)
    ns = Wide{units} * 1000;
  else if (local.resolution == 9)
    ns = units;
  else
    ns = to_nanoseconds(units, local.resolution);
  const auto time = static_cast<SignedWide>(ns) + SignedWide{local.offset} * 1'000'000'000;
  return static_cast<TimeNs>(std::clamp<SignedWide>(time, kEarliest, kLatest));
}

Way Reader::way_of(const std::uint8_t* begin, const std::uint8_t* end, std::uint16_t flags_code) const {
  Way way = Way::unknown;
  options(begin, end, [&](std::uint16_t code, const std::uint8_t* value, std::uint16_t length) {
    if (code != flags_code || length != 4) return;
    const std::uint32_t bits = u32(value) & 3;
    way = bits == 1 ? Way::in : bits == 2 ? Way::out : Way::unknown;
  });
  return way;
}

// Passes what is left of a block and looks whether its length stands at its end, too.
Reader::Step Reader::end_block(const Block& block) {
  const std::uint64_t end = block.offset + block.length - kTrailer;
  if (!window_.pass(end - window_.offset()) || !window_.has(kTrailer)) return short_end(block.offset, block.length);
  const std::uint32_t again = u32(window_.at());
  if (again != block.length) {
    return damaged(block.offset,
                   "a block of " + std::to_string(block.length) + " bytes whose end says " + std::to_string(again));
  }
  window_.skip(kTrailer);
  return Step::skipped;
}

Reader::Step Reader::begin_section(const Block& found) {
  Block block = found;
  if (!window_.has(12)) return short_end(block.offset, 28);
  std::uint32_t order = 0;
  std::memcpy(&order, window_.at() + 8, sizeof order);
  if (order != kByteOrder && __builtin_bswap32(order) != kByteOrder)
    return damaged(block.offset, "a section without a byte-order magic");
  swapped_ = order != kByteOrder;
  block.length = u32(window_.at() + 4);
  if (block.length < 28 || block.length % 4 != 0)
    return damaged(block.offset, "a section header of " + std::to_string(block.length) + " bytes");
  if (!window_.has(16)) return short_end(block.offset, block.length);
  if (const auto major = u16(window_.at() + 12); major != 1)
    return damaged(block.offset, "version " + std::to_string(major) + " of pcapng is not known");
  section_.clear();
  named_.clear();
  return end_block(block);
}

Reader::Step Reader::add_interface(const Block& block, std::size_t kept) {
  if (block.length < 20) return damaged(block.offset, "an interface description that is too short");
  const std::uint8_t* at = window_.at();
  if (section_.size() >= kMaxInterfaces) return damaged(block.offset, "too many interfaces");
  Local local{0, u32(at + 12), kMicroseconds, 0};
  std::string name;
  options(at + 16, at + kept, [&](std::uint16_t code, const std::uint8_t* value, std::uint16_t length) {
    if (code == kIfResolution && length == 1) local.resolution = *value;
    if (code == kIfOffset && length == 8) {
      const std::uint64_t low = u32(value + (swapped_ ? 4 : 0)), high = u32(value + (swapped_ ? 0 : 4));
      local.offset = static_cast<std::int64_t>(high << 32 | low);
    }
    if (code == kIfName) {
      name.assign(reinterpret_cast<const char*>(value), std::min<std::size_t>(length, kMaxName));
      name.erase(std::min(name.find('\0'), name.size()));
    }
  });
  const std::uint16_t link_type = u16(at + 8);
  const auto number = static_cast<std::uint16_t>(section_.size());
  local.interface = intern(link_type, name, name.empty() ? number : named_[{name, link_type}]++);
  if (local.interface >= kMaxInterfaces) return damaged(block.offset, "too many interfaces");
  section_.push_back(local);
  return end_block(block);
}

// The packet's bytes begin `fixed` bytes into the block. Of a block that does not fit into the window the first part is
// given; the rest is passed over before the next packet.
Reader::Step Reader::take_packet(const Block& block, std::size_t fixed, std::uint32_t captured,
                                 std::uint16_t flags_code, Packet& packet) {
  if (captured > block.length - fixed - kTrailer) {
    return damaged(block.offset,
                   "a packet of " + std::to_string(captured) + " bytes in a block of " + std::to_string(block.length));
  }
  const bool whole = block.length <= kKept;
  const std::size_t kept = whole ? block.length : kKept;
  if (!window_.has(kept)) return short_end(block.offset, block.length);
  std::uint8_t* at = window_.at();
  packet.data = at + fixed;
  packet.captured = static_cast<std::uint32_t>(std::min<std::size_t>(captured, kept - fixed));
  packet.length = std::max(packet.length, captured);
  last_time_ = packet.time;
  const std::size_t options_at = fixed + ((std::size_t{captured} + 3) & ~std::size_t{3});
  if (flags_code != 0 && whole && options_at + 4 + kTrailer <= block.length)
    packet.way = way_of(at + options_at, at + block.length - kTrailer, flags_code);
  if (!whole) {
    last_ = block;
    owes_ = true;
    return Step::packet;
  }
  const std::uint32_t again = u32(at + block.length - kTrailer);
  if (again != block.length) {
    return damaged(block.offset,
                   "a block of " + std::to_string(block.length) + " bytes whose end says " + std::to_string(again));
  }
  window_.skip(block.length);
  return Step::packet;
}

// Enhanced packets, and the obsolete ones, which differ only in how long the interface's number is.
Reader::Step Reader::timed_packet(const Block& block, Packet& packet) {
  constexpr std::size_t fixed = 28;
  if (block.length < fixed + kTrailer) return damaged(block.offset, "a packet block that is too short");
  if (!window_.has(fixed)) return short_end(block.offset, block.length);
  const std::uint8_t* at = window_.at();
  const std::uint32_t number = block.type == kEnhancedPacket ? u32(at + 8) : u16(at + 8);
  if (number >= section_.size()) {
    return damaged(block.offset, "a packet of interface " + std::to_string(number) + ", where " +
                                     std::to_string(section_.size()) + " are described");
  }
  const Local& local = section_[number];
  packet.interface = local.interface;
  packet.time = time_of(local, std::uint64_t{u32(at + 12)} << 32 | u32(at + 16));
  packet.length = u32(at + 24);
  packet.way = Way::unknown;
  return take_packet(block, fixed, u32(at + 20), kPacketFlags, packet);
}

// No time, no interface: it is the first one, and the time of the packet before.
Reader::Step Reader::simple_packet(const Block& block, Packet& packet) {
  constexpr std::size_t fixed = 12;
  if (block.length < fixed + kTrailer) return damaged(block.offset, "a packet block that is too short");
  if (!window_.has(fixed)) return short_end(block.offset, block.length);
  if (section_.empty()) return damaged(block.offset, "a packet before any interface");
  const std::uint32_t snap = section_[0].snap_length;
  packet.length = u32(window_.at() + 8);
  auto captured = static_cast<std::uint32_t>(std::min<std::size_t>(packet.length, block.length - fixed - kTrailer));
  if (snap != 0) captured = std::min(captured, snap);
  packet.interface = section_[0].interface;
  packet.time = last_time_;
  packet.way = Way::unknown;
  return take_packet(block, fixed, captured, 0, packet);
}

Reader::Step Reader::next_block(Packet& packet) {
  if (owes_) {
    owes_ = false;
    if (const Step step = end_block(last_); step != Step::skipped) return step;
  }
  Block block{0, 0, window_.offset()};
  if (!window_.has(kHeader)) return short_end(block.offset, kHeader);
  block.type = u32(window_.at());
  if (block.type == kSection) return begin_section(block);
  block.length = u32(window_.at() + 4);
  if (block.length < kHeader + kTrailer || block.length % 4 != 0)
    return damaged(block.offset, "a block of " + std::to_string(block.length) + " bytes");
  switch (block.type) {
    case kEnhancedPacket:
    case kObsoletePacket: return timed_packet(block, packet);
    case kSimplePacket: return simple_packet(block, packet);
    case kInterface: {
      const std::size_t kept = std::min<std::size_t>(block.length, kKept);
      if (!window_.has(kept)) return short_end(block.offset, block.length);
      return add_interface(block, kept == block.length ? kept - kTrailer : kept);
    }
    default: return end_block(block);
  }
}

}  // namespace fffa::pcap
