// SPDX-License-Identifier: MIT
// Whether a file that root is about to obey could have been written by somebody who is not root.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

#include "fffa/result.h"

namespace fffa::core {

// Who could change what a path leads to: by writing the file, by replacing it or a symbolic link or folder on the
// way, or by giving himself the right to (its owner). Root, who can anyway, is left out.
struct Writers {
  struct User {
    uid_t id;
    std::filesystem::path because;
  };
  struct Group {
    gid_t id;
    std::filesystem::path because;
  };
  std::vector<User> users;
  std::vector<Group> groups;
  std::filesystem::path anyone;  // empty: not everyone
};

// `path` must exist. Every folder and link on the way counts.
Result<Writers> writers_of(const std::filesystem::path& path);

// Success if everyone who could change `path` could also replace `binary` (so nothing is gained by it); else an
// error that says who and where.
Result<void> check_trusted(const std::filesystem::path& path, const Writers& binary);

// The same for the running program, when it runs as root; success for every other user.
Result<void> check_trusted_by_root(const std::filesystem::path& path);

// Path of the running program.
std::filesystem::path program_path();

}  // namespace fffa::core
