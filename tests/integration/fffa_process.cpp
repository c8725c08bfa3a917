// SPDX-License-Identifier: MIT
#include "fffa_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace fffa::integration {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);  // under emulation everything takes its time
using Clock = std::chrono::steady_clock;

// The program under test: that of this build, unless the environment names another.
std::string program() {
  const char* named = std::getenv("FFFA");
  return named != nullptr ? named : FFFA_PROGRAM;
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void drop_privileges() {
  for (const int capability : {39, 12, 21}) ::prctl(PR_CAPBSET_DROP, capability);  // BPF, NET_ADMIN, SYS_ADMIN
}

}  // namespace

FffaProcess::FffaProcess(const Netns& netns, std::string_view yaml, Options options) {
  std::string folder = (std::filesystem::temp_directory_path() / "fffa-source-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("mkdtemp");
  folder_ = folder;
  std::ofstream(folder_ / "pipeline.yaml") << yaml;
  const std::string path = program();
  const std::string pipeline = folder_ / "pipeline.yaml";
  const int out = options.stdout_fd >= 0 ? options.stdout_fd
                                         : ::open((folder_ / "out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const int log = ::open((folder_ / "log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const Netns::Inside inside(netns);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (options.without_privileges) drop_privileges();
    for (const int capability : options.without_capabilities) ::prctl(PR_CAPBSET_DROP, capability);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    ::execl(path.c_str(), path.c_str(), "run", pipeline.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(out);
  ::close(log);
}

FffaProcess::~FffaProcess() {
  if (!poll()) {
    signal(SIGKILL);
    wait();
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

bool FffaProcess::poll() {
  if (!ended_) ended_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
  return ended_;
}

bool FffaProcess::logged(std::string_view part) {
  const auto end = Clock::now() + kPatience;
  for (bool last = false;; last = poll()) {
    if (log().find(part) != std::string::npos) return true;
    if (last || Clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void FffaProcess::signal(int number) const {
  ::kill(pid_, number);
}

int FffaProcess::wait() {
  const auto end = Clock::now() + kPatience;
  while (!poll()) {
    if (Clock::now() > end) return -1000;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_);
}

std::string FffaProcess::out() const {
  return read_file(folder_ / "out");
}
std::string FffaProcess::log() const {
  return read_file(folder_ / "log");
}

}  // namespace fffa::integration
