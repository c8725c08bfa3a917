// SPDX-License-Identifier: MIT
#include "fffa_common/directory.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cctype>
#include <cinttypes>
#include <cstdio>
#include <system_error>

#include "fffa_common/hash.h"

namespace fffa::common {
namespace {

constexpr std::size_t kMaxComponent = 64;  // a file's name has three of them, and 255 characters at most
constexpr mode_t kFolderMode = 0750;

// Different texts stay different.
std::string shortened(std::string_view safe, std::string_view text) {
  char hash[18];
  std::snprintf(hash, sizeof hash, "-%016" PRIx64, name_hash(text));
  return std::string(safe.substr(0, kMaxComponent - 17)) + hash;
}

}  // namespace

std::string safe_component(std::string_view text) {
  constexpr std::string_view kAllowed = "._=@:+-";
  std::string safe;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool hides = c == '.' && safe.empty();
    if (byte < 0x80 && (std::isalnum(byte) != 0 || kAllowed.find(c) != kAllowed.npos) && !hides) {
      safe += c;
    } else {
      safe += {'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]};
    }
    if (safe.size() > kMaxComponent) return shortened(safe, text);
  }
  return safe.empty() ? "unknown" : safe;
}

Result<Folder> Directory::folder(const std::vector<std::string>& components) const {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (error) return system_error("create " + path_.string(), error.value(), Disposition::retry);
  Folder folder{Descriptor(::open(path_.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC)), path_};
  if (!folder.fd) return system_error("open " + path_.string(), errno, Disposition::retry);
  for (const auto& component : components) {
    folder.path /= component;
    if (::mkdirat(folder.fd.get(), component.c_str(), kFolderMode) == 0) {
      static_cast<void>(::fsync(folder.fd.get()));  // what is synced within it can be found after a power loss
    } else if (errno != EEXIST) {
      return system_error("create " + folder.path.string(), errno, Disposition::retry);
    }
    Descriptor next(::openat(folder.fd.get(), component.c_str(), O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC));
    if (!next) return system_error("open " + folder.path.string(), errno, Disposition::retry);
    folder.fd = std::move(next);
  }
  return folder;
}

}  // namespace fffa::common
