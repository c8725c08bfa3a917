// SPDX-License-Identifier: MIT
#include "live_source.h"

#include <poll.h>

#include <algorithm>
#include <stdexcept>

#include "ebpf.h"
#include "fffa/testing/config_text.h"

namespace fffa::integration {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(15);

}  // namespace

class LiveSource::LiveOutput final : public Output {
 public:
  explicit LiveOutput(LiveSource& live) : live_(live) {}
  bool emit(Batch batch, Acknowledge acknowledge) override {
    std::unique_lock lock(live_.mutex_);
    live_.changed_.wait(lock, [&] { return !live_.blocked_; });
    live_.batches_.push_back(std::move(batch));
    live_.changed_.notify_all();
    if (acknowledge) acknowledge(Outcome::delivered);
    return true;
  }
  bool ready() const override {
    const std::lock_guard lock(live_.mutex_);
    return !live_.blocked_;
  }
  bool wait(std::chrono::nanoseconds period, int fd) override {
    pollfd wanted{fd, POLLIN, 0};
    const auto limit = std::min<std::chrono::nanoseconds>(period, std::chrono::milliseconds(50));
    const timespec time{0, static_cast<long>(limit.count())};
    ::ppoll(&wanted, fd < 0 ? 0 : 1, &time, nullptr);
    return !stopping();
  }
  bool stopping() const override { return live_.stop_; }
  bool settle() override { return true; }

 private:
  LiveSource& live_;
};

LiveSource::LiveSource(const Netns& netns, std::string_view options) {
  auto node = fffa::testing::parse_config(options);
  if (!node) throw std::runtime_error(node.error().message);
  thread_ = std::thread([this, &netns, node = *node] { live(netns, node); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return started_; });
}

void LiveSource::live(const Netns& netns, ConfigNode node) {
  const Netns::Inside inside(netns);
  static constexpr StageType kType = stage_type<ebpf::Ebpf, ebpf::Config>("ebpf", "under test");
  Diagnostics problems;
  Result<void> outcome;
  std::unique_ptr<Stage> stage;
  if (!kType.check(node, "capture", problems)) {
    outcome = fail(to_string(problems.all().at(0)));
  } else if (auto made = kType.create(node, context_); !made) {
    outcome = made.error();
  } else {
    stage = std::move(*made);
    outcome = static_cast<Source&>(*stage).start();
  }
  {
    const std::lock_guard lock(mutex_);
    started_ = true;
    if (!outcome) failure_ = outcome.error();
    changed_.notify_all();
  }
  if (!outcome) return;
  LiveOutput output(*this);
  outcome = static_cast<Source&>(*stage).run(output);
  const std::lock_guard lock(mutex_);
  if (!outcome) failure_ = outcome.error();
}

LiveSource::~LiveSource() {
  block(false);
  stop();
}

void LiveSource::stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

std::string LiveSource::error() const {
  const std::lock_guard lock(mutex_);
  return failure_.message;
}

void LiveSource::block(bool blocked) {
  const std::lock_guard lock(mutex_);
  blocked_ = blocked;
  changed_.notify_all();
}

void LiveSource::wait_for_batches(std::size_t count) {
  std::unique_lock lock(mutex_);
  const std::size_t wanted = batches_.size() + count;
  if (!changed_.wait_for(lock, kPatience, [&] { return batches_.size() >= wanted; }))
    throw std::runtime_error("no batches");
}

bool LiveSource::logged(std::string_view part) {
  const auto end = Clock::now() + kPatience;
  while (!context_.captured_log().contains(part)) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

std::vector<Batch> LiveSource::batches() const {
  const std::lock_guard lock(mutex_);
  return batches_;
}

Account LiveSource::account() const {
  Account sum;
  for (const auto& batch : batches()) {
    sum.records += batch.volume();
    for (const auto& record : batch) sum.by_direction[record.direction] += {record.packets, record.bytes};
    for (const auto& status : batch.interfaces) {
      sum.seen += status.seen;
      sum.filtered += status.filtered;
      sum.lost += status.lost;
    }
  }
  return sum;
}

}  // namespace fffa::integration
