// SPDX-License-Identifier: MIT
#include "isolated.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <exception>
#include <filesystem>
#include <thread>

namespace fffa::testing {

namespace {

using Real = std::chrono::steady_clock;
constexpr int kFinished = 113;  // the child came to its end by itself

[[noreturn]] void run_child(const std::function<std::string()>& check, int out) {
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere >= 0) dup2(nowhere, STDOUT_FILENO), close(nowhere);
  std::string problem;
  try {
    problem = check();
  } catch (const std::exception& exception) {
    problem = std::string("threw: ") + exception.what();
  } catch (...) {
    problem = "threw";
  }
  for (std::string_view rest = problem; !rest.empty();) {
    const ssize_t written = write(out, rest.data(), rest.size());
    if (written <= 0) break;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  _exit(kFinished);
}

// Reads until the end; false at the deadline.
bool read_all(int in, Real::time_point deadline, std::string& text) {
  std::array<char, 4096> buffer{};
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Real::now()).count();
    pollfd wanted{in, POLLIN, 0};
    if (left <= 0 || poll(&wanted, 1, static_cast<int>(left)) == 0) return false;
    const ssize_t length = read(in, buffer.data(), buffer.size());
    if (length <= 0) return true;
    text.append(buffer.data(), static_cast<std::size_t>(length));
  }
}

}  // namespace

std::string isolated(const std::function<std::string()>& check, std::chrono::milliseconds limit) {
  std::array<int, 2> channel{};
  if (pipe2(channel.data(), O_CLOEXEC) != 0) return std::string("pipe: ") + std::strerror(errno);
  const pid_t child = fork();
  if (child == 0) {
    close(channel[0]);
    run_child(check, channel[1]);
  }
  close(channel[1]);
  if (child < 0) return close(channel[0]), std::string("fork: ") + std::strerror(errno);
  std::string problem;
  const bool ended = read_all(channel[0], Real::now() + limit, problem);
  close(channel[0]);
  if (!ended) kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  if (!ended) return "hung: not done after " + std::to_string(limit.count()) + " ms";
  if (WIFSIGNALED(status)) return std::string("crashed: ") + strsignal(WTERMSIG(status));
  if (WEXITSTATUS(status) != kFinished) return "ended the process with status " + std::to_string(WEXITSTATUS(status));
  return problem;
}

Footprint footprint() {
  const auto count = [](const char* folder) {
    const auto entries = std::filesystem::directory_iterator(folder);
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
  };
  return {count("/proc/self/task"), count("/proc/self/fd")};
}

std::string left_behind(const Footprint& before) {
  constexpr int kTries = 50;  // a joined thread stays in /proc for a moment
  Footprint now;
  for (int i = 0; i < kTries; ++i) {
    now = footprint();
    if (now.threads <= before.threads && now.descriptors <= before.descriptors) return {};
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  std::string text;
  if (now.threads > before.threads) text = std::to_string(now.threads - before.threads) + " threads";
  if (now.descriptors > before.descriptors) {
    text += (text.empty() ? "" : " and ") + std::to_string(now.descriptors - before.descriptors) + " file descriptors";
  }
  return text + " are left behind";
}

}  // namespace fffa::testing
