// SPDX-License-Identifier: MIT
#include "bounded_command.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "fffa/detail/descriptor.h"

namespace fffa::ebpf {
namespace {

using Clock = std::chrono::steady_clock;

// The child's descriptors and signals.
class Setup {
 public:
  explicit Setup(int output) {
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files, output, 1);
    ::posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_addclosefrom_np(&files, 3);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    sigset_t set;
    ::sigemptyset(&set);
    ::posix_spawnattr_setsigmask(&attributes, &set);
    ::sigfillset(&set);
    ::posix_spawnattr_setsigdefault(&attributes, &set);
  }
  ~Setup() {
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
  }
  Setup(const Setup&) = delete;
  Setup& operator=(const Setup&) = delete;

  posix_spawn_file_actions_t files{};
  posix_spawnattr_t attributes{};
};

Result<pid_t> spawn(const std::vector<std::string>& command, int output) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::string path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  std::string locale = "LC_ALL=C";
  std::array<char*, 3> environment{path.data(), locale.data(), nullptr};
  const Setup setup(output);
  pid_t child = -1;
  const int error =
      ::posix_spawn(&child, arguments[0], &setup.files, &setup.attributes, arguments.data(), environment.data());
  if (error != 0) return system_error("start " + command[0], error);
  return child;
}

// Until the other end is closed.
Result<std::string> read_all(int fd, Clock::time_point deadline, std::size_t limit) {
  std::string text;
  std::array<char, 65536> buffer;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd wait{fd, POLLIN, 0};
    const int ready = left <= 0 ? 0 : ::poll(&wait, 1, static_cast<int>(left));
    if (ready == 0) return fail("took too long");
    if (ready < 0 && errno == EINTR) continue;
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("read its output");
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    if (text.size() > limit) return fail("printed too much");
  }
}

}  // namespace

Result<std::string> output_of(const std::vector<std::string>& command, std::chrono::milliseconds patience,
                              std::size_t limit) {
  const auto deadline = Clock::now() + patience;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("make a pipe");
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  const auto child = spawn(command, writing.get());
  if (!child) return child.error();
  writing = {};
  auto text = read_all(reading.get(), deadline, limit);
  if (!text) ::kill(*child, SIGKILL);
  int status = 0;
  while (::waitpid(*child, &status, 0) < 0) {
    if (errno != EINTR) return system_error("wait for " + command[0]);
  }
  if (!text) return fail(command[0] + " " + text.error().message);
  if (status != 0) return fail(command[0] + " failed");
  return text;
}

}  // namespace fffa::ebpf
