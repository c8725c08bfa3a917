// SPDX-License-Identifier: MIT
#include "input.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace fffa::pcap {
namespace {

constexpr std::size_t kChunk = std::size_t{64} << 10;  // of compressed data
constexpr int kGzip = 15 + 16;                         // window bits: the largest window, a gzip header

}  // namespace

Result<std::unique_ptr<FileInput>> FileInput::open(const std::string& path) {
  const bool standard = path == "-";
  const std::string name = standard ? "standard input" : path;
  const int fd = standard ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return system_error("open " + name);  // EACCES too: no privilege is missing that fffa would ask for
  std::unique_ptr<FileInput> input(new FileInput(fd, !standard, name));
  struct stat info {};
  if (::fstat(fd, &info) != 0) return system_error("open " + name);
  if (S_ISDIR(info.st_mode)) return system_error("open " + name, EISDIR);
  if (::isatty(fd) != 0)
    return fail("read " + name + ": it is a terminal (pipe a capture into it, or name a file: path)");
  input->may_block_ = !S_ISREG(info.st_mode);
  if (S_ISREG(info.st_mode)) {
    input->size_ = static_cast<std::uint64_t>(info.st_size);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  }
  return input;
}

FileInput::~FileInput() {
  if (owned_) ::close(fd_);
}

// A pipe that nobody has opened for writing yet would be at its end.
bool FileInput::may_read() const {
  if (ask_) return ask_(fd_);
  pollfd entry{fd_, POLLIN, 0};
  if (may_block_) ::poll(&entry, 1, -1);
  return true;
}

Result<std::size_t> FileInput::read(std::span<std::uint8_t> into) {
  for (;;) {
    if (!may_read()) return std::size_t{0};
    const ssize_t got = ::read(fd_, into.data(), into.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return system_error("read " + name_ + " at byte " + std::to_string(consumed_));
    consumed_ += static_cast<std::uint64_t>(got);
    return static_cast<std::size_t>(got);
  }
}

Result<std::size_t> MemoryInput::read(std::span<std::uint8_t> into) {
  const std::size_t size = std::min<std::size_t>(into.size(), bytes_.size() - consumed_);
  if (size != 0) std::memcpy(into.data(), bytes_.data() + consumed_, size);
  consumed_ += size;
  return size;
}

namespace {

class GzipInput final : public Input {
 public:
  explicit GzipInput(std::unique_ptr<Input> raw)
      : raw_(std::move(raw)), in_(std::make_unique_for_overwrite<std::uint8_t[]>(kChunk)) {}
  ~GzipInput() override {
    if (mode_ == Mode::inflating) inflateEnd(&stream_);
  }

  Result<std::size_t> read(std::span<std::uint8_t> into) override {
    if (mode_ == Mode::unknown) {
      if (auto begun = begin(); !begun) return begun.error();
    }
    if (mode_ == Mode::plain) return read_plain(into);
    return mode_ == Mode::ended ? std::size_t{0} : inflate_some(into);
  }
  std::uint64_t consumed() const noexcept override { return raw_->consumed(); }
  std::string complaint() const override { return complaint_; }

 private:
  enum class Mode : std::uint8_t { unknown, plain, inflating, ended };

  // Fills in_; what is in it has been used up. False at the end.
  Result<bool> refill() {
    auto got = raw_->read({in_.get(), kChunk});
    if (!got) return got.error();
    at_ = 0;
    end_ = *got;
    return end_ != 0;
  }

  // Makes two bytes be there, if as many are left: a pipe may give a single one.
  Result<void> await_magic() {
    if (end_ - at_ >= 2) return {};
    std::memmove(in_.get(), in_.get() + at_, end_ - at_);
    end_ -= at_;
    at_ = 0;
    while (end_ < 2) {
      auto got = raw_->read({in_.get() + end_, kChunk - end_});
      if (!got) return got.error();
      if (*got == 0) break;
      end_ += *got;
    }
    return {};
  }

  bool has_magic() const { return end_ - at_ >= 2 && in_[at_] == 0x1f && in_[at_ + 1] == 0x8b; }

  Result<void> begin() {
    if (auto awaited = await_magic(); !awaited) return awaited;
    mode_ = Mode::plain;
    if (!has_magic()) return {};
    if (inflateInit2(&stream_, kGzip) != Z_OK) throw std::bad_alloc();
    mode_ = Mode::inflating;
    return {};
  }

  Result<std::size_t> read_plain(std::span<std::uint8_t> into) {
    if (at_ == end_) return raw_->read(into);
    const std::size_t size = std::min(into.size(), end_ - at_);
    std::memcpy(into.data(), in_.get() + at_, size);
    at_ += size;
    return size;
  }

  // Where one member ends, another may begin: `cat a.gz b.gz`.
  Result<bool> next_member() {
    if (auto awaited = await_magic(); !awaited) return awaited.error();
    if (!has_magic()) {
      if (end_ != at_) complaint_ = "what follows the compressed data is no gzip and was ignored";
      return false;
    }
    return inflateReset(&stream_) == Z_OK;
  }

  std::string place() const { return " before compressed byte " + std::to_string(raw_->consumed() - (end_ - at_)); }

  void stop(std::string complaint) {
    if (!complaint.empty()) complaint_ = std::move(complaint);
    inflateEnd(&stream_);
    mode_ = Mode::ended;
  }

  Result<std::size_t> inflate_some(std::span<std::uint8_t> into) {
    const auto room = static_cast<uInt>(std::min<std::size_t>(into.size(), std::size_t{1} << 30));
    stream_.next_out = into.data();
    stream_.avail_out = room;
    while (stream_.avail_out == room) {
      if (at_ == end_) {
        auto more = refill();
        if (!more) return more.error();
        if (!*more) {
          stop("the compressed data is cut off at its byte " + std::to_string(raw_->consumed()));
          return std::size_t{0};
        }
      }
      stream_.next_in = in_.get() + at_;
      stream_.avail_in = static_cast<uInt>(end_ - at_);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      at_ = end_ - stream_.avail_in;
      if (status == Z_STREAM_END) {
        const std::size_t made = room - stream_.avail_out;
        auto another = next_member();
        if (!another) return another.error();
        if (!*another) stop({});
        if (made != 0 || !*another) return made;
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        const std::size_t made = room - stream_.avail_out;
        if (made == 0) return fail("the compressed data is damaged" + place());
        return made;  // what came before; the next call meets the damage again
      }
    }
    return std::size_t{room - stream_.avail_out};
  }

  std::unique_ptr<Input> raw_;
  std::unique_ptr<std::uint8_t[]> in_;  // kChunk
  std::size_t at_ = 0;
  std::size_t end_ = 0;
  Mode mode_ = Mode::unknown;
  z_stream stream_{};
  std::string complaint_;
};

}  // namespace

std::unique_ptr<Input> decompressed(std::unique_ptr<Input> raw) {
  return std::make_unique<GzipInput>(std::move(raw));
}

}  // namespace fffa::pcap
