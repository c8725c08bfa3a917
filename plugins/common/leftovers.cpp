// SPDX-License-Identifier: MIT
#include "fffa_common/leftovers.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <memory>
#include <vector>

#include "fffa_common/gzip.h"
#include "fffa_common/sealed_file.h"

namespace fffa::common {
namespace {

constexpr std::size_t kChunk = 64 * 1024;
constexpr unsigned kMaxAttempts = 1000;

// Reads a file from its beginning.
class Reader {
 public:
  explicit Reader(int fd) : fd_(fd) {}
  std::size_t operator()(char* buffer, std::size_t size) {
    const auto n = ::pread(fd_, buffer, size, offset_);
    error_ = n < 0 ? errno : 0;
    if (n <= 0) return 0;
    offset_ += n;
    return static_cast<std::size_t>(n);
  }
  int error() const noexcept { return error_; }  // of the last read

 private:
  int fd_;
  off_t offset_ = 0;
  int error_ = 0;
};

// What is kept of a file.
struct Kept {
  std::uint64_t lines = 0;  // whole ones
  std::uint64_t bytes = 0;  // of the file, up to their end
  std::string end;          // what a gzip stream lacks after them
};

Kept measure_text(Reader& reader) {
  Kept kept;
  std::vector<char> buffer(kChunk);
  std::uint64_t seen = 0;
  while (const auto n = reader(buffer.data(), buffer.size())) {
    const std::string_view text(buffer.data(), n);
    kept.lines += static_cast<std::uint64_t>(std::ranges::count(text, '\n'));
    if (const auto last = text.rfind('\n'); last != text.npos) kept.bytes = seen + last + 1;
    seen += n;
  }
  return kept;
}

Kept measure_gzip(Reader& reader) {
  const auto prefix = gzip_prefix(std::ref(reader));
  return {prefix.lines, prefix.size, prefix.whole ? std::string() : prefix.end()};
}

class Reclaimer {
 public:
  Reclaimer(const LeftoverOptions& options, Logger& log) : options_(options), log_(log) {}

  void search(int folder, const std::filesystem::path& path, unsigned depth) {
    const int copy = ::openat(folder, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);  // closedir() closes it
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(copy < 0 ? nullptr : ::fdopendir(copy), ::closedir);
    if (!entries) return;
    std::vector<std::string> parts, folders;
    while (const dirent* entry = ::readdir(entries.get())) {
      const std::string name = entry->d_name;
      const auto final = final_name(name);
      if (!final.empty() && options_.owned(final)) {
        parts.push_back(name);
      } else if (depth > 0 && !name.starts_with('.')) {
        folders.push_back(name);
      }
    }
    for (const auto& part : parts) reclaim(folder, path, part);
    for (const auto& name : folders) {
      Descriptor next(::openat(folder, name.c_str(), O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC));
      if (next) search(next.get(), path / name, depth - 1);
    }
  }
  const Leftovers& found() const { return found_; }

 private:
  const LeftoverOptions& options_;
  Logger& log_;
  Leftovers found_;

  void reclaim(int folder, const std::filesystem::path& path, const std::string& part) {
    const auto full = (path / part).string();
    Descriptor file(::openat(folder, part.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return fail(full, "open");
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return;  // being written by another process
    Reader reader(file.get());
    const auto kept = part.ends_with(".gz.part") ? measure_gzip(reader) : measure_text(reader);
    if ((errno = reader.error()) != 0) return fail(full, "read");
    if (kept.lines <= (options_.has_header ? 1u : 0u)) {
      if (::unlinkat(folder, part.c_str(), 0) != 0) return fail(full, "remove");
      ++found_.empty;
      log_.warning("removed " + full + ", left by a run that was killed: it held no whole record");
      return;
    }
    if (!repair(file.get(), kept)) return fail(full, "repair");
    const auto sealed = rename(folder, part);
    if (sealed.empty()) return fail(full, "rename");
    ++found_.sealed;
    const auto records = kept.lines - (options_.has_header ? 1 : 0);
    log_.warning("sealed " + (path / sealed).string() + ", left by a run that was killed: " + std::to_string(records) +
                 " records, " + std::to_string(static_cast<std::uint64_t>(status.st_size) - kept.bytes) +
                 " bytes of a torn one cut off");
  }

  void fail(const std::string& path, const char* operation) {
    found_.trouble = system_error(std::string(operation) + " " + path).message;
    ++found_.failed;
  }

  // In place: it needs no room, and a kill in between leaves what can be repaired as well.
  static bool repair(int fd, const Kept& kept) {
    const auto size = static_cast<off_t>(kept.bytes);
    return ::ftruncate(fd, size) == 0 &&
           ::pwrite(fd, kept.end.data(), kept.end.size(), size) == static_cast<ssize_t>(kept.end.size()) &&
           ::fsync(fd) == 0;
  }

  // The final name given, or empty.
  std::string rename(int folder, const std::string& part) {
    const std::string wanted(final_name(part));
    for (unsigned attempt = 0; attempt < kMaxAttempts; ++attempt) {
      const auto name = attempt == 0 ? wanted : options_.other_name(wanted, attempt);
      if (rename_to_free_name(folder, part, name)) return ::fsync(folder) == 0 ? name : "";
      if (errno != EEXIST) return {};
    }
    return {};
  }
};

}  // namespace

Leftovers reclaim_leftovers(const Directory& directory, const LeftoverOptions& options, Logger& log) {
  Descriptor root(::open(directory.path().c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
  if (!root) return {};
  Reclaimer reclaimer(options, log);
  reclaimer.search(root.get(), directory.path(), options.depth);
  return reclaimer.found();
}

}  // namespace fffa::common
