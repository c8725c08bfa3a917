// SPDX-License-Identifier: MIT
#include "spool/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <system_error>

namespace fffa::core {
namespace {

constexpr std::uint64_t kMostSegmentSize = 64ull << 20;
constexpr std::uint64_t kLeastSegmentSize = 4096;
constexpr int kSegmentsWhenFull = 16;
constexpr int kDigits = 20;
constexpr mode_t kMode = 0600;

// "00000000000000000017.seg" is 17.
std::optional<std::uint64_t> number_in(const std::string& name, std::string_view suffix) {
  if (name.size() != kDigits + suffix.size() || !name.ends_with(suffix)) return {};
  if (!name.starts_with("00")) return {};  // none that we would ever reach; it and the next ones must fit
  std::uint64_t number = 0;
  for (int i = 0; i < kDigits; ++i) {
    const char c = name[static_cast<std::size_t>(i)];
    if (c < '0' || c > '9') return {};
    number = number * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return number;
}

}  // namespace

// ---- opening

Result<std::unique_ptr<Store>> Store::open(const Options& options) {
  std::unique_ptr<Store> store(new Store(options));
  const auto path = options.directory.string();
  store->folder_ = Descriptor(::open(path.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
  if (!store->folder_) return system_error("open " + path);
  if (auto result = store->take_lock(); !result) return result.error();
  if (auto result = store->find_segments(); !result) return result.error();
  return store;
}

Store::~Store() {
  const std::lock_guard lock(mutex_);
  if (active_) seal_active();
}

Result<void> Store::take_lock() {
  const auto path = (directory_ / "lock").string();
  lock_ = Descriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, kMode));
  if (!lock_) return system_error("open " + path);
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error("lock " + path);
    return fail(directory_.string() + " is in use: another fffa, or another stage, keeps its buffer there");
  }
  return {};
}

Result<void> Store::find_segments() {
  std::set<std::uint64_t> numbers;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory_, error), end; !error && entry != end;
       entry.increment(error)) {
    const auto name = entry->path().filename().string();
    if (const auto number = number_in(name, ".seg")) numbers.insert(*number);
    if (const auto number = number_in(name, ".damaged")) {
      next_number_ = std::max(next_number_, *number + 1);
      aside_.insert(*number);
    }
  }
  if (error) return system_error("read " + directory_.string(), error.value());
  for (const auto number : numbers) {
    next_number_ = std::max(next_number_, number + 1);
    const auto path = path_of(number);
    Descriptor file(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0) return system_error("open " + path.string());
    if (!S_ISREG(status.st_mode)) return fail("open " + path.string() + ": not a file");
    adopt(number, std::move(file), static_cast<std::uint64_t>(status.st_size), number == *numbers.rbegin());
  }
  limit_damaged();
  return {};
}

void Store::adopt(std::uint64_t number, Descriptor file, std::uint64_t size, bool newest) {
  const auto found = survey(file.get(), size);
  auto segment = std::make_shared<Segment>();
  segment->number = number;
  segment->size = found.end;
  segment->frames = found.frames;
  segment->done = found.delivered;
  segment->content = segment->ahead = found.content;
  segment->sealed = segment->restored = true;
  segment->damaged = found.damaged;
  if (newest && found.unfinished) {
    opening_.cut_off = found.behind;
    static_cast<void>(::ftruncate(file.get(), static_cast<off_t>(found.end)));  // else the next start does
  } else if (found.behind > 0) {
    segment->damaged = true;
  }
  if (segment->damaged) {
    ++damaged_;
    opening_.damaged.push_back(path_of(number).string() + " is damaged: " + std::to_string(found.frames) +
                               " batches of it can be read");
  }
  opening_.frames += found.frames - found.delivered;
  opening_.content += found.content;
  file_size_ += segment->size;
  segments_.push_back(segment);
  remove_if_over(segment);
}

std::filesystem::path Store::path_of(std::uint64_t number, std::string_view suffix) const {
  char digits[kDigits + 1];
  std::snprintf(digits, sizeof digits, "%020" PRIu64, number);
  return directory_ / (digits + std::string(suffix));
}

// ---- the writer

std::uint64_t Store::segment_size() const noexcept {
  return std::clamp(max_size_ / kSegmentsWhenFull, kLeastSegmentSize, kMostSegmentSize);
}

void Store::set_max_size(std::uint64_t max_size) {
  const std::lock_guard lock(mutex_);
  max_size_ = max_size;
  limit_damaged();
}

bool Store::make_room(std::size_t size) {
  const std::lock_guard lock(mutex_);
  const auto fits = [&] {
    return file_size_ + (write_at_ - (active_ ? active_->size : 0)) + FrameHeader::kSize + size <= max_size_;
  };
  if (fits()) return true;
  if (appended_ > 0) return false;
  // What is delivered may still stand in the file that is being written.
  if (active_ && active_->done == active_->frames) seal_active();
  return fits() || segments_.empty();  // a batch that is larger than the buffer has it for itself
}

Result<void> Store::start_segment() {
  const auto path = path_of(next_number_);
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kMode));
  if (!file) return system_error("create a file in " + directory_.string());
  auto segment = std::make_shared<Segment>();
  segment->number = next_number_++;
  segment->file = std::move(file);
  write_at_ = 0;
  folder_changed_ = true;
  const std::lock_guard lock(mutex_);
  segments_.push_back(segment);
  active_ = std::move(segment);
  return {};
}

void Store::append(std::string_view payload, const Part& content) {
  if (failure_) return;
  if (!active_) {
    if (auto started = start_segment(); !started) {
      failure_ = started.error();
      return;
    }
  }
  const auto header = encode_header({static_cast<std::uint32_t>(payload.size()), content, crc32(payload)});
  auto result = write({header.data(), header.size()});
  if (result) result = write(payload);
  if (!result) {
    failure_ = result.error();
    return;
  }
  ++appended_;
  appended_content_ += content;
}

Result<void> Store::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::pwrite(active_->file.get(), bytes.data(), bytes.size(), static_cast<off_t>(write_at_));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return system_error("write to " + directory_.string(), n == 0 ? EIO : errno);
    bytes.remove_prefix(static_cast<std::size_t>(n));
    write_at_ += static_cast<std::uint64_t>(n);
  }
  return {};
}

Result<void> Store::commit() {
  if (failure_) return undo(*std::exchange(failure_, std::nullopt), true);
  if (appended_ == 0) return {};
  // After a failed sync nobody knows what of the file is on disk: the next batches go to another one.
  if (::fdatasync(active_->file.get()) != 0) return undo(system_error("sync a file in " + directory_.string()), false);
  if (folder_changed_ && ::fsync(folder_.get()) != 0) return undo(system_error("sync " + directory_.string()), false);
  folder_changed_ = false;
  const std::lock_guard lock(mutex_);
  file_size_ += write_at_ - active_->size;
  active_->size = write_at_;
  active_->frames += std::exchange(appended_, 0);
  active_->content += appended_content_;
  active_->ahead += std::exchange(appended_content_, {});
  if (active_->size >= segment_size()) seal_active();
  return {};
}

Error Store::undo(Error error, bool keep_file) {
  appended_ = 0;
  appended_content_ = {};
  if (!active_) return error;
  const bool cut = ::ftruncate(active_->file.get(), static_cast<off_t>(active_->size)) == 0;
  write_at_ = active_->size;
  if (cut && keep_file) return error;
  const std::lock_guard lock(mutex_);
  seal_active();
  return error;
}

std::optional<Part> Store::drop_oldest() {
  const std::lock_guard lock(mutex_);
  const auto oldest = std::ranges::find_if(segments_, [](const auto& s) { return s->sealed && !s->reading; });
  if (oldest == segments_.end()) return {};
  const auto segment = *oldest;
  segment->done = segment->frames;
  remove_if_over(segment);
  return segment->content;
}

void Store::seal_active() {
  const auto segment = std::exchange(active_, nullptr);
  write_at_ = 0;
  segment->sealed = true;
  if (!segment->reading) segment->file = {};
  remove_if_over(segment);
}

void Store::remove_if_over(const SegmentPtr& segment) {
  if (!segment->sealed || segment->done < segment->frames) return;
  std::erase(segments_, segment);
  undeleted_.push_back({segment->number, segment->size, segment->damaged});
  std::erase_if(undeleted_, [&](const Over& over) {
    if (!remove(over.number, over.damaged)) return false;
    file_size_ -= over.size;
    return true;
  });
}

bool Store::remove(std::uint64_t number, bool damaged) {
  const auto path = path_of(number);
  const int result = damaged ? ::rename(path.c_str(), path_of(number, ".damaged").c_str()) : ::unlink(path.c_str());
  if (result == 0 && damaged) {
    aside_.insert(number);
    limit_damaged();
  }
  return result == 0 || errno == ENOENT;
}

void Store::limit_damaged() {
  std::uint64_t size = 0;
  bool full = false;
  for (auto at = aside_.end(); at != aside_.begin();) {  // the newest first
    --at;
    const auto path = path_of(*at, ".damaged");
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) {
      if (errno == ENOENT) at = aside_.erase(at);  // somebody has looked at it, and deleted it
      continue;
    }
    full = full || (size > 0 && size + static_cast<std::uint64_t>(status.st_size) > max_size_ / 4);
    size += static_cast<std::uint64_t>(status.st_size);
    if (!full || ::unlink(path.c_str()) != 0) continue;  // tried again with the next one
    deleted_.push_back(path.string());
    at = aside_.erase(at);
  }
}

// ---- the reader

Store::SegmentPtr Store::find(std::uint64_t number) const {
  const auto at = std::ranges::lower_bound(segments_, number, {}, [](const auto& s) { return s->number; });
  return at == segments_.end() || (*at)->number != number ? nullptr : *at;
}

Result<void> Store::open_to_read(Segment& segment) const {
  segment.reading = true;
  if (segment.file) return {};
  const auto path = path_of(segment.number);
  segment.file = Descriptor(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (!segment.file && (errno == EROFS || errno == EACCES))  // then it cannot be marked, and may come twice
    segment.file = Descriptor(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  // One that is gone is damaged as a whole.
  return segment.file || errno == ENOENT ? Result<void>{} : system_error("open " + path.string());
}

void Store::note_damage(Segment& segment) {
  damaged_ += segment.damaged ? 0 : 1;
  segment.damaged = true;
}

Result<std::optional<Store::Frame>> Store::next() {
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto at = std::ranges::find_if(segments_, [](const auto& s) { return s->unread(); });
    if (at == segments_.end()) return std::optional<Frame>{};
    const auto segment = *at;
    if (auto opened = open_to_read(*segment); !opened) return opened.error();
    const auto from = segment->read_to;
    const auto end = segment->size;
    lock.unlock();
    const auto found = find_frame(segment->file.get(), from, end);
    Frame frame;
    const bool wanted = found && !found->header.delivered;
    const bool good = !wanted || read_payload(segment->file.get(), *found, frame.payload);
    lock.lock();
    if (!found) {
      if (auto rest = rest_of(segment, end)) return rest;
      continue;
    }
    if (!good || found->at != from) note_damage(*segment);
    segment->read_to = found->at + found->header.size();
    ++segment->read;
    if (!wanted) continue;
    segment->ahead -= found->header.content;
    frame.place = {segment->number, found->at, found->header.crc};
    frame.content = found->header.content;
    frame.restored = segment->restored;
    frame.damaged = !good;
    if (good) return std::optional(std::move(frame));
    lock.unlock();
    done(frame.place, frame.content);
    return std::optional(std::move(frame));
  }
}

std::optional<Store::Frame> Store::rest_of(const SegmentPtr& segment, std::uint64_t end) {
  if (segment->size != end) return {};  // it has grown meanwhile
  note_damage(*segment);
  Frame frame;
  frame.restored = segment->restored;
  frame.damaged = true;
  frame.content = std::exchange(segment->ahead, {});
  segment->read_to = end;
  segment->done += segment->frames - std::exchange(segment->read, segment->frames);
  segment->content -= frame.content;
  remove_if_over(segment);
  return frame;
}

void Store::done(const Place& place, const Part& content) {
  SegmentPtr segment;
  {
    const std::lock_guard lock(mutex_);
    segment = find(place.segment);
  }
  const auto mark = delivered_mark(place.header_crc);
  // Without it (a full disk cannot be the cause, a read-only one can) the batch comes again after a restart.
  static_cast<void>(
      ::pwrite(segment->file.get(), mark.data(), mark.size(), static_cast<off_t>(place.at + FrameHeader::kMarkAt)));
  const std::lock_guard lock(mutex_);
  ++segment->done;
  segment->content -= content;
  remove_if_over(segment);
}

// ---- any thread

Store::Level Store::level() const {
  const std::lock_guard lock(mutex_);
  Level level;
  level.file_size = file_size_;
  for (const auto& segment : segments_) {
    level.frames += segment->frames - segment->done;
    level.content += segment->content;
  }
  return level;
}

bool Store::unread() const {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(segments_, [](const auto& s) { return s->unread(); });
}

std::vector<std::string> Store::take_deleted() {
  const std::lock_guard lock(mutex_);
  return std::exchange(deleted_, {});
}

std::uint64_t Store::damaged_segments() const {
  const std::lock_guard lock(mutex_);
  return damaged_;
}

}  // namespace fffa::core
