// SPDX-License-Identifier: MIT
#include "signals.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <system_error>
#include <thread>

namespace fffa::core {

// timeout(1) and terminals may send one twice: to the process and to its group.
constexpr auto kOneSignal = std::chrono::milliseconds(500);

struct Signals::Loop {
  Handlers handlers;
  sigset_t ours{}, before{};
  int signals = -1;
  int stop = -1;
  std::thread thread;
  std::atomic<const std::function<void()>*> task{nullptr};

  explicit Loop(Handlers h) : handlers(std::move(h)) {
    sigemptyset(&ours);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&ours, signal);
    pthread_sigmask(SIG_BLOCK, &ours, &before);
    std::signal(SIGPIPE, SIG_IGN);
    signals = signalfd(-1, &ours, SFD_CLOEXEC);
    stop = eventfd(0, EFD_CLOEXEC);
    if (signals < 0 || stop < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
    thread = std::thread([this] { run(); });
  }
  void wake() const {
    const std::uint64_t one = 1;
    while (write(stop, &one, sizeof one) < 0 && errno == EINTR) {
    }
  }
  ~Loop() {
    wake();
    thread.join();
    close(signals);
    close(stop);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void run() {
    bool stopping = false;
    std::chrono::steady_clock::time_point since;
    for (;;) {
      pollfd polled[] = {{signals, POLLIN, 0}, {stop, POLLIN, 0}};
      if (poll(polled, 2, -1) < 0 && errno != EINTR) return;
      if (polled[1].revents != 0) {
        std::uint64_t count = 0;
        if (read(stop, &count, sizeof count) < 0 && errno == EINTR) continue;
        const auto* const function = task.load();
        if (!function) return;
        (*function)();
        task = nullptr;
        task.notify_all();
      }
      signalfd_siginfo got{};
      if (polled[0].revents == 0 || read(signals, &got, sizeof got) != sizeof got) continue;
      if (got.ssi_signo == SIGHUP) {
        handlers.reload();
      } else if (!stopping) {
        stopping = true;
        since = std::chrono::steady_clock::now();
        handlers.stop();
      } else if (std::chrono::steady_clock::now() - since > kOneSignal) {
        handlers.leave();
        _exit(128 + static_cast<int>(got.ssi_signo));
      }
    }
  }
};

Signals::Signals(Handlers handlers) : loop_(std::make_unique<Loop>(std::move(handlers))) {}
Signals::~Signals() = default;

void Signals::perform(const std::function<void()>& function) {
  loop_->task = &function;
  loop_->wake();
  loop_->task.wait(&function);
}

}  // namespace fffa::core
