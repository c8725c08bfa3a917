// SPDX-License-Identifier: MIT
// Store: batches in files, in order, until they are delivered.
//
// A directory holds segments, NUMBER.seg: frames one behind the other, the newest file being written. A frame that is
// delivered gets a mark; a segment whose frames are all delivered is deleted, or renamed to NUMBER.damaged if something
// in it could not be read; of those the newest stay that take a quarter of max_size together, or the newest one. What a
// segment holds is known without an index in memory (docs/decisions/008).
//
// Threads: append(), commit(), make_room() and drop_oldest() are the writer's; next() and done() the reader's; the rest
// is anyone's.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fffa/detail/descriptor.h"
#include "fffa/result.h"
#include "spool/frame.h"
#include "spool/segment.h"

namespace fffa::core {

class Store {
 public:
  struct Options {
    std::filesystem::path directory;  // it exists
    std::uint64_t max_size = 0;       // of all segments together
  };
  // What an earlier run left.
  struct Opening {
    std::uint64_t frames = 0;  // that are not delivered
    Part content;
    std::vector<std::string> damaged;  // segments in which something cannot be read, as text for the log
    std::uint64_t cut_off = 0;         // octets of a write that was not finished: nobody was told that it was accepted
  };
  // Locks the directory. An error says what cannot be used, and why.
  static Result<std::unique_ptr<Store>> open(const Options& options);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  const Opening& opening() const noexcept { return opening_; }

  // --- the writer
  // Makes sure that a payload of `size` may be appended. False: not before something is delivered or dropped.
  bool make_room(std::size_t size);
  // Writes a batch behind those before. What goes wrong is told by the commit() that follows.
  void append(std::string_view payload, const Part& content);
  // Everything that was appended is on disk for good, and readable. On an error nothing of it is there: append anew.
  Result<void> commit();
  // Deletes the oldest segment that the reader has not begun: what it held. nullopt: there is none.
  std::optional<Part> drop_oldest();
  void set_max_size(std::uint64_t max_size);

  // --- the reader
  struct Place {
    std::uint64_t segment = 0;
    std::uint64_t at = 0;
    std::uint32_t header_crc = 0;
  };
  struct Frame {
    Place place;
    Part content;
    std::string payload;
    bool restored = false;  // an earlier run left it
    bool damaged = false;   // `content` cannot be read, and is given up: there is no payload, and no done() to follow
  };
  // nullopt: nothing more for now. An error: it could not be read now; what is damaged is no error.
  Result<std::optional<Frame>> next();
  void done(const Place& place, const Part& content);

  // --- any thread
  struct Level {
    std::uint64_t frames = 0;
    Part content;
    std::uint64_t file_size = 0;
  };
  Level level() const;  // what is not delivered, and what the files take
  bool unread() const;  // next() has something
  std::uint64_t damaged_segments() const;
  std::vector<std::string> take_deleted();  // damaged files that were deleted for want of room, since the last call

 private:
  using SegmentPtr = std::shared_ptr<Segment>;
  std::filesystem::path directory_;
  Descriptor folder_;
  Descriptor lock_;
  Opening opening_;

  mutable std::mutex mutex_;  // all up to the writer's
  std::deque<SegmentPtr> segments_;
  struct Over {  // a segment of which nothing is wanted any more, and its file is still there
    std::uint64_t number = 0;
    std::uint64_t size = 0;
    bool damaged = false;
  };
  std::vector<Over> undeleted_;
  std::set<std::uint64_t> aside_;  // NUMBER.damaged
  std::vector<std::string> deleted_;
  std::uint64_t max_size_;
  std::uint64_t file_size_ = 0;
  std::uint64_t damaged_ = 0;

  // --- the writer's
  SegmentPtr active_;
  std::uint64_t next_number_ = 1;
  std::uint64_t write_at_ = 0;
  std::uint32_t appended_ = 0;  // since the last commit
  Part appended_content_;
  bool folder_changed_ = false;  // a new file's name is not on disk yet
  std::optional<Error> failure_;

  explicit Store(const Options& options) : directory_(options.directory), max_size_(options.max_size) {}
  Result<void> take_lock();
  Result<void> find_segments();
  void adopt(std::uint64_t number, Descriptor file, std::uint64_t size, bool newest);
  std::filesystem::path path_of(std::uint64_t number, std::string_view suffix = ".seg") const;
  std::uint64_t segment_size() const noexcept;
  Result<void> start_segment();
  Result<void> write(std::string_view bytes);
  Error undo(Error error, bool keep_file);
  // --- under the lock
  void seal_active();
  void remove_if_over(const SegmentPtr& segment);
  bool remove(std::uint64_t number, bool damaged);
  void limit_damaged();
  SegmentPtr find(std::uint64_t number) const;
  Result<void> open_to_read(Segment& segment) const;
  void note_damage(Segment& segment);
  // What of `segment`, all of which up to `end` was looked at, could not be read.
  std::optional<Frame> rest_of(const SegmentPtr& segment, std::uint64_t end);
};

}  // namespace fffa::core
