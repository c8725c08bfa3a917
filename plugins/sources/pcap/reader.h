// SPDX-License-Identifier: MIT
// Reads packets from pcap and pcapng. Trusts nothing that the input says: whatever its bytes are, it gives packets, an
// end or an error, in bounded memory.
//
// Why not libpcap: it refuses a pcapng whose interfaces have different link types, does not tell if_name, epb_flags and
// where the damage is, and reads files only.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "fffa/record.h"
#include "input.h"
#include "window.h"

namespace fffa::pcap {

// What the capture itself says of a packet's direction.
enum class Way : std::uint8_t { unknown, in, out };

// LINKTYPE_ numbers, as in the files.
enum LinkType : std::uint16_t {
  kLinkNull = 0,
  kLinkEthernet = 1,
  kLinkRawBsd = 12,
  kLinkRawOpenBsd = 14,
  kLinkRaw = 101,
  kLinkLoop = 108,
  kLinkSll = 113,
  kLinkIpv4 = 228,
  kLinkIpv6 = 229,
  kLinkSll2 = 276,
};

// An interface of the capture. Those of several sections are one if they have the same name (of several with the same
// name, the same turn; without names, the same number) and link type.
struct CaptureInterface {
  std::uint16_t link_type = 0;
  std::string name;  // empty: not told
};

struct Packet {
  std::uint8_t* data = nullptr;  // in the reader's memory, until the next call
  std::uint32_t captured = 0;    // bytes of it that are there
  std::uint32_t length = 0;      // on the wire, at least `captured`
  TimeNs time = 0;               // Unix; within [kEarliest, kLatest]
  std::uint32_t interface = 0;   // place in Reader::interfaces()
  Way way = Way::unknown;
};

inline constexpr std::size_t kMaxInterfaces = 4096;  // of a section, and in all; a file with more is an error
inline constexpr TimeNs kEarliest = 1;               // 0 means "not set" in records
inline constexpr TimeNs kLatest = TimeNs{1} << 62;

class Reader {
 public:
  enum class Next : std::uint8_t { packet, end, error };

  // `name` is what errors call the input. `memory`: see Window.
  Reader(Input& input, std::string name, std::uint8_t* memory = nullptr)
      : name_(std::move(name)), window_(input, memory) {}

  // Reads the file's first bytes, which say what it is.
  Result<void> open();
  // The next packet. After `end` and `error` it says the same for ever. Opens if nobody has.
  Next next(Packet& packet);

  const std::vector<CaptureInterface>& interfaces() const noexcept { return interfaces_; }
  // Name, byte offset and what is wrong there.
  const std::string& error() const noexcept { return error_; }
  // The input ended within a record: where, and what was dropped. Empty if it did not.
  const std::string& cut() const noexcept { return cut_; }
  std::uint64_t offset() const noexcept { return window_.offset(); }

 private:
  enum class Format : std::uint8_t { unknown, classic, blocks };
  enum class Step : std::uint8_t { packet, skipped, end, error };
  struct Local {  // an interface of the section
    std::uint32_t interface;
    std::uint32_t snap_length;
    std::uint8_t resolution;  // if_tsresol
    std::int64_t offset;      // if_tsoffset, seconds
  };
  struct Block {
    std::uint32_t type;
    std::uint32_t length;  // in all
    std::uint64_t offset;
  };

  // classic.cpp
  Result<void> open_classic(std::uint32_t magic);
  Step next_classic(Packet& packet);

  // blocks.cpp
  Step next_block(Packet& packet);
  Step begin_section(const Block& block);
  Step add_interface(const Block& block, std::size_t kept);
  Step timed_packet(const Block& block, Packet& packet);
  Step simple_packet(const Block& block, Packet& packet);
  Step take_packet(const Block& block, std::size_t fixed, std::uint32_t captured, std::uint16_t flags_code,
                   Packet& packet);
  Step end_block(const Block& block);
  template <typename Visit>
  void options(const std::uint8_t* at, const std::uint8_t* end, Visit visit) const;
  Way way_of(const std::uint8_t* options, const std::uint8_t* end, std::uint16_t flags_code) const;
  TimeNs time_of(const Local& local, std::uint64_t units) const;

  std::uint32_t intern(std::uint16_t link_type, const std::string& name, std::uint16_t number);
  Step short_end(std::uint64_t offset, std::uint64_t wanted);
  Step damaged(std::uint64_t offset, const std::string& what);
  std::uint16_t u16(const std::uint8_t* at) const noexcept;
  std::uint32_t u32(const std::uint8_t* at) const noexcept;

  std::string name_;
  Window window_;
  Format format_ = Format::unknown;
  bool swapped_ = false;  // the section (the file, if classic) has the other byte order
  std::vector<CaptureInterface> interfaces_;
  std::map<std::pair<std::string, std::uint32_t>, std::uint32_t> known_;  // (name, number and link type) -> place

  // classic
  std::uint32_t fraction_ns_ = 1000;  // of one unit of the second half of a time stamp

  // pcapng
  std::vector<Local> section_;
  std::map<std::pair<std::string, std::uint16_t>, std::uint16_t> named_;  // in this section, by name and link type
  bool owes_ = false;             // the last packet's block has not been passed over yet
  Block last_{};                  // that block
  TimeNs last_time_ = kEarliest;  // for packets without a time

  bool ended_ = false;
  std::string error_;
  std::string cut_;
};

}  // namespace fffa::pcap
