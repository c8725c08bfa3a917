// SPDX-License-Identifier: MIT
// The enricher `imds`: who the instance and its network interfaces are, from the EC2 instance metadata service.
//
// All requests run in StageContext::background(); records only look into what came back. Until then, and off AWS, the
// fields stay null.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "fffa/plugin.h"
#include "fffa_aws/imds_client.h"
#include "links.h"
#include "metadata.h"

namespace fffa::imds {

using aws::ClientOptions;

struct Config {
  std::optional<std::string> endpoint;
  std::chrono::nanoseconds refresh_interval = std::chrono::minutes(5);
  std::optional<std::chrono::nanoseconds> timeout;
  std::optional<int> attempts;
};
FFFA_CONFIG(Config,
            (endpoint,
             "base URL; default: AWS_EC2_METADATA_SERVICE_ENDPOINT, else by AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"),
            (refresh_interval, "how often everything is asked for again", fffa::range(1, 86400)),
            (timeout, "to connect; a whole request may take twice that. Default: AWS_METADATA_SERVICE_TIMEOUT, else 1s",
             fffa::range(0.01, 60)),
            (attempts,
             "per request, where the service answers with an error. Default: AWS_METADATA_SERVICE_NUM_ATTEMPTS, else 3",
             fffa::range(1, 10)))

// What the configuration and AWS's environment variables come to; `variable` is getenv() or a test's own.
ClientOptions client_options(const Config& config, const char* (*variable)(const char*));

class Imds final : public Enricher {
 public:
  Imds(Config config, StageContext& context);
  ~Imds() override;
  static void check(const Config& config, Checker& checker);
  Result<void> enrich(Batch& batch) override;

 private:
  // Outlives the stage while a request is under way.
  struct Worker {
    Worker(ClientOptions options, Clock& clock) : client(std::move(options), clock, stop) {}
    std::atomic<bool> stop{false};
    Client client;
  };
  struct Identity {
    AwsIdentity aws;
    Address primary_ipv4{};
    Address primary_ipv6{};
    std::uint32_t ifindex = 0;
    bool unresolved = false;  // the kernel's interfaces have to be listed again
  };

  StageContext& context_;
  std::chrono::nanoseconds refresh_interval_;
  std::shared_ptr<Worker> worker_;
  std::unique_ptr<Timer> timer_;
  std::minstd_rand random_{std::random_device{}()};
  std::optional<Instance> instance_;  // the last that was fetched whole
  std::vector<Link> links_;
  Identity general_;  // of interfaces that are no ENI
  std::unordered_map<Text, Identity> identities_;
  bool fetching_ = false;
  bool listing_ = false;
  bool told_failure_ = false;
  int failures_ = 0;
  int quick_refreshes_ = 0;  // for interfaces that the service did not know yet
  Counter& requests_ok_;
  Counter& requests_failed_;

  void refresh();
  void fetched(Fetched fetched, std::vector<Link> links);
  void succeeded(Instance instance);
  void failed(const Fetched& fetched);
  void list_again();
  void listed(std::vector<Link> links);
  void refresh_in(std::chrono::nanoseconds delay, double jitter);
  const Identity& identity_of(Text interface, std::uint32_t ifindex);
  Identity resolve(Text interface, std::uint32_t ifindex);
  const Eni* eni_of(const Link& link) const;
  void refresh_soon_for_new_enis();
};

}  // namespace fffa::imds
