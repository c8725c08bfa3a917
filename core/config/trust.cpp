// SPDX-License-Identifier: MIT
#include "config/trust.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <string>

namespace fffa::core {
namespace {

namespace fs = std::filesystem;

// Adds who may write what `status` describes: a file's contents, or the names in a folder.
void add_writers(Writers& writers, const fs::path& path, const struct stat& status) {
  const bool link =
      S_ISLNK(status.st_mode);  // its mode bits mean nothing: only its owner, and the folder's writers, can replace it
  // in a folder with the sticky bit others can add names, but not replace those that are there
  const bool shared = !link && !(S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0);
  const bool access_list = shared && ::lgetxattr(path.c_str(), "system.posix_acl_access", nullptr, 0) > 0;
  if (status.st_uid != 0) writers.users.push_back({status.st_uid, path});
  if (shared && (status.st_mode & S_IWGRP) != 0) {
    writers.groups.push_back({status.st_gid, path});
    if (access_list) writers.anyone = path;  // the group bits then bound every entry of the list: take the worst
  }
  if (shared && (status.st_mode & S_IWOTH) != 0) writers.anyone = path;
}

template <typename Known, typename Id>
bool holds(const Known& known, Id id) {
  return std::any_of(known.begin(), known.end(), [&](const auto& one) { return one.id == id; });
}

std::string user_name(uid_t id) {
  const passwd* entry = ::getpwuid(id);
  return entry != nullptr ? "user " + std::string(entry->pw_name) : "user id " + std::to_string(id);
}
std::string group_name(gid_t id) {
  const group* entry = ::getgrgid(id);
  return entry != nullptr ? "group " + std::string(entry->gr_name) : "group id " + std::to_string(id);
}

Error refuse(const fs::path& path, const fs::path& because, const std::string& who) {
  const std::string where = because == path ? "it" : because.string();
  return fail("not trusted as root: " + where + " can be changed by " + who + ", who cannot replace fffa itself");
}

}  // namespace

Result<Writers> writers_of(const fs::path& path) {
  Writers writers;
  std::deque<fs::path> left;
  std::error_code error;
  for (const auto& part : fs::absolute(path, error)) left.push_back(part);
  fs::path here;
  for (int links = 0; !left.empty();) {
    const fs::path part = left.front();
    left.pop_front();
    if (part == "." || part.empty()) continue;
    if (part == "..") {
      here = here.parent_path();  // `here` holds no links
      continue;
    }
    const fs::path next = here / part;
    struct stat status {};
    if (::lstat(next.c_str(), &status) != 0) return system_error("stat " + next.string());
    add_writers(writers, next, status);
    if (!S_ISLNK(status.st_mode)) {
      here = next;
      continue;
    }
    if (++links > 40) return fail("stat " + path.string() + ": too many symbolic links");
    const fs::path target = fs::read_symlink(next, error);
    if (error) return system_error("read link " + next.string(), error.value());
    left.insert(left.begin(), target.begin(), target.end());
    if (target.is_absolute()) here.clear();
  }
  return writers;
}

Result<void> check_trusted(const fs::path& path, const Writers& binary) {
  auto writers = writers_of(path);
  if (!writers) return writers.error();
  if (!binary.anyone.empty()) return {};
  if (!writers->anyone.empty()) return refuse(path, writers->anyone, "everyone");
  for (const auto& user : writers->users) {
    if (!holds(binary.users, user.id)) return refuse(path, user.because, user_name(user.id));
  }
  for (const auto& group : writers->groups) {
    if (!holds(binary.groups, group.id)) return refuse(path, group.because, group_name(group.id));
  }
  return {};
}

Result<void> check_trusted_by_root(const fs::path& path) {
  if (::geteuid() != 0) return {};
  static const auto binary = writers_of(program_path());
  if (!binary) return binary.error();
  return check_trusted(path, *binary);
}

fs::path program_path() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error);
}

}  // namespace fffa::core
