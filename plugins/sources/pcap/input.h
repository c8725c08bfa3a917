// SPDX-License-Identifier: MIT
// Bytes of a capture, wherever they come from: a file, a pipe, memory, any of them compressed by gzip.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "fffa/result.h"

namespace fffa::pcap {

class Input {
 public:
  Input() = default;
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  virtual ~Input() = default;

  // Fills the front of `into` (not empty) and gives the number of bytes; 0: there are no more.
  virtual Result<std::size_t> read(std::span<std::uint8_t> into) = 0;
  // Bytes read so far from the file or pipe itself, compressed ones where it is.
  virtual std::uint64_t consumed() const noexcept = 0;
  // Something was wrong that lost nothing, or nothing that can be told: empty if not.
  virtual std::string complaint() const { return {}; }
};

// Called before every read; false: do not read, the input ends here. Where reading may block it is also who waits.
using BeforeRead = std::function<bool(int fd)>;

// Opens `path` ("-": standard input), without waiting for whoever is to write into a pipe. A terminal and a folder are
// refused.
class FileInput final : public Input {
 public:
  static Result<std::unique_ptr<FileInput>> open(const std::string& path);
  ~FileInput() override;

  Result<std::size_t> read(std::span<std::uint8_t> into) override;
  std::uint64_t consumed() const noexcept override { return consumed_; }

  // A pipe, socket or device: there may be nothing to read yet.
  bool may_block() const noexcept { return may_block_; }
  // Bytes of a regular file; 0: not known.
  std::uint64_t size() const noexcept { return size_; }
  void before_read(BeforeRead ask) { ask_ = std::move(ask); }

 private:
  FileInput(int fd, bool owned, std::string name) : fd_(fd), owned_(owned), name_(std::move(name)) {}
  bool may_read() const;
  int fd_;
  bool owned_;
  bool may_block_ = false;
  std::uint64_t size_ = 0;
  std::uint64_t consumed_ = 0;
  std::string name_;
  BeforeRead ask_;
};

class MemoryInput final : public Input {
 public:
  explicit MemoryInput(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  Result<std::size_t> read(std::span<std::uint8_t> into) override;
  std::uint64_t consumed() const noexcept override { return consumed_; }

 private:
  std::span<const std::uint8_t> bytes_;
  std::uint64_t consumed_ = 0;
};

// `raw`, decompressed if it begins with gzip's magic number, else as it is. One piece at a time: what little data may
// swell to is never held.
std::unique_ptr<Input> decompressed(std::unique_ptr<Input> raw);

}  // namespace fffa::pcap
