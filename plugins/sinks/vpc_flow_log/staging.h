// SPDX-License-Identifier: MIT
// The staging area: sealed files that wait for their upload.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "fffa/detail/descriptor.h"
#include "fffa/record.h"
#include "fffa/result.h"

namespace fffa::vpc_flow_log {

struct StagedFile {
  std::vector<std::string> folder;  // below the staging area
  std::string name;
  std::uint64_t size = 0;
  TimeNs modified = 0;
  // Where it goes: the same path below `prefix`.
  std::string key(const std::string& prefix) const;
};

// One thread at a time.
class Staging {
 public:
  explicit Staging(std::filesystem::path directory) : directory_(std::move(directory)) {}
  const std::filesystem::path& directory() const noexcept { return directory_; }

  // Takes the lock that only one process has: who has it uploads. Kept until the end.
  Result<void> lock();
  // The sealed files that are there, oldest first. Folders that have been empty for an hour go away. Symbolic links are
  // not followed.
  Result<std::vector<StagedFile>> list() const;
  // The folder that holds the file; nothing if it is gone.
  Descriptor open_folder(const StagedFile& file) const;

 private:
  std::filesystem::path directory_;
  Descriptor lock_;
};

}  // namespace fffa::vpc_flow_log
