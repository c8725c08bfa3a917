// SPDX-License-Identifier: MIT
#include "fffa_common/sealed_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

namespace fffa::common {
namespace {

constexpr mode_t kFileMode = 0640;
constexpr unsigned kMaxAttempts = 1000;
constexpr std::size_t kDeflateAtOnce = 16 * 1024;
constexpr std::string_view kPartPrefix = ".", kPartSuffix = ".part";

Error failed(const char* operation, const std::string& path) {
  return system_error(std::string(operation) + " " + path, errno, Disposition::retry);
}

// Two names of one file.
bool same_file(int folder, const std::string& one, const std::string& other) noexcept {
  struct stat a {
  }, b{};
  return ::fstatat(folder, one.c_str(), &a, AT_SYMLINK_NOFOLLOW) == 0 &&
         ::fstatat(folder, other.c_str(), &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

}  // namespace

bool rename_to_free_name(int folder, const std::string& from, const std::string& to) noexcept {
  if (::renameat2(folder, from.c_str(), folder, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  // Some file systems cannot rename without replacing: a second name, then the first one away, comes to the same.
  if (errno == EINVAL && ::linkat(folder, from.c_str(), folder, to.c_str(), 0) == 0)
    return ::unlinkat(folder, from.c_str(), 0) == 0;
  if (errno != EEXIST) return false;
  if (same_file(folder, from, to)) return ::unlinkat(folder, from.c_str(), 0) == 0;  // killed between the two steps
  errno = EEXIST;
  return false;
}

std::string part_name(std::string_view final_name) {
  return std::string(kPartPrefix).append(final_name).append(kPartSuffix);
}

std::string_view final_name(std::string_view part_name) noexcept {
  if (part_name.size() <= kPartPrefix.size() + kPartSuffix.size() || !part_name.starts_with(kPartPrefix) ||
      !part_name.ends_with(kPartSuffix)) {
    return {};
  }
  part_name.remove_prefix(kPartPrefix.size());
  part_name.remove_suffix(kPartSuffix.size());
  return part_name;
}

SealedFile::SealedFile(const Directory& directory, Options options)
    : directory_(&directory), options_(std::move(options)) {
  begin_stream();
}

void SealedFile::begin_stream() {
  pending_.clear();
  unsynced_.clear();
  written_ = 0;
  taken_ = 0;
  synced_ = true;
  finished_ = false;
  if (options_.gzip) deflater_ = Deflater();
  if (options_.header.empty()) return;
  const auto line = options_.header + "\n";
  if (options_.gzip) {
    deflater_.add(line, pending_);
  } else {
    pending_ = line;
  }
}

void SealedFile::add(std::string_view lines, std::uint64_t count) {
  raw_ += lines;
  raw_lines_ += count;
  lines_ += count;
  if (options_.gzip && raw_.size() - taken_ >= kDeflateAtOnce) deflate_added();
}

void SealedFile::deflate_added() {
  deflater_.add(std::string_view(raw_).substr(taken_), pending_);
  taken_ = raw_.size();
}

Result<void> SealedFile::flush() {
  if (file_ && gone()) {
    if (auto begun = start_over(); !begun) return begun;
  }
  if (lines_ == 0) return {};
  if (!file_) {
    if (auto opened = open(); !opened) return opened;
  }
  if (options_.gzip && !raw_.empty()) {
    deflate_added();
    if (!finished_) deflater_.sync(pending_);
  }
  if (auto written = write_pending(); !written) return written;
  forget_added();
  return {};
}

void SealedFile::forget_added() {
  raw_.clear();
  taken_ = 0;
  raw_lines_ = 0;
}

Result<void> SealedFile::write_pending() {
  std::size_t done = 0;
  auto written = write_from(pending_, done);
  pending_.erase(0, done);
  if (!written || options_.gzip) return written;
  return write_from(raw_, taken_);
}

// What follows the `done` bytes of it.
Result<void> SealedFile::write_from(const std::string& bytes, std::size_t& done) {
  while (done < bytes.size()) {
    const auto n = ::pwrite(file_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(written_));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return failed("write", path_);
    const auto count = static_cast<std::size_t>(n);
    if (options_.durable) unsynced_.append(bytes, done, count);
    done += count;
    written_ += count;
    synced_ = false;
  }
  return {};
}

Result<void> SealedFile::sync_written() {
  if (synced_) return {};
  if (::fdatasync(file_.get()) == 0) {
    unsynced_.clear();
    synced_ = true;
    return {};
  }
  auto error = failed("sync", path_);
  written_ -= unsynced_.size();  // once more
  pending_.insert(0, unsynced_);
  unsynced_.clear();
  return error;
}

Result<void> SealedFile::sync() {
  if (!file_) return {};
  if (auto written = write_pending(); !written) return written;
  if (auto synced = sync_written(); !synced) return synced;
  if (!name_synced_ && ::fsync(folder_.fd.get()) != 0) return failed("sync", folder_.path.string());
  name_synced_ = true;
  return {};
}

void SealedFile::complete_stream() {
  if (finished_) return;
  finished_ = true;
  if (!options_.gzip) return;
  deflate_added();
  deflater_.finish(pending_);
}

Result<void> SealedFile::seal() {
  if (sealed_) return {};
  if (!renamed_) {
    if (auto flushed = flush(); !flushed) return flushed;
    if (lines_ == 0) return {};
    complete_stream();
    if (auto written = write_pending(); !written) return written;
    if (auto synced = sync_written(); !synced) return synced;
    if (auto renamed = rename(); !renamed) return renamed;
    renamed_ = true;
  }
  if (::fsync(folder_.fd.get()) != 0) return failed("sync", folder_.path.string());
  sealed_ = true;
  tell(FileEvent::Kind::sealed, lines_);
  file_ = {};
  return {};
}

Result<void> SealedFile::rename() {
  for (; attempt_ < kMaxAttempts; ++attempt_) {
    const auto name = options_.name(attempt_);
    if (rename_to_free_name(folder_.fd.get(), part_, name)) {
      path_ = (folder_.path / name).string();
      return {};
    }
    if (errno != EEXIST) return failed("rename", path_);
  }
  attempt_ = 0;
  return retry("rename " + path_ + ": every name is taken");
}

Result<void> SealedFile::open() {
  auto folder = directory_->folder(options_.folder);
  if (!folder) return folder.error();
  folder_ = std::move(*folder);
  for (; attempt_ < kMaxAttempts; ++attempt_) {
    auto opened = try_open(attempt_);
    if (!opened) return opened.error();
    if (*opened) {
      tell(FileEvent::Kind::opened, 0);
      return {};
    }
  }
  attempt_ = 0;
  return retry("create a file in " + folder_.path.string() + ": every name is taken");
}

// False: the name is taken.
Result<bool> SealedFile::try_open(unsigned attempt) {
  const auto name = options_.name(attempt);
  struct stat taken {};
  if (::fstatat(folder_.fd.get(), name.c_str(), &taken, AT_SYMLINK_NOFOLLOW) == 0) return false;
  part_ = part_name(name);
  path_ = (folder_.path / part_).string();
  Descriptor file(
      ::openat(folder_.fd.get(), part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kFileMode));
  if (!file) {
    if (errno == EEXIST) return false;
    return failed("create", path_);
  }
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return failed("lock", path_);
  file_ = std::move(file);
  name_synced_ = false;
  return true;
}

bool SealedFile::gone() {
  struct stat mine {
  }, there{};
  if (::fstat(file_.get(), &mine) != 0) return false;
  const int status = ::fstatat(folder_.fd.get(), part_.c_str(), &there, AT_SYMLINK_NOFOLLOW);
  return (status != 0 && errno == ENOENT) ||
         (status == 0 && (there.st_ino != mine.st_ino || there.st_dev != mine.st_dev));
}

// A file that was moved still takes all that was added, and its end: whoever moved it has a whole file. What was in a
// removed one is lost, but for the lines not flushed yet.
Result<void> SealedFile::start_over() {
  struct stat mine {};
  if (::fstat(file_.get(), &mine) == 0 && mine.st_nlink != 0) {
    complete_stream();
    if (auto written = write_pending(); !written) return written;
    if (auto synced = sync_written(); !synced) return synced;
    tell(FileEvent::Kind::moved_by_others, lines_);
    forget_added();
  } else {
    tell(FileEvent::Kind::removed_by_others, lines_ - raw_lines_);
  }
  file_ = {};
  lines_ = raw_lines_;
  begin_stream();
  return {};
}

void SealedFile::tell(FileEvent::Kind kind, std::uint64_t lines) {
  if (options_.on_event) options_.on_event({kind, path_, lines});
}

}  // namespace fffa::common
