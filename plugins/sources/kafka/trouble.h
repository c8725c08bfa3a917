// SPDX-License-Identifier: MIT
// What is wrong at the moment, said once: in the log with its place in the configuration, and in /healthz while it
// lasts.
#pragma once

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
    if (known == text) return;
    known = text;
    context_.log().error(text + ": tried again until it succeeds (sources." + context_.id() + "." +
                         std::string(option) + ")");
    tell();
  }
  void clear(const std::string& about) {
    if (all_.erase(about) == 0) return;
    context_.log().info(about + ": it works again");
    tell();
  }
  bool has(const std::string& about) const { return all_.contains(about); }
  bool any() const noexcept { return !all_.empty(); }

 private:
  StageContext& context_;
  std::map<std::string, std::string> all_;

  void tell() { context_.degraded(all_.empty() ? std::string_view() : std::string_view(all_.begin()->second)); }
};

}  // namespace fffa::kafka_source
