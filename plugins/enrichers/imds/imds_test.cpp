// SPDX-License-Identifier: MIT
// The enricher: options and environment, refreshes, back-off, and which interface gets whose identity.
#include "imds.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "../../common/aws/http_server.h"
#include "fffa/testing/harness.h"

namespace fffa::imds {
namespace {

using namespace std::chrono_literals;
using aws::testing::HttpServer;
using aws::testing::Request;
using aws::testing::Response;
using fffa::testing::Harness;

// The suite sets it, so that no other test asks the real service; these ask servers of their own.
class WithoutVariable : public ::testing::Environment {
  void SetUp() override { unsetenv("AWS_EC2_METADATA_DISABLED"); }
};
[[maybe_unused]] const auto* const kEnvironment = ::testing::AddGlobalTestEnvironment(new WithoutVariable);

// The kernel's interfaces as they are.
struct Machine {
  std::vector<Link> links = list_links();
  const Link* with_mac() const {
    for (const auto& link : links) {
      if (!link.mac.empty()) return &link;
    }
    return nullptr;
  }
};

// Items by path below /latest/; everything else is 404.
class Service {
 public:
  Service() : server([this](const Request& request) { return answer(request); }) {
    set("meta-data/instance-id", "i-0a");
    set("meta-data/placement/region", "eu-west-1");
    set("dynamic/instance-identity/document", R"({"accountId":"111"})");
    set("meta-data/network/interfaces/macs/", "");
  }
  void set(const std::string& path, const std::string& body) {
    const std::lock_guard lock(mutex_);
    items_[path] = body;
  }
  void attach(const std::string& mac, const std::string& eni, const std::string& account) {
    const std::lock_guard lock(mutex_);
    items_["meta-data/network/interfaces/macs/"] += mac + "/\n";
    const std::string base = "meta-data/network/interfaces/macs/" + mac + "/";
    items_[base + "interface-id"] = eni;
    items_[base + "owner-id"] = account;
    items_[base + "vpc-id"] = "vpc-0b";
    items_[base + "subnet-id"] = "subnet-0c";
    items_[base + "local-ipv4s"] = "10.0.0.5";
  }
  std::atomic<int> status{200};

 private:
  std::mutex mutex_;
  std::map<std::string, std::string> items_;
  Response answer(const Request& request) {
    if (status != 200) return {status, "", "", {}, {}, false};
    if (request.method == "PUT") return {200, "t", "", {}, {}, false};
    const std::lock_guard lock(mutex_);
    const auto found = items_.find(request.path.substr(std::string("/latest/").size()));
    if (found == items_.end()) return {404, "", "", {}, {}, false};
    return {200, found->second, "", {}, {}, false};
  }

 public:
  HttpServer server;
};

struct Bench {
  Service service;
  std::unique_ptr<Harness> harness;
  void start(const std::string& further = {}) {
    harness = Harness::of<Imds, Config>("endpoint: " + service.server.url() + "\n" + further);
    harness->run_pending();
  }
  std::string view(Text text) { return std::string(harness->context().texts().view(text)); }
  Batch run(const std::string& interface, std::uint32_t ifindex = 0, Text host = Text::null) {
    Batch batch;
    FlowRecord record;
    record.interface = harness->context().texts().intern(interface);
    record.ifindex = ifindex;
    record.host = host;
    batch.records.push_back(record);
    InterfaceStatus status;
    status.interface = record.interface;
    status.ifindex = ifindex;
    batch.interfaces.push_back(status);
    EXPECT_TRUE(harness->enrich(batch).ok());
    return batch;
  }
  std::size_t fetches() const { return service.server.count("GET", "instance-id"); }
};

// ---- options

std::map<std::string, std::string> variables;
const char* variable(const char* name) {
  const auto found = variables.find(name);
  return found == variables.end() ? nullptr : found->second.c_str();
}

TEST(ImdsOptions, HonourAwsVariables) {
  variables = {};
  EXPECT_EQ(client_options({}, variable).endpoint, "http://169.254.169.254");
  EXPECT_EQ(client_options({}, variable).connect_timeout, 1000ms);
  EXPECT_EQ(client_options({}, variable).total_timeout, 2000ms);
  EXPECT_EQ(client_options({}, variable).attempts, 3);
  EXPECT_FALSE(aws::imds_disabled(variable));
  variables["AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"] = "IPv6";
  EXPECT_EQ(client_options({}, variable).endpoint, "http://[fd00:ec2::254]");
  variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://127.0.0.1:1338/";
  EXPECT_EQ(client_options({}, variable).endpoint, "http://127.0.0.1:1338");  // wins over the mode
  variables["AWS_METADATA_SERVICE_TIMEOUT"] = "2.5";
  variables["AWS_METADATA_SERVICE_NUM_ATTEMPTS"] = "1";
  EXPECT_EQ(client_options({}, variable).connect_timeout, 2500ms);
  EXPECT_EQ(client_options({}, variable).attempts, 1);
  for (const char* nonsense : {"", "x", "-1", "nan", "1x"}) {
    variables["AWS_METADATA_SERVICE_TIMEOUT"] = nonsense;
    EXPECT_EQ(client_options({}, variable).connect_timeout, 1000ms) << nonsense;
  }
  Config config;
  config.endpoint = "http://192.0.2.1";
  config.timeout = 300ms;
  config.attempts = 5;
  EXPECT_EQ(client_options(config, variable).endpoint, "http://192.0.2.1");
  EXPECT_EQ(client_options(config, variable).connect_timeout, 300ms);
  EXPECT_EQ(client_options(config, variable).attempts, 5);
  variables["AWS_EC2_METADATA_DISABLED"] = "TRUE";
  EXPECT_TRUE(aws::imds_disabled(variable));
}

TEST(ImdsOptions, AnEndpointIsAnHttpUrl) {
  static constexpr StageType kType = stage_type<Imds, Config>("imds", "");
  for (const char* bad : {"endpoint: https://x", "endpoint: 169.254.169.254", "endpoint: file:///etc/passwd",
                          "refresh_interval: 0s", "attempts: 0"}) {
    EXPECT_FALSE(Harness::make(kType, bad).ok()) << bad;
  }
}

// ---- identities

TEST(Imds, FieldsAreNullUntilTheServiceAnswered) {
  Bench bench;
  bench.harness = Harness::of<Imds, Config>("endpoint: " + bench.service.server.url());
  EXPECT_EQ(bench.run("eth0").records[0].aws, AwsIdentity{});
  EXPECT_TRUE(bench.service.server.requests().empty());  // nothing was asked on the packet path
  bench.harness->run_pending();
  EXPECT_EQ(bench.view(bench.run("eth0").records[0].aws.instance), "i-0a");
}

TEST(Imds, AnEniIsFoundByTheHardwareAddressOfItsInterface) {
  const Machine machine;
  ASSERT_NE(machine.with_mac(), nullptr) << "this machine has no network interface with a hardware address";
  const Link& link = *machine.with_mac();
  Bench bench;
  bench.service.attach("0e:00:00:00:00:77", "eni-0f", "333");
  bench.service.attach(link.mac, "eni-0e", "222");
  bench.start();
  const Batch batch = bench.run(link.name, link.ifindex);
  for (const AwsIdentity& aws : {batch.records[0].aws, batch.interfaces[0].aws}) {
    EXPECT_EQ(bench.view(aws.eni), "eni-0e");
    EXPECT_EQ(bench.view(aws.account), "222");
    EXPECT_EQ(bench.view(aws.vpc), "vpc-0b");
    EXPECT_EQ(bench.view(aws.subnet), "subnet-0c");
    EXPECT_EQ(bench.view(aws.instance), "i-0a");
    EXPECT_EQ(bench.view(aws.region), "eu-west-1");
    EXPECT_EQ(aws.az_id, Text::null);
  }
  EXPECT_EQ(batch.interfaces[0].primary_ipv4, (Address{10, 0, 0, 5}));
}

TEST(Imds, OtherInterfacesGetTheInstanceAndNoEni) {
  Bench bench;
  bench.service.attach("0e:00:00:00:00:77", "eni-0f", "333");
  bench.start();
  const Batch batch = bench.run("lo");
  EXPECT_EQ(bench.view(batch.records[0].aws.account), "111");
  EXPECT_EQ(bench.view(batch.records[0].aws.instance), "i-0a");
  EXPECT_EQ(batch.records[0].aws.eni, Text::null);
  EXPECT_EQ(batch.records[0].aws.vpc, Text::null);
  EXPECT_EQ(batch.interfaces[0].primary_ipv4, Address{});
}

TEST(Imds, WhatARecordHasAndRecordsOfOthersStay) {
  Bench bench;
  bench.start();
  auto& texts = bench.harness->context().texts();
  Batch batch;
  batch.records.resize(3);
  batch.records[0].aws.account = texts.intern("999");
  batch.records[1].host = texts.intern("another");
  batch.records[2].host = bench.harness->context().host();
  ASSERT_TRUE(bench.harness->enrich(batch).ok());
  EXPECT_EQ(bench.view(batch.records[0].aws.account), "999");
  EXPECT_EQ(bench.view(batch.records[0].aws.instance), "i-0a");
  EXPECT_EQ(batch.records[1].aws, AwsIdentity{});
  EXPECT_EQ(bench.view(batch.records[2].aws.account), "111");
}

// ---- refreshes

TEST(Imds, RefreshesAndFollowsChanges) {
  const Machine machine;
  ASSERT_NE(machine.with_mac(), nullptr);
  const Link& link = *machine.with_mac();
  Bench bench;
  bench.service.attach(link.mac, "eni-0e", "222");
  bench.start("refresh_interval: 5m\n");
  EXPECT_EQ(bench.view(bench.run(link.name, link.ifindex).records[0].aws.eni), "eni-0e");
  const auto before = bench.fetches();
  bench.service.set("meta-data/network/interfaces/macs/", "");  // detached
  bench.harness->advance(4min);
  const auto unknown_nics = std::count_if(machine.links.begin(), machine.links.end(),
                                          [&](const Link& other) { return other.permanent && other.mac != link.mac; });
  if (unknown_nics == 0) {
    EXPECT_EQ(bench.fetches(), before);
  }
  bench.harness->advance(61s);
  EXPECT_GT(bench.fetches(), before);
  EXPECT_EQ(bench.run(link.name, link.ifindex).records[0].aws.eni, Text::null);
}

TEST(Imds, KeepsWhatItKnowsWhileTheServiceFails) {
  Bench bench;
  bench.start();
  for (const int status : {503, 401, 403, 404}) {
    bench.service.status = status;
    const auto before = bench.service.server.requests().size();
    bench.harness->advance(6min);
    EXPECT_GT(bench.service.server.requests().size(), before);
    EXPECT_EQ(bench.view(bench.run("lo").records[0].aws.account), "111") << status;
  }
  EXPECT_TRUE(bench.harness->context().captured_log().contains("what was known stays in use"));
  bench.service.status = 200;
  bench.service.set("dynamic/instance-identity/document", R"({"accountId":"444"})");
  bench.harness->advance(6min);
  EXPECT_EQ(bench.view(bench.run("lo").records[0].aws.account), "444");
}

TEST(Imds, BacksOffAndSaysSoOnce) {
  Bench bench;
  bench.service.status = 503;
  bench.start("attempts: 1\n");
  EXPECT_EQ(bench.service.server.requests().size(), 1u);
  bench.harness->advance(10min);
  const auto asked = bench.service.server.requests().size();
  EXPECT_GE(asked, 8u);  // after 1, 2, 4 ... s, then every 5 min, each up to a half sooner
  EXPECT_LE(asked, 16u);
  int warnings = 0;
  for (const auto& line : bench.harness->context().captured_log().lines()) warnings += line.level == LogLevel::warning;
  EXPECT_EQ(warnings, 1);
  EXPECT_EQ(bench.run("lo").records[0].aws, AwsIdentity{});
  bench.service.status = 200;
  bench.harness->advance(5min);
  EXPECT_EQ(bench.view(bench.run("lo").records[0].aws.account), "111");
}

TEST(Imds, ARefusalIsNotRepeatedBeforeTheNextRefresh) {
  Bench bench;
  bench.service.status = 403;
  bench.start("refresh_interval: 5m\n");
  bench.harness->advance(140s);
  EXPECT_EQ(bench.service.server.requests().size(), 1u);
  bench.harness->advance(3min);
  EXPECT_GE(bench.service.server.requests().size(), 2u);
}

TEST(Imds, AnInterfaceThatIsNoneOfOursCostsNoRequest) {
  Bench bench;
  bench.start();
  const auto before = bench.service.server.requests().size();
  for (int i = 0; i < 100; ++i) bench.run("capture" + std::to_string(i));
  bench.harness->run_pending();
  bench.run("capture1");
  bench.harness->run_pending();
  EXPECT_EQ(bench.service.server.requests().size(), before);
}

TEST(Imds, DisabledMeansNoRequestAndNoTimer) {
  setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
  Bench bench;
  bench.start();
  unsetenv("AWS_EC2_METADATA_DISABLED");
  bench.harness->advance(1h);
  EXPECT_TRUE(bench.service.server.requests().empty());
  EXPECT_EQ(bench.harness->context().timers(), 0u);
  EXPECT_EQ(bench.run("lo").records[0].aws, AwsIdentity{});
}

TEST(Imds, CanBeDestroyedWhileARequestIsDue) {
  Bench bench;
  bench.harness = Harness::of<Imds, Config>("endpoint: " + bench.service.server.url());
  bench.harness->destroy();
  bench.harness->context().run_pending();
  EXPECT_EQ(bench.service.server.requests().size(), 0u);
}

}  // namespace
}  // namespace fffa::imds
