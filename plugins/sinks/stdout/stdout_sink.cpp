// SPDX-License-Identifier: MIT
#include "stdout_sink.h"

#include <poll.h>
#include <unistd.h>
#include <csignal>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "table.h"

namespace fffa::standard_output {
namespace {

// While it lives, writing to a pipe that nobody reads gives EPIPE and no signal in this thread; the process's own
// handling of it stays as it is.
class NoBrokenPipeSignal {
 public:
  NoBrokenPipeSignal() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigemptyset(&pending);
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  NoBrokenPipeSignal(const NoBrokenPipeSignal&) = delete;
  NoBrokenPipeSignal& operator=(const NoBrokenPipeSignal&) = delete;
  ~NoBrokenPipeSignal() {
    const int error = errno;
    const timespec now{};
    while (!was_pending_ && sigtimedwait(&pipe_, nullptr, &now) < 0 && errno == EINTR) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = error;
  }

 private:
  sigset_t pipe_{}, before_{};
  bool was_pending_ = false;
};

bool colourful() {
  return ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
}

}  // namespace

std::vector<Resource> Stdout::resources(const Config&) {
  return {{"stdout", ""}};
}

void Stdout::check(const Config& config, Checker& checker) {
  common::check_log_format(config.log_format, checker);
}

Stdout::Stdout(Config config, StageContext& context)
    : broken_(context.metrics().counter("fffa_stdout_broken_pipes_total",
                                        "Writes that failed because nobody reads standard output any more")) {
  switch (config.format) {
    case Format::json: format_ = make_json_format(context.texts()); break;
    case Format::ecs: format_ = make_ecs_format(context.texts()); break;
    case Format::table: format_ = std::make_unique<TableFormat>(colourful()); break;
    case Format::vpc: {
      VpcFormatOptions options;
      options.log_format = std::move(config.log_format);
      options.eni_address = config.eni_address;
      auto made = make_vpc_format(context.texts(), std::move(options));
      if (!made) throw Failure(made.error());
      vpc_ = made->get();
      format_ = std::move(*made);
    }
  }
  header_due_ = !format_->header().empty();
}

Result<void> Stdout::write(const Batch& batch) {
  const common::BatchMark now(batch);
  if (pending_ != now) {
    format(batch);
    pending_ = now;
  }
  auto flushed = flush();
  if (flushed.ok()) pending_.reset();
  return flushed;
}

void Stdout::format(const Batch& batch) {
  if (vpc_ != nullptr) vpc_->interfaces(batch);
  if (std::exchange(header_due_, false)) text_.append(format_->header()) += '\n';
  for (const auto& record : batch) format_->append(record, text_);
}

Result<void> Stdout::flush() {
  const NoBrokenPipeSignal guard;
  std::size_t written = 0;
  Result<void> result;
  while (written < text_.size()) {
    const auto n = ::write(STDOUT_FILENO, text_.data() + written, text_.size() - written);
    if (n >= 0) {
      written += static_cast<std::size_t>(n);
    } else if (errno == EAGAIN) {
      pollfd wait{STDOUT_FILENO, POLLOUT, 0};
      static_cast<void>(::poll(&wait, 1, -1));
    } else if (errno != EINTR) {
      // EBADF: it was closed before the start (the host has something there that takes no bytes), and stays so.
      const bool gone = errno == EPIPE || errno == EBADF;
      if (gone) broken_.add();
      result = system_error(errno == EBADF ? "standard output is closed: write" : "write to standard output", errno,
                            gone ? Disposition::gone : Disposition::retry);
      break;
    }
  }
  text_.erase(0, written);
  return result;
}

}  // namespace fffa::standard_output
