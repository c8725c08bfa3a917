// SPDX-License-Identifier: MIT
// Sends every record to a syslog collector: RFC 5424 over UDP, the record as JSON.
#include <fffa/plugin.h>

#include <array>
#include <ctime>

#include "udp_socket.h"

namespace {

struct Config {
  std::string host;
  std::uint16_t port = 514;
};
FFFA_CONFIG(Config, (host, "collector"), (port, "UDP port", fffa::range(1, 65535)))

class Syslog final : public fffa::Sink {
 public:
  Syslog(const Config& config, fffa::StageContext& context)
      : context_(context), socket_(config.host, config.port), json_(context.format("json")) {}

  fffa::Result<void> write(const fffa::Batch& batch) override {
    const std::string header = this->header();
    for (const auto& record : batch) {
      line_.assign(header).append(json_(record));
      if (!socket_.send(line_)) return fffa::system_error("send to the collector", errno, fffa::Disposition::retry);
    }
    return {};
  }

 private:
  // "<134>1 2026-01-01T00:00:00Z HOST fffa - flow - ": facility local0, severity informational, no structured data.
  std::string header() const {
    const std::time_t now = context_.clock().now() / 1'000'000'000;
    std::tm utc{};
    std::array<char, 32> time{};
    std::strftime(time.data(), time.size(), "%FT%TZ", gmtime_r(&now, &utc));
    return std::string("<134>1 ") + time.data() + " " + std::string(context_.texts().view(context_.host())) +
           " fffa - flow - ";
  }

  fffa::StageContext& context_;
  UdpSocket socket_;
  fffa::Formatter json_;
  std::string line_;
};

}  // namespace

FFFA_PLUGIN("syslog", "flows to syslog", Syslog, Config)
