// SPDX-License-Identifier: MIT
// What the tests of files share.
#pragma once

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace fffa::common::testing {

namespace fs = std::filesystem;

// An empty folder that goes away with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "fffa_test_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

inline std::string read_plain(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("no file " + path.string());
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}
inline void write_plain(const fs::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

// All of a gzip file, by zlib's own reader; throws if it is damaged or cut short.
inline std::string read_gzip(const fs::path& path) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(::gzopen(path.c_str(), "rb"), ::gzclose);
  if (!file) throw std::runtime_error("no file " + path.string());
  std::string out(1 << 16, '\0'), all;
  int n = 0;
  while ((n = ::gzread(file.get(), out.data(), static_cast<unsigned>(out.size()))) > 0)
    all.append(out.data(), static_cast<std::size_t>(n));
  int error = Z_OK;
  ::gzerror(file.get(), &error);
  if (n < 0 || error == Z_BUF_ERROR || error == Z_DATA_ERROR) throw std::runtime_error("damaged: " + path.string());
  return all;
}

// Paths of all files below `folder`, relative to it, in order.
inline std::vector<std::string> files_below(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory() && !entry.is_symlink()) continue;
    names.push_back(entry.path().lexically_relative(folder).string());
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace fffa::common::testing
