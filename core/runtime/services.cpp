// SPDX-License-Identifier: MIT
#include "services.h"

#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdio>
#include <cstdlib>

namespace fffa::core {

namespace {

class SystemClock final : public Clock {
 public:
  TimeNs now() const override {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  std::chrono::nanoseconds monotonic() const override { return Monotonic::now().time_since_epoch(); }
};

}  // namespace

std::unique_ptr<Clock> make_system_clock() {
  return std::make_unique<SystemClock>();
}

std::filesystem::path default_state_root() {
  if (const char* given = std::getenv("STATE_DIRECTORY"); given && *given) {
    const std::string list = given;
    return list.substr(0, list.find(':'));
  }
  if (geteuid() == 0) return "/var/lib/fffa";
  if (const char* xdg = std::getenv("XDG_STATE_HOME"); xdg && *xdg == '/') return std::filesystem::path(xdg) / "fffa";
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home && *home ? home : "/tmp") / ".local/state/fffa";
}

std::string make_uuid() {
  std::array<unsigned char, 16> b{};
  std::size_t have = 0;
  while (have < b.size()) {
    const auto n = getrandom(b.data() + have, b.size() - have, 0);
    if (n > 0) have += static_cast<std::size_t>(n);
  }
  b[6] = static_cast<unsigned char>((b[6] & 0x0fu) | 0x40u);  // version 4, RFC 9562
  b[8] = static_cast<unsigned char>((b[8] & 0x3fu) | 0x80u);
  std::string out;
  for (std::size_t i = 0; i < b.size(); ++i) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x", static_cast<unsigned>(b[i]));
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += hex;
  }
  return out;
}

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return {};
  return name.data();
}

}  // namespace fffa::core
