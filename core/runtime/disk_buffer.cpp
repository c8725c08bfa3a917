// SPDX-License-Identifier: MIT
#include "disk_buffer.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "config/trust.h"

namespace fffa::core {

namespace {

constexpr std::uint64_t kGroupSize = 8u << 20;  // octets that share a sync, at most

Part part_of(const Tally& tally) {
  return {static_cast<std::uint64_t>(tally.records), static_cast<std::uint64_t>(tally.packets),
          static_cast<std::uint64_t>(tally.bytes)};
}
Tally tally_of(const Part& part) {
  return {static_cast<std::int64_t>(part.records), static_cast<std::int64_t>(part.packets),
          static_cast<std::int64_t>(part.bytes)};
}

// Makes it, and what is missing above it, for its owner alone. The names are on disk then.
Result<void> make_directory(const std::filesystem::path& directory) {
  const auto above = directory.parent_path();
  bool made = ::mkdir(directory.c_str(), S_IRWXU) == 0;
  if (!made && errno == ENOENT && above != directory) {
    if (auto result = make_directory(above); !result) return result;
    made = ::mkdir(directory.c_str(), S_IRWXU) == 0;
  }
  if (!made) return errno == EEXIST ? Result<void>{} : system_error("make directory " + directory.string());
  const Descriptor folder(::open(above.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
  return folder && ::fsync(folder.get()) == 0 ? Result<void>{} : system_error("sync " + above.string());
}

// Ready to be used, and nobody's who must not.
Result<void> prepare(const std::filesystem::path& directory) {
  if (auto made = make_directory(std::filesystem::absolute(directory)); !made) return made;
  if (auto trusted = check_trusted_by_root(directory); !trusted)
    return fail(directory.string() + ": " + trusted.error().message);
  // With the sticky bit others cannot replace a file there, but add one.
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0) return system_error("look at " + directory.string());
  if (::geteuid() == 0 && (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(directory.string() + ": others may write into it: chmod go-w " + directory.string());
  return {};
}

Counter& counter(Services& services, const StageSpec& spec, const std::string& name, const char* help) {
  return services.metrics.counter("fffa_buffer_" + name + "_total", help, {{"stage", spec.id}, {"type", spec.type}});
}

}  // namespace

Result<std::shared_ptr<Buffer>> DiskBuffer::open(const StageSpec& spec, Host& host,
                                                 const std::shared_ptr<Services>& services,
                                                 std::shared_ptr<Waker> intake) {
  const auto directory =
      spec.buffer.directory.empty() ? services->state_root / spec.id / "buffer" : spec.buffer.directory;
  if (auto ready = prepare(directory); !ready) return ready.error();
  auto store = Store::open({directory, spec.buffer.max_size});
  if (!store) return store.error();
  return std::shared_ptr<Buffer>(
      std::make_shared<DiskBuffer>(spec, host, services, std::move(intake), std::move(*store)));
}

DiskBuffer::DiskBuffer(const StageSpec& spec, Host& host, const std::shared_ptr<Services>& services,
                       std::shared_ptr<Waker> intake, std::unique_ptr<Store> store)
    : Buffer(spec, host, services, std::move(intake)),
      store_(std::move(store)),
      max_size_(spec.buffer.max_size),
      drops_(spec.buffer.when_full == WhenFull::drop_oldest),
      syncs_(counter(*services, spec, "syncs", "Times that a group of batches was made durable")),
      errors_(counter(*services, spec, "errors", "Groups of batches that could not be written")),
      damaged_(counter(*services, spec, "damaged_segments", "Files in which something could not be read")),
      deleted_(counter(*services, spec, "damaged_deleted", "Damaged files that were deleted for want of room")),
      encoder_(services->texts),
      decoder_(services->texts) {}

void DiskBuffer::begin() {
  const auto& found = store_->opening();
  for (const auto& damage : found.damaged)
    host_.say(LogLevel::error, damage + ", what else it held is lost, and nobody knows how much");
  if (!found.damaged.empty()) services_->lost_uncounted = true;
  if (found.cut_off > 0)
    host_.say(LogLevel::info, std::to_string(found.cut_off) + " octets of a write that was not finished are cut off");
  note_damage();
  if (found.frames == 0) return;
  host_.note_restored(tally_of(found.content));
  host_.say(LogLevel::info, "restored from the buffer: " + std::to_string(found.content.records) + " records in " +
                                std::to_string(found.frames) + " batches, which are delivered first");
}

void DiskBuffer::set_limits(const BufferSpec& spec) {
  spec_ = spec;
  max_size_ = spec.max_size;
  store_->set_max_size(spec.max_size);
  drops_ = spec.when_full == WhenFull::drop_oldest;
  note_damage();
  intake_->signal();
}

// ---- the intake

std::chrono::nanoseconds DiskBuffer::fill() {
  const auto now = Monotonic::now();
  if (next_try_ > now && !services_->abandoned) return next_try_ - now;
  const std::uint64_t most = std::min(kGroupSize, max_size_ / 16);
  for (std::uint64_t size = 0; size < most;) {
    if (!write_next()) break;
    size += group_.back().cost * sizeof(FlowRecord);
  }
  if (group_.empty()) {
    if (failures_ == 0 && waiting_.empty()) relieve();
    return kForever;
  }
  if (auto result = store_->commit(); !result) return failed(result.error());
  syncs_.add();
  relieve();
  for (auto& message : group_) {
    note_end(message);
    host_.accepted(std::move(message));
  }
  group_.clear();
  host_.has_more();
  return kNow;
}

bool DiskBuffer::write_next() {
  if (waiting_.empty()) {
    auto message = host_.take_in();
    if (!message) return false;
    waiting_.push_back(std::move(*message));
  }
  if (payload_.empty()) encoder_.append(*waiting_.front().batch, payload_);
  if (!find_room()) return false;
  store_->append(payload_, part_of(waiting_.front().tally));
  payload_.clear();
  group_.push_back(std::move(waiting_.front()));
  waiting_.pop_front();
  return true;
}

bool DiskBuffer::find_room() {
  while (!store_->make_room(payload_.size())) {
    if (!group_.empty()) return false;  // once it is committed, and perhaps delivered, there may be
    short_of_room_ = true;
    const auto dropped = drops_ ? store_->drop_oldest() : std::nullopt;
    if (dropped) {
      host_.trouble("the buffer is full: what waited longest is given up", LogLevel::warning);
      give_up("buffer_full", tally_of(*dropped));
      continue;
    }
    host_.trouble("the buffer is full: what comes waits until something is delivered", LogLevel::warning);
    if (!store_->make_room(payload_.size())) return false;  // else it was delivered before short_of_room_ was set
  }
  return true;
}

// What could be written is: all is well, unless there is hardly room for more.
void DiskBuffer::relieve() {
  if (failures_ == 0 && !short_of_room_) return;
  if (failures_ == 0 && store_->level().file_size > max_size_ / 4 * 3) return;
  failures_ = 0;
  short_of_room_ = false;
  host_.trouble({}, LogLevel::info);
}

std::chrono::nanoseconds DiskBuffer::failed(const Error& error) {
  errors_.add();
  waiting_.insert(waiting_.begin(), std::move_iterator(group_.begin()), std::move_iterator(group_.end()));
  group_.clear();
  payload_.clear();
  host_.trouble(error.message, LogLevel::error);
  const auto tries = failures_++;
  if (error.system_errno == ENOSPC && drops_) {
    if (const auto dropped = store_->drop_oldest()) {
      give_up("buffer_full", tally_of(*dropped));
      return kNow;
    }
  }
  const auto& tuning = services_->tuning;
  const auto pause =
      std::min<std::chrono::nanoseconds>(tuning.retry_first * (1 << std::min(tries, 10)), tuning.retry_longest);
  next_try_ = Monotonic::now() + pause;
  return pause;
}

void DiskBuffer::give_up(const char* reason, const Tally& tally) {
  host_.note_lost(reason, tally);
  host_.released(tally);
}

// ---- the sink's thread

Result<std::optional<Buffer::Taken>> DiskBuffer::next() {
  // What the sink has cannot be dropped, and must leave enough that can.
  while (outstanding_ == 0 || outstanding_ < max_size_ / 4) {
    auto frame = store_->next();
    if (!frame) return frame.error();
    if (!*frame) break;
    if ((*frame)->damaged) {
      note_damage();
      give_up("buffer_damaged", tally_of((*frame)->content));
    } else if (auto taken = read(**frame)) {
      return taken;
    }
    if (short_of_room_) intake_->signal();  // what was given up has made some
  }
  return std::optional<Taken>{};
}

std::optional<Buffer::Taken> DiskBuffer::read(const Store::Frame& frame) {
  Batch batch;
  std::string refused;
  const bool good = decoder_.decode(frame.payload, batch, refused);
  if (!good) batch = {};
  if (!good) refused = "a batch cannot be read";
  if (!refused.empty() && refused != refused_) host_.say(LogLevel::error, "something in it is lost: " + refused);
  if (!refused.empty()) refused_ = refused;
  const auto tally = fffa::core::tally_of(batch);
  if (const auto missing = tally_of(frame.content) - tally; !missing.empty()) give_up("buffer_damaged", missing);
  if (!good) {
    store_->done(frame.place, frame.content);
    return {};
  }
  // The end of an earlier run is not the end of this one.
  if (frame.restored && batch.watermark == kEndOfInput) batch.watermark = watermark_;
  watermark_ = batch.watermark;
  const auto cost = std::max<std::size_t>(batch.size(), 1);
  outstanding_ += cost * sizeof(FlowRecord);
  return Taken{{nullptr, BatchRef(std::move(batch)), nullptr, cost, tally}, frame.place, frame.content};
}

void DiskBuffer::done(const Taken& taken) {
  outstanding_ -= taken.message.cost * sizeof(FlowRecord);
  store_->done(taken.place, taken.content);
  host_.released(taken.message.tally);
  note_damage();
  if (short_of_room_) intake_->signal();
}

void DiskBuffer::note_damage() {
  for (const auto& file : store_->take_deleted()) {
    deleted_.add();
    host_.say(LogLevel::warning, file + " is deleted: damaged files take a quarter of `max_size` at most");
  }
  const auto all = store_->damaged_segments();
  if (all == noted_damage_) return;
  damaged_.add(all - std::exchange(noted_damage_, all));
  host_.say(LogLevel::error,
            "something in the buffer's files cannot be read; what can is delivered, and the file kept "
            "as NUMBER.damaged");
}

// ---- any thread

Buffer::Level DiskBuffer::level() const {
  const auto level = store_->level();
  return {tally_of(level.content), level.file_size};
}
bool DiskBuffer::drained() const {
  return store_->level().frames == 0;
}

}  // namespace fffa::core
