// SPDX-License-Identifier: MIT
#include "file_sink.h"

#include <algorithm>
#include <array>
#include <utility>

#include "fffa/print.h"

namespace fffa::file {
namespace {

constexpr std::size_t kWriteAtOnce = std::size_t{256} << 10;
constexpr unsigned kNumbers = 100;  // names tried before one with the time

std::filesystem::path whole_path(const std::filesystem::path& path) {
  return std::filesystem::absolute(path).lexically_normal();
}

// "20260101T000500Z"
std::string stamp_text(TimeNs time) {
  std::array<char, kTimeChars> text;
  std::string stamp(text.data(), print_time(time, text.data()));
  stamp.resize(19);
  std::erase_if(stamp, [](char c) { return c == '-' || c == ':'; });
  return stamp + "Z";
}

// What stands behind a name at the n-th attempt: a number, then the time too. Somebody who never clears a folder up has
// taken all numbers one day.
std::string suffix(unsigned attempt, Clock& clock) {
  if (attempt < kNumbers) return attempt == 0 ? "" : "-" + std::to_string(attempt);
  return "-" + stamp_text(clock.now()) + (attempt == kNumbers ? "" : "-" + std::to_string(attempt - kNumbers));
}

// The name before its extension, and the extension with its dot; `.gz` belongs to it.
std::pair<std::string, std::string> split(const std::filesystem::path& path, bool gzip) {
  auto name = path.filename();
  std::string extension;
  if (gzip) {
    extension = ".gz";
    if (name.extension() == ".gz") name = name.stem();
  }
  return {name.stem().string(), name.extension().string() + extension};
}

// memchr looks at many characters at a time, std::count at one.
std::uint64_t count_lines(std::string_view text) {
  std::uint64_t lines = 0;
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string_view::npos; ++at) ++lines;
  return lines;
}

}  // namespace

std::vector<Resource> File::resources(const Config& config) {
  return {{"file", whole_path(config.path).string()}};
}

void File::check(const Config& config, Checker& checker) {
  common::check_log_format(config.log_format, checker);
  const auto name = config.path.filename().string();
  if (name.empty() || name == "." || name == "..") checker.error("path", "names a directory, not a file");
}

File::File(Config config, StageContext& context)
    : config_(std::move(config)),
      context_(context),
      directory_(whole_path(config_.path).parent_path()),
      report_(context) {
  make_format();
  if (auto folder = directory_.folder({}); !folder) throw Failure(folder.error());
  reclaim();
  sync_timer_ = context_.every(config_.sync_interval, [this] {
    if (current_ && std::exchange(unsynced_, false)) report_.outcome(current_->sync(), "cannot sync");
  });
}

void File::make_format() {
  if (config_.format != Format::vpc) {
    format_ = config_.format == Format::ecs ? make_ecs_format(context_.texts()) : make_json_format(context_.texts());
    return;
  }
  VpcFormatOptions options;
  options.log_format = config_.log_format;
  options.eni_address = config_.eni_address;
  auto made = make_vpc_format(context_.texts(), std::move(options));
  if (!made) throw Failure(made.error());
  vpc_ = made->get();
  format_ = std::move(*made);
}

void File::reclaim() {
  const auto [stem, extension] = split(config_.path, config_.gzip);
  const auto owned = [stem = stem, extension = extension](std::string_view name) {
    if (!name.starts_with(stem) || !name.ends_with(extension) || name.size() < stem.size() + extension.size())
      return false;
    // What stands between is a time stamp, a number, or nothing: `flows-web.json` is another sink's.
    const auto middle = name.substr(stem.size(), name.size() - stem.size() - extension.size());
    return std::ranges::all_of(middle,
                               [](char c) { return (c >= '0' && c <= '9') || c == '-' || c == 'T' || c == 'Z'; });
  };
  const auto other_name = [this, extension = extension](std::string_view name, unsigned attempt) {
    return std::string(name.substr(0, name.size() - extension.size())) + suffix(attempt, context_.clock()) + extension;
  };
  const auto found = common::reclaim_leftovers(directory_, {owned, other_name, 0, vpc_ != nullptr}, context_.log());
  report_.reclaimed(found);
}

Result<void> File::write(const Batch& batch) {
  const common::BatchMark now(batch);
  if (pending_ != now) begin(batch);
  pending_ = now;
  if (auto taken = take(batch); !taken) return taken;
  if (auto flushed = flush(); !flushed) return flushed;
  pending_.reset();
  report_.outcome(seal_complete(), "cannot seal a file yet");
  return {};
}

Result<void> File::close() {
  sync_timer_.reset();
  if (auto flushed = flush(); !flushed) return flushed;
  finish_current();
  return seal_complete();
}

void File::begin(const Batch& batch) {
  taken_ = 0;
  slot_ = slot_of(batch);
  if (current_ && slot_ > current_slot_) finish_current();
  if (vpc_ != nullptr) vpc_->interfaces(batch);
}

// Writes while it formats: what is in the processor's cache costs the kernel half as much to copy.
Result<void> File::take(const Batch& batch) {
  for (; taken_ < batch.size(); ++taken_) {
    if (current_ && current_->unwritten() >= kWriteAtOnce) {
      if (auto flushed = current_->flush(); !flushed) return flushed;
    }
    text_.clear();
    format_->append(batch.records[taken_], text_);
    if (text_.empty()) continue;
    if (current_ && config_.max_size && current_->size() >= config_.max_size->bytes) finish_current();
    if (!current_) begin_file(slot_);
    current_->add(text_, vpc_ != nullptr ? count_lines(text_) : 1);
  }
  return {};
}

// The start of the interval that a batch belongs to, by its window or its watermark.
TimeNs File::slot_of(const Batch& batch) const {
  if (!config_.interval) return 0;
  if (batch.window.end == 0 && (batch.watermark == kEndOfInput || batch.watermark <= 0)) return current_slot_;
  const TimeNs time = batch.window.end != 0 ? batch.window.start : batch.watermark - 1;
  return time / config_.interval->count() * config_.interval->count();
}

void File::begin_file(TimeNs slot) {
  current_slot_ = slot;
  const TimeNs stamp = slot != 0 ? slot : context_.clock().now();
  current_ = std::make_unique<common::SealedFile>(
      directory_, common::SealedFile::Options{{},
                                              [this, stamp](unsigned attempt) { return name(stamp, attempt); },
                                              config_.gzip,
                                              std::string(format_->header()),
                                              [this](const common::FileEvent& event) { report_.on_event(event); }});
}

std::string File::name(TimeNs stamp, unsigned attempt) const {
  auto [name, extension] = split(config_.path, config_.gzip);
  if (config_.max_size || config_.interval) name += "-" + stamp_text(stamp);
  return name + suffix(attempt, context_.clock()) + extension;
}

void File::finish_current() {
  if (current_) complete_.push_back(std::move(current_));
}

Result<void> File::flush() {
  for (const auto& file : complete_) {
    if (auto flushed = file->flush(); !flushed) return flushed;
  }
  unsynced_ = true;
  return current_ ? current_->flush() : Result<void>();
}

// As far as possible; the first error.
Result<void> File::seal_complete() {
  Result<void> result;
  std::erase_if(complete_, [&result](const auto& file) {
    auto sealed = file->seal();
    if (!sealed.ok() && result.ok()) result = sealed;
    return sealed.ok();
  });
  return result;
}

}  // namespace fffa::file
