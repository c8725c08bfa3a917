// SPDX-License-Identifier: MIT
#include "health.h"

#include <nlohmann/json.hpp>

namespace fffa::core {

void Health::degrade(const std::string& stage, std::string reason) {
  const std::lock_guard lock(mutex_);
  degraded_[stage] = std::move(reason);
}

void Health::recover(const std::string& stage) {
  const std::lock_guard lock(mutex_);
  degraded_.erase(stage);
}

std::map<std::string, std::string> Health::degraded() const {
  const std::lock_guard lock(mutex_);
  return degraded_;
}

HttpResponse Health::healthz() const {
  const auto all = degraded();
  std::string body = all.empty() ? R"({"status":"ok","degraded":[)" : R"({"status":"degraded","degraded":[)";
  const char* separator = "";
  for (const auto& [stage, reason] : all) {
    body += separator;
    body += R"({"stage":)" + json_quote(stage) + R"(,"reason":)" + json_quote(reason) + "}";
    separator = ",";
  }
  return {200, "application/json", body + "]}\n"};
}

HttpResponse Health::readyz() const {
  return ready() ? HttpResponse{200, "text/plain; charset=utf-8", "ready\n"}
                 : HttpResponse{503, "text/plain; charset=utf-8", "not ready\n"};
}

std::string json_quote(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace fffa::core
