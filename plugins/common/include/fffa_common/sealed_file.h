// SPDX-License-Identifier: MIT
// SealedFile: a file of whole lines that appears under its final name only when it is complete and on disk.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "fffa/detail/descriptor.h"
#include "fffa/result.h"
#include "fffa_common/directory.h"
#include "fffa_common/gzip.h"

namespace fffa::common {

// The final name at the n-th attempt (from 0): another one where the one before is taken.
using FileName = std::function<std::string(unsigned attempt)>;

// While a file is written it is called `.NAME.part` beside its final name, and its writer holds a lock (flock) on it.
std::string part_name(std::string_view final_name);
// The final name of a part file's name, or empty.
std::string_view final_name(std::string_view part_name) noexcept;

// Renames a file within a folder; never replaces another: then errno is EEXIST. Falls back on a second link where the
// file system cannot do that at once, and completes what was interrupted there. False: errno says why.
[[nodiscard]] bool rename_to_free_name(int folder, const std::string& from, const std::string& to) noexcept;

// What happened to files besides being written; for the sink's log and metrics.
struct FileEvent {
  enum class Kind : std::uint8_t { opened, sealed, removed_by_others, moved_by_others } kind{};
  std::string path;
  std::uint64_t lines = 0;  // sealed: that it holds; removed: that are lost
};

// Making one does no I/O; add() neither. flush() and seal() do, and may be called again after an error (full disk,
// ...): they go on where they stopped, so that no line is torn or written twice. One thread.
class SealedFile {
 public:
  struct Options {
    std::vector<std::string> folder;  // below the directory: safe components
    FileName name;
    bool gzip = false;
    std::string header;  // first line, without newline; empty: none
    std::function<void(const FileEvent&)> on_event;
    // What was written is kept until sync() succeeded: where that fails the kernel may have forgotten it.
    bool durable = false;
  };
  SealedFile(const Directory& directory, Options options);
  SealedFile(SealedFile&&) noexcept = default;
  SealedFile& operator=(SealedFile&&) noexcept = default;
  // Not sealed: what was flushed stays in the part file, for the next start to reclaim.
  ~SealedFile() = default;

  // Takes `count` whole lines, each with its newline.
  void add(std::string_view lines, std::uint64_t count);
  // Writes what was added: it survives the process now. Recognises that the part file was removed or moved by others,
  // and begins a new one.
  Result<void> flush();
  // Flushes, syncs to disk, gives the file its final name. Nothing may follow. Without a line ever added it leaves no
  // file.
  Result<void> seal();
  // Syncs what was flushed to disk, and the part file's name: the next start finds it after a power loss. Costs nothing
  // where nothing was flushed since the last time.
  Result<void> sync();

  std::uint64_t size() const noexcept { return written_ + pending_.size() + unwritten(); }  // bytes of the file, about
  // Bytes that a file without gzip takes at the next flush.
  std::size_t unwritten() const noexcept { return options_.gzip ? 0 : raw_.size() - taken_; }
  std::uint64_t lines() const noexcept { return lines_; }
  const std::string& path() const noexcept { return path_; }  // of the part file or, once sealed, the file

 private:
  const Directory* directory_;
  Options options_;
  Folder folder_;
  Descriptor file_;
  std::string path_;
  std::string part_;
  unsigned attempt_ = 0;
  Deflater deflater_;
  std::string raw_;        // lines added since the last flush, as text
  std::size_t taken_ = 0;  // of raw_: compressed or, without gzip, written
  std::string pending_;    // bytes of the file that are to be written before what is left of raw_
  std::string unsynced_;   // durable: bytes that are written, and not synced yet
  std::uint64_t written_ = 0;
  std::uint64_t lines_ = 0;      // added
  std::uint64_t raw_lines_ = 0;  // of them, since the last flush
  bool synced_ = true;
  bool name_synced_ = false;
  bool finished_ = false;
  bool renamed_ = false;
  bool sealed_ = false;

  void deflate_added();
  void forget_added();
  void begin_stream();
  void complete_stream();
  Result<void> open();
  Result<bool> try_open(unsigned attempt);
  Result<void> write_pending();
  Result<void> write_from(const std::string& bytes, std::size_t& done);
  Result<void> sync_written();
  Result<void> rename();
  bool gone();
  Result<void> start_over();
  void tell(FileEvent::Kind kind, std::uint64_t lines);
};

}  // namespace fffa::common
