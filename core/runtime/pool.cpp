// SPDX-License-Identifier: MIT
#include "pool.h"

// ThreadSanitizer knows no fences (GCC refuses to compile them); Asio's queues are locked all the same.
#if defined(__SANITIZE_THREAD__)
#define BOOST_ASIO_DISABLE_FENCED_BLOCK
#endif

#include <algorithm>
#include <atomic>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace fffa::core {

namespace asio = boost::asio;
using AsioStrand = asio::strand<asio::io_context::executor_type>;

namespace {

class PoolStrand final : public Strand {
 public:
  explicit PoolStrand(asio::io_context& io) : strand_(asio::make_strand(io)) {}
  void post(std::function<void()> function) override { asio::post(strand_, std::move(function)); }

 private:
  AsioStrand strand_;
};

// Owned by its pending wait and by the handle's cancellation; all of it runs on the strand.
class Ticker : public std::enable_shared_from_this<Ticker> {
 public:
  Ticker(asio::io_context& io, std::chrono::nanoseconds period, std::function<void()> tick)
      : strand_(asio::make_strand(io)), timer_(strand_), period_(period), tick_(std::move(tick)) {}
  void start() {
    timer_.expires_after(period_);
    wait();
  }
  void cancel() {
    cancelled_ = true;
    asio::post(strand_, [self = shared_from_this()] { self->timer_.cancel(); });
  }

 private:
  AsioStrand strand_;
  asio::steady_timer timer_;
  std::chrono::nanoseconds period_;
  std::function<void()> tick_;
  std::atomic<bool> cancelled_{false};

  void wait() {
    timer_.async_wait(asio::bind_executor(strand_, [self = shared_from_this()](const boost::system::error_code& error) {
      if (error || self->cancelled_) return;
      self->tick_();
      self->timer_.expires_at(std::max(self->timer_.expiry() + self->period_, std::chrono::steady_clock::now()));
      self->wait();
    }));
  }
};

}  // namespace

struct Pool::Impl {
  asio::io_context io;
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::condition_variable ended;
  std::size_t running = 0;
};

Pool::Pool() : impl_(std::make_unique<Impl>()) {}
Pool::~Pool() = default;

void Pool::start(std::size_t threads) {
  for (std::size_t i = 0; i < std::max<std::size_t>(threads, 1); ++i) {
    const std::lock_guard making(impl_->mutex);  // counts those that were made: making one may throw
    impl_->threads.emplace_back([impl = impl_.get()] {
      impl->io.run();
      const std::lock_guard lock(impl->mutex);
      --impl->running;
      impl->ended.notify_all();
    });
    ++impl_->running;
  }
}

std::shared_ptr<Strand> Pool::make_strand() {
  return std::make_shared<PoolStrand>(impl_->io);
}

std::shared_ptr<void> Pool::every(std::chrono::nanoseconds period, std::function<void()> tick) {
  // A period of zero would spin.
  auto ticker = std::make_shared<Ticker>(
      impl_->io, std::max<std::chrono::nanoseconds>(period, std::chrono::milliseconds(1)), std::move(tick));
  ticker->start();
  return {ticker.get(), [ticker](void*) { ticker->cancel(); }};
}

bool Pool::stop(std::chrono::nanoseconds limit) {
  impl_->io.stop();
  bool ended = false;
  {
    std::unique_lock lock(impl_->mutex);
    ended = impl_->ended.wait_for(lock, limit, [&] { return impl_->running == 0; });
  }
  for (auto& thread : impl_->threads) ended ? thread.join() : thread.detach();
  impl_->threads.clear();
  return ended;
}

}  // namespace fffa::core
