// SPDX-License-Identifier: MIT
#include "graph/settings.h"

#include <charconv>
#include <string_view>

#include "config/yaml.h"

namespace fffa::core {
namespace {

// ADDRESS:PORT, an IPv6 address in brackets.
bool is_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.find(':') != std::string_view::npos && !(host.front() == '[' && host.back() == ']')) return false;
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  return error == std::errc{} && end == port.data() + port.size();
}

}  // namespace

Settings read_settings(const ConfigNode& root, Diagnostics& diagnostics) {
  SettingsOptions options;
  Settings settings;
  static_cast<void>(read_config(part_for<SettingsOptions>(root), "", options, diagnostics));
  settings.shutdown_timeout = options.shutdown_timeout;
  settings.threads = options.threads;
  settings.metrics_listen = options.metrics.listen;
  const ConfigNode* metrics = root.find("metrics");
  const ConfigNode* listen = metrics != nullptr ? metrics->find("listen") : nullptr;
  settings.metrics_listen_explicit = listen != nullptr;
  if (listen != nullptr && listen->value == options.metrics.listen && !listen->value.empty() &&
      !is_endpoint(listen->value)) {
    diagnostics.add({listen->at, "metrics.listen", "expected ADDRESS:PORT, got " + shown(*listen),
                     "as in 127.0.0.1:9464 or [::1]:9464"});
  }
  return settings;
}

}  // namespace fffa::core
