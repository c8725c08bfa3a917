// SPDX-License-Identifier: MIT
// A segment: one file of frames, as it is read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "fffa/detail/descriptor.h"
#include "fffa/result.h"
#include "spool/frame.h"

namespace fffa::core {

// The frame at or after `from` whose header is sound, and where it stands. What lies between is damaged. nullopt: there
// is none before `end`. A frame that does not end by `end` is none.
struct FoundFrame {
  std::uint64_t at = 0;
  FrameHeader header;
};
std::optional<FoundFrame> find_frame(int fd, std::uint64_t from, std::uint64_t end);
// The payload, into `out`. False: it is not what was written.
bool read_payload(int fd, const FoundFrame& frame, std::string& out);
// Reads all of `size` octets; false at the end of the file or on an error.
bool read_exactly(int fd, char* out, std::size_t size, std::uint64_t at);

// What a look at the headers of a file tells.
struct Survey {
  std::uint64_t end = 0;  // of the last frame
  std::uint32_t frames = 0;
  std::uint32_t delivered = 0;
  Part content;              // of the frames that are not delivered
  bool damaged = false;      // something is wrong before `end`
  std::uint64_t behind = 0;  // octets after `end`
  bool unfinished = false;   // these are the beginning of a write, not something damaged
};
Survey survey(int fd, std::uint64_t size);

// One file of the store, whose lock guards it.
struct Segment {
  std::uint64_t number = 0;
  Descriptor file;         // of a sealed segment only once it is read
  std::uint64_t size = 0;  // up to here it is written for good
  std::uint32_t frames = 0;
  std::uint32_t done = 0;  // of them
  Part content;            // of those that are not done
  bool sealed = false;     // nothing is added any more
  bool restored = false;   // from an earlier run
  bool damaged = false;    // to be kept aside, not deleted
  // --- the reader
  bool reading = false;  // it has begun
  std::uint64_t read_to = 0;
  std::uint32_t read = 0;  // frames
  Part ahead;              // content that was not read yet

  // Where frames are damaged, less was read than there is.
  bool unread() const noexcept { return read_to < size || (damaged && read < frames); }
};

}  // namespace fffa::core
