// SPDX-License-Identifier: MIT
// What /healthz and /readyz answer. Any thread.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "http_server.h"

namespace fffa::core {

class Health {
 public:
  // Something is wrong with `stage`, and fffa goes on; one reason a stage, the last one counts.
  void degrade(const std::string& stage, std::string reason);
  void recover(const std::string& stage);
  void set_ready(bool ready) noexcept { ready_.store(ready); }
  bool ready() const noexcept { return ready_.load(); }
  // By stage.
  std::map<std::string, std::string> degraded() const;
  // /healthz: 200 as long as the process answers; JSON with what is degraded.
  HttpResponse healthz() const;
  // /readyz: 200 while all sources are started and the run is not stopping, else 503.
  HttpResponse readyz() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> degraded_;
  std::atomic<bool> ready_{false};
};

// `text` as a JSON string, quotes included. What is not UTF-8 becomes U+FFFD.
std::string json_quote(std::string_view text);

}  // namespace fffa::core
