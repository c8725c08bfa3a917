// SPDX-License-Identifier: MIT
#include "fffa_common/leftovers.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
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
    if (n <= 0) return 0;
    offset_ += n;
    return static_cast<std::size_t>(n);
  }

 private:
  int fd_;
  off_t offset_ = 0;
};

// Whole lines and the bytes they take, of a text that comes in pieces.
struct WholeLines {
  std::uint64_t lines = 0;
  std::uint64_t bytes = 0;
  std::uint64_t seen = 0;
  void add(std::string_view text) {
    lines += static_cast<std::uint64_t>(std::ranges::count(text, '\n'));
    if (const auto last = text.rfind('\n'); last != text.npos) bytes = seen + last + 1;
    seen += text.size();
  }
};

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
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
    const bool gzip = part.ends_with(".gz.part");
    const auto whole = measure(file.get(), gzip);
    if (whole.lines <= (options_.has_header ? 1u : 0u)) {
      if (::unlinkat(folder, part.c_str(), 0) != 0) return fail(full, "remove");
      ++found_.empty;
      log_.warning("removed " + full + ", left by a run that was killed: it held no whole record");
      return;
    }
    if (!(gzip ? rewrite(folder, part, file, whole) : truncate(file.get(), whole))) return fail(full, "repair");
    const auto sealed = rename(folder, part);
    if (sealed.empty()) return fail(full, "rename");
    ++found_.sealed;
    const auto records = whole.lines - (options_.has_header ? 1 : 0);
    log_.warning("sealed " + (path / sealed).string() + ", left by a run that was killed: " + std::to_string(records) +
                 " records, " + std::to_string(whole.seen - whole.bytes) + " bytes of a torn one cut off");
  }

  void fail(const std::string& path, const char* operation) {
    log_.warning(system_error(std::string(operation) + " " + path).message + ": left as it is");
    ++found_.failed;
  }

  static WholeLines measure(int fd, bool gzip) {
    WholeLines whole;
    Reader reader(fd);
    if (gzip) {
      inflate_prefix(std::ref(reader), [&whole](std::string_view text) {
        whole.add(text);
        return true;
      });
      return whole;
    }
    std::vector<char> buffer(kChunk);
    while (const auto n = reader(buffer.data(), buffer.size())) whole.add({buffer.data(), n});
    return whole;
  }

  static bool truncate(int fd, const WholeLines& whole) {
    return ::ftruncate(fd, static_cast<off_t>(whole.bytes)) == 0 && ::fsync(fd) == 0;
  }

  // A gzip file cannot be cut: it is written anew and takes the old one's place, so that a kill in between leaves one
  // of the two.
  static bool rewrite(int folder, const std::string& part, Descriptor& file, const WholeLines& whole) {
    const auto copy_name = part + ".copy";
    ::unlinkat(folder, copy_name.c_str(), 0);  // of a reclaim that was killed: its original is what is being read
    Descriptor copy(::openat(folder, copy_name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640));
    if (!copy) return false;
    Deflater deflater;
    std::string out;
    std::uint64_t left = whole.bytes;
    bool written = true;
    Reader reader(file.get());
    inflate_prefix(std::ref(reader), [&](std::string_view text) {
      text = text.substr(0, left);
      left -= text.size();
      deflater.add(text, out);
      written = write_all(copy.get(), out);
      out.clear();
      return written && left != 0;
    });
    deflater.finish(out);
    const bool done = written && write_all(copy.get(), out) && ::fsync(copy.get()) == 0 &&
                      ::flock(copy.get(), LOCK_EX | LOCK_NB) == 0 &&
                      ::renameat(folder, copy_name.c_str(), folder, part.c_str()) == 0;
    if (done) {
      file = std::move(copy);
    } else {
      const int error = errno;
      ::unlinkat(folder, copy_name.c_str(), 0);
      errno = error;
    }
    return done;
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
