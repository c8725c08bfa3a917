// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <unistd.h>
#include <csignal>

#include "cli/cli.h"

namespace {

// A standard stream that the caller closed leaves its number free, and the first file, socket or BPF object that is
// opened gets it: records or log lines would be written into that. So the number is taken, by a file that refuses
// writing: what writes to standard output is told that it cannot.
bool take_standard_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    while (::fcntl(fd, F_GETFD) < 0) {
      const int flags = fd == STDERR_FILENO ? O_WRONLY : O_RDONLY;
      if (::open("/dev/null", flags) < 0) return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (!take_standard_streams()) return 2;
  static_cast<void>(std::signal(SIGXFSZ, SIG_IGN));  // beyond `ulimit -f`, a write fails as on a full disk: no crash
  return fffa::core::run_cli(argc, argv);
}
