// SPDX-License-Identifier: MIT
#include "staging.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <memory>

#include "keys.h"

namespace fffa::vpc_flow_log {
namespace {

constexpr const char* kLockName = ".fffa-upload.lock";
constexpr std::time_t kKeepEmptyFolder = 3600;  // whoever is about to write into it has done so by then
constexpr TimeNs kSecond = 1'000'000'000;

Descriptor open_below(int folder, const std::string& name) {
  return Descriptor(::openat(folder, name.c_str(), O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC));
}

std::vector<std::string> names_in(int folder) {
  std::vector<std::string> names;
  const int copy = ::openat(folder, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);  // closedir() closes it
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(copy < 0 ? nullptr : ::fdopendir(copy), ::closedir);
  if (!entries) return names;
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

class Search {
 public:
  explicit Search(std::vector<StagedFile>& found) : found_(found), now_(std::time(nullptr)) {}

  // False: nothing is in the folder.
  bool folder(int fd, std::vector<std::string>& path) {
    const auto names = names_in(fd);
    for (const auto& name : names) {
      struct stat status {};
      if (name.starts_with('.') || ::fstatat(fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (S_ISREG(status.st_mode) && is_file_name(name)) {
        found_.push_back({path, name, static_cast<std::uint64_t>(status.st_size),
                          TimeNs{status.st_mtim.tv_sec} * kSecond + status.st_mtim.tv_nsec});
      } else if (S_ISDIR(status.st_mode) && path.size() < kFolderDepth) {
        below(fd, name, status.st_mtim.tv_sec, path);
      }
    }
    return !names.empty();
  }

 private:
  std::vector<StagedFile>& found_;
  std::time_t now_;

  void below(int fd, const std::string& name, std::time_t modified, std::vector<std::string>& path) {
    const auto next = open_below(fd, name);
    if (!next) return;
    path.push_back(name);
    const bool used = folder(next.get(), path);
    path.pop_back();
    if (!used && now_ - modified > kKeepEmptyFolder) static_cast<void>(::unlinkat(fd, name.c_str(), AT_REMOVEDIR));
  }
};

}  // namespace

std::string StagedFile::key(const std::string& prefix) const {
  std::string key = prefix;
  if (!key.empty() && !key.ends_with('/')) key += '/';
  for (const auto& component : folder) key.append(component).append("/");
  return key + name;
}

Result<void> Staging::lock() {
  if (lock_) return {};
  const auto path = (directory_ / kLockName).string();
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640));
  if (!file) return system_error("open " + path, errno, Disposition::retry);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error("lock " + path, errno, Disposition::retry);
    return retry("another process uploads what is in " + directory_.string());
  }
  lock_ = std::move(file);
  return {};
}

Result<std::vector<StagedFile>> Staging::list() const {
  const Descriptor root(::open(directory_.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
  if (!root) return system_error("open " + directory_.string(), errno, Disposition::retry);
  std::vector<StagedFile> found;
  std::vector<std::string> path;
  Search(found).folder(root.get(), path);
  std::ranges::sort(found, {}, &StagedFile::modified);
  return found;
}

Descriptor Staging::open_folder(const StagedFile& file) const {
  Descriptor folder(::open(directory_.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
  for (const auto& component : file.folder) {
    if (!folder) return {};
    folder = open_below(folder.get(), component);
  }
  return folder;
}

}  // namespace fffa::vpc_flow_log
