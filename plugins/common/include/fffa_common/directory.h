// SPDX-License-Identifier: MIT
// Directory: where a sink's files go, and nowhere else.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "fffa/detail/descriptor.h"
#include "fffa/result.h"

namespace fffa::common {

// One component of a path from text that others chose: letters, digits and `._=@:+-` stay, all else is percent-encoded,
// and so is a dot in front. Never empty, `.`, `..` or hidden; at most 120 characters.
std::string safe_component(std::string_view text);

// A folder below a directory: its descriptor, and its path for messages.
struct Folder {
  Descriptor fd;
  std::filesystem::path path;
};

// The configured directory. It may be a symbolic link itself; nothing below it is followed. One thread.
class Directory {
 public:
  explicit Directory(std::filesystem::path path) : path_(std::move(path)) {}
  const std::filesystem::path& path() const noexcept { return path_; }

  // Opens the folder `components` below the directory, making what is missing (mode 0750).
  Result<Folder> folder(const std::vector<std::string>& components) const;

 private:
  std::filesystem::path path_;
};

}  // namespace fffa::common
