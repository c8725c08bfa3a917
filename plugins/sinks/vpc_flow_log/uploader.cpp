// SPDX-License-Identifier: MIT
#include "uploader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <thread>

#include "fffa_aws/object_upload.h"
#include "fffa_common/sealed_file.h"
#include "keys.h"

namespace fffa::vpc_flow_log {
namespace {

using namespace std::chrono_literals;
using Kind = aws::S3Reply::Kind;

constexpr std::chrono::nanoseconds kFirstPause = 500ms;
constexpr std::chrono::nanoseconds kLongestPause = 30s;
constexpr std::chrono::nanoseconds kLookAgain = 60s;    // for files of another process
constexpr std::chrono::nanoseconds kCloseReserve = 1s;  // of the time that close() has: a transfer stops within it
constexpr unsigned kMaxAttempts = 1000;

const char* environment(const char* name) {
  return std::getenv(name);
}

std::string amount(std::uint64_t files, std::uint64_t bytes) {
  return std::to_string(files) + (files == 1 ? " file, " : " files, ") + std::to_string(bytes) + " bytes";
}

// What failed concerns this file alone.
bool others_may_pass(Kind kind) {
  return kind == Kind::rejected || kind == Kind::exists || kind == Kind::absent || kind == Kind::unsupported;
}

struct Meters {
  explicit Meters(Metrics& metrics)
      : files(metrics.gauge("fffa_s3_waiting_files", "Sealed files that are not confirmed by the store yet")),
        bytes(metrics.gauge("fffa_s3_waiting_bytes", "Their bytes")),
        oldest(metrics.gauge("fffa_s3_oldest_waiting_seconds", "How long the oldest of them has been sealed")),
        uploaded(metrics.counter("fffa_s3_uploaded_bytes_total", "Bytes of files that the store has confirmed")),
        stored(attempt(metrics, "stored")),
        already_there(attempt(metrics, "already_there")) {
    for (std::size_t i = 1; i < failed.size(); ++i) failed[i] = &attempt(metrics, aws::name_of(static_cast<Kind>(i)));
  }
  static Counter& attempt(Metrics& metrics, std::string_view outcome) {
    return metrics.counter("fffa_s3_uploads_total", "Attempts to upload a file, by outcome", {{"outcome", outcome}});
  }
  Gauge& files;
  Gauge& bytes;
  Gauge& oldest;
  Counter& uploaded;
  Counter& stored;
  Counter& already_there;
  std::array<Counter*, 9> failed{};  // by Kind; none for `ok`
};

}  // namespace

class Uploader::Worker {
 public:
  Worker(UploadOptions options, StageContext& context)
      : options_(std::move(options)),
        context_(context),
        clock_(context.clock()),
        staging_(options_.directory),
        s3_(options_.s3, aws::CredentialSource(options_.credentials_file, clock_, stop, &environment), clock_, stop),
        meters_(context.metrics()) {}

  std::atomic<bool> stop{false};
  std::atomic<bool> draining{false};  // close() waits: passes follow each other here
  std::atomic<std::uint64_t> waiting{0};

  // Uploads what is there. How long to wait before the next pass.
  std::chrono::nanoseconds work() {
    for (;;) {
      const auto pause = pass();
      if (!draining || stop || waiting_files_ == 0) return pause;
      rest(pause);
    }
  }
  const std::filesystem::path& directory() const noexcept { return staging_.directory(); }

  void begin() {
    const std::lock_guard lock(mutex_);
    ++passes_;
  }
  void end() {
    const std::lock_guard lock(mutex_);
    --passes_;
    changed_.notify_all();
  }
  bool wait_for_end(std::chrono::nanoseconds limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [this] { return passes_ == 0; });
  }

 private:
  UploadOptions options_;
  StageContext& context_;
  Clock& clock_;
  Staging staging_;
  aws::S3 s3_;
  Meters meters_;
  std::atomic<std::uint64_t> waiting_files_{0};
  std::minstd_rand random_{std::random_device{}()};
  int failures_ = 0;
  std::string trouble_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int passes_ = 0;  // that run or wait to

  std::chrono::nanoseconds pass() {
    if (auto locked = staging_.lock(); !locked) return failed(locked.error().message, {});
    auto listed = staging_.list();
    if (!listed) return failed(listed.error().message, {});
    auto& files = *listed;
    std::uint64_t bytes = 0;
    for (const auto& file : files) bytes += file.size;
    std::uint64_t left = files.size();
    aws::Uploaded worst{Kind::ok, false, {}, {}};
    const StagedFile* stays = nullptr;  // the oldest that could not be uploaded
    measure(left, bytes, files.empty() ? nullptr : &files.front());
    for (std::size_t i = 0; i < files.size() && !stop; ++i) {
      auto outcome = upload(files[i]);
      if (outcome.kind != Kind::ok) meters_.failed[static_cast<std::size_t>(outcome.kind)]->add();
      if (outcome.kind == Kind::ok) {
        const auto* next = i + 1 < files.size() ? &files[i + 1] : nullptr;
        measure(--left, bytes -= files[i].size, stays != nullptr ? stays : next);
        continue;
      }
      worst = std::move(outcome);
      if (stays == nullptr) stays = &files[i];
      if (!others_may_pass(worst.kind)) break;
    }
    if (stop) return kLookAgain;
    return worst.kind == Kind::ok ? succeeded() : failed(worst.error, worst.retry_after);
  }

  void measure(std::uint64_t files, std::uint64_t bytes, const StagedFile* oldest) {
    waiting_files_ = files;
    waiting = bytes;
    meters_.files.set(static_cast<double>(files));
    meters_.bytes.set(static_cast<double>(bytes));
    const TimeNs age = oldest == nullptr ? 0 : clock_.now() - oldest->modified;
    meters_.oldest.set(static_cast<double>(std::max<TimeNs>(0, age)) / 1e9);
  }

  // Before the file is removed: whoever sees that it is gone sees it counted.
  void confirmed(const aws::Uploaded& outcome, const StagedFile& file) {
    (outcome.already_there ? meters_.already_there : meters_.stored).add();
    meters_.uploaded.add(file.size);
    context_.log().info((outcome.already_there ? "is there already: " : "uploaded ") + file.key(options_.prefix) +
                        " (" + std::to_string(file.size) + " bytes)");
  }

  aws::Uploaded upload(const StagedFile& file) {
    const auto folder = staging_.open_folder(file);
    Descriptor opened(folder ? ::openat(folder.get(), file.name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1);
    struct stat status {};
    if (!opened || ::fstat(opened.get(), &status) != 0)
      return {Kind::rejected, false, system_error("open " + file.name).message, {}};
    const aws::LocalFile local{folder.get(), file.name, opened.get(), static_cast<std::uint64_t>(status.st_size)};
    auto outcome = aws::upload_file(s3_, local, file.key(options_.prefix));
    if (outcome.kind == Kind::ok) confirmed(outcome, file);
    if (outcome.kind == Kind::ok && ::unlinkat(folder.get(), file.name.c_str(), 0) != 0)
      return {Kind::rejected, false, system_error("remove " + file.name).message, {}};
    if (outcome.kind == Kind::exists) rename(folder.get(), file);
    return outcome;
  }

  // Somebody else's object has the key: it stays, and this file gets another name of the same form.
  // A random one: whoever met the same key before has taken what follows from it.
  void rename(int folder, const StagedFile& file) {
    for (unsigned attempt = 0; attempt < kMaxAttempts; ++attempt) {
      const auto name = other_file_name(file.name, static_cast<unsigned>(random_()));
      if (common::rename_to_free_name(folder, file.name, name)) {
        static_cast<void>(::fsync(folder));
        context_.log().warning(file.name + " is now " + name + ": other bytes have its key in the bucket");
        return;
      }
      if (errno != EEXIST) return;
    }
  }

  std::chrono::nanoseconds succeeded() {
    failures_ = 0;
    if (trouble_.empty()) return kLookAgain;
    trouble_.clear();
    context_.degraded({});
    context_.log().info("uploads again");
    return kLookAgain;
  }

  // Says a trouble once, until it is another. The next pass comes after 0.5 to 30 s, or when the server wants it.
  std::chrono::nanoseconds failed(const std::string& error, std::chrono::seconds wish) {
    context_.degraded("upload: " + error + "; " + amount(waiting_files_, waiting) + " wait");
    if (trouble_ != error) {
      trouble_ = error;
      context_.log().warning("upload: " + error + ": " + amount(waiting_files_, waiting) + " wait in " +
                             staging_.directory().string() + ", tried again until it succeeds");
    }
    const auto pause = std::min(kLongestPause, kFirstPause * (1 << std::min(failures_++, 10)));
    const auto jitter = std::uniform_real_distribution<>(0.5, 1)(random_);
    return std::max<std::chrono::nanoseconds>(
        wish, std::chrono::nanoseconds(static_cast<std::int64_t>(static_cast<double>(pause.count()) * jitter)));
  }

  void rest(std::chrono::nanoseconds pause) const {
    for (; pause > 0ns && !stop; pause -= 20ms) std::this_thread::sleep_for(20ms);
  }
};

Uploader::Uploader(UploadOptions options, StageContext& context)
    : context_(context), worker_(std::make_shared<Worker>(std::move(options), context)) {
  start();
}

Uploader::~Uploader() {
  worker_->stop = true;
}

void Uploader::wake(std::uint64_t bytes) {
  worker_->waiting += bytes;
  if (running_) {
    again_ = true;
  } else if (!troubled_) {
    start();
  }
}

std::uint64_t Uploader::waiting() const noexcept {
  return worker_->waiting;
}

void Uploader::start() {
  running_ = true;
  again_ = false;
  worker_->begin();
  context_.background([this, worker = worker_, &context = context_] {
    const auto pause = worker->stop ? kLookAgain : worker->work();
    worker->end();
    context.post([this, pause] { passed(pause); });  // does not run once the stage is gone
  });
}

void Uploader::passed(std::chrono::nanoseconds pause) {
  running_ = false;
  troubled_ = pause != kLookAgain;
  // What was sealed meanwhile goes at once, unless the server is in trouble.
  if (again_ && !troubled_) return start();
  timer_ = context_.every(pause, [this] {
    if (!running_) start();
  });
}

void Uploader::close() {
  timer_.reset();
  worker_->draining = true;
  // A pass that is under way may have looked before the last file was sealed: another one follows it.
  if (context_.close_time() > kCloseReserve) start();
  while (context_.close_time() > kCloseReserve && !worker_->wait_for_end(50ms)) {
  }
  worker_->stop = true;
  const auto left = Staging(worker_->directory()).list();
  if (!left || left->empty()) return;
  std::uint64_t bytes = 0;
  for (const auto& file : *left) bytes += file.size;
  context_.log().warning(amount(left->size(), bytes) + " stay in " + worker_->directory().string() +
                         ": the next start uploads them");
}

}  // namespace fffa::vpc_flow_log
