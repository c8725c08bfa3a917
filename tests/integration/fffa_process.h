// SPDX-License-Identifier: MIT
// `fffa run` as a process of its own in a namespace.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "netns.h"

namespace fffa::integration {

class FffaProcess {
 public:
  struct Options {
    bool without_privileges = false;  // without CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN
    int stdout_fd = -1;               // in place of a file; closed in this process once started
    std::vector<int> without_capabilities{};
  };
  // Runs `fffa run` on this pipeline.
  FffaProcess(const Netns& netns, std::string_view yaml) : FffaProcess(netns, yaml, Options{}) {}
  FffaProcess(const Netns& netns, std::string_view yaml, Options options);
  // Kills it if it still runs.
  ~FffaProcess();
  FffaProcess(const FffaProcess&) = delete;
  FffaProcess& operator=(const FffaProcess&) = delete;

  // Waits until its log (standard error) contains `part`; false after 30 s, or when it has ended without.
  bool logged(std::string_view part);
  void signal(int number) const;
  pid_t pid() const { return pid_; }
  // Waits until it has ended: the exit code, or minus the signal; -1000 after 30 s.
  int wait();
  std::string out() const;
  std::string log() const;

 private:
  std::filesystem::path folder_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
  bool poll();
};

}  // namespace fffa::integration
