// SPDX-License-Identifier: MIT
// What is wrong at the moment, said once: in the log, with the option where to look, and in /healthz while it lasts.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>

#include "fffa/context.h"

namespace fffa::kafka_source {

class Trouble {
 public:
  explicit Trouble(StageContext& context) : context_(context) {}
  ~Trouble() {
    if (!all_.empty()) context_.degraded({});
  }
  Trouble(const Trouble&) = delete;
  Trouble& operator=(const Trouble&) = delete;

  // `about`: "connection", "group", "topic flows": there is one at a time of each. `option`: where to look.
  void set(const std::string& about, const std::string& text, std::string_view option) {
    auto& known = all_[about];
    if (known.text == text) return;
    const auto now = context_.clock().monotonic();
    // Brokers take turns in what they say.
    const bool said = !known.text.empty() && now - known.said < kQuiet;
    known.text = text;
    tell();
    if (said) return;
    known.said = now;
    context_.log().error(text + ": tried again until it succeeds, see `" + std::string(option) + "`");
  }
  void clear(const std::string& about) {
    if (all_.erase(about) == 0) return;
    context_.log().info(about + ": it works again");
    tell();
  }
  bool any() const noexcept { return !all_.empty(); }

 private:
  static constexpr std::chrono::nanoseconds kQuiet = std::chrono::seconds(60);
  struct One {
    std::string text;
    std::chrono::nanoseconds said{0};
  };
  StageContext& context_;
  std::map<std::string, One> all_;

  void tell() { context_.degraded(all_.empty() ? std::string_view() : std::string_view(all_.begin()->second.text)); }
};

}  // namespace fffa::kafka_source
