// SPDX-License-Identifier: MIT
// Against AWS's own mock, which refuses requests without a token (--imdsv2). Needs root: the tests run in a network
// namespace of their own, whose loopback has the metadata service's real address, and whose veth has the hardware
// address that the mock tells of.
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "fffa/testing/harness.h"
#include "imds.h"

namespace fffa::imds {
namespace {

using fffa::testing::Harness;

void command(const std::string& text) {
  ASSERT_EQ(std::system(text.c_str()), 0) << text;
}

std::string output_of(const std::string& text) {
  std::string output;
  FILE* pipe = popen(text.c_str(), "r");
  if (pipe == nullptr) return output;
  std::array<char, 512> buffer;
  while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) output += buffer.data();
  if (pclose(pipe) != 0) return {};
  while (!output.empty() && output.back() == '\n') output.pop_back();
  return output;
}

class Mock {
 public:
  Mock(const std::string& program, const char* address, const char* port) {
    pid_ = fork();
    if (pid_ == 0) {
      if (freopen("/dev/null", "w", stdout) == nullptr || freopen("/dev/null", "w", stderr) == nullptr) _exit(1);
      execl(program.c_str(), program.c_str(), "--imdsv2", "-n", address, "-p", port, nullptr);
      _exit(1);
    }
  }
  ~Mock() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Mock(const Mock&) = delete;
  Mock& operator=(const Mock&) = delete;

 private:
  pid_t pid_;
};

class AwsMock : public ::testing::Test {
 protected:
  void SetUp() override {
    unsetenv("AWS_EC2_METADATA_DISABLED");  // the suite sets it, so that no other test asks the real service
    program_ = output_of(std::string(FFFA_FETCH) + " imds");
    ASSERT_FALSE(program_.empty()) << "tests/services/fetch imds brought no mock";
    ASSERT_EQ(unshare(CLONE_NEWNET), 0) << "needs root";
    command(
        "ip link set lo up && ip address add 169.254.169.254/32 dev lo && ip -6 address add fd00:ec2::254/128 dev lo");
    command("ip link add cache0 address 0e:49:61:0f:c3:11 type veth peer name cache1");
  }
  void TearDown() override {
    unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
  }
  // Waits for the mock by asking again, as the stage does by itself.
  void answered(Harness& harness, Batch& batch) {
    for (int i = 0; i < 100; ++i) {
      harness.run_pending();
      ASSERT_TRUE(harness.enrich(batch).ok());
      if (batch.records[0].aws.instance != Text::null) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      harness.advance(std::chrono::minutes(5));
    }
    FAIL() << "the mock did not answer";
  }
  static Batch traffic(Harness& harness) {
    Batch batch;
    batch.records.resize(2);
    batch.records[0].interface = harness.context().texts().intern("cache0");
    batch.records[1].interface = harness.context().texts().intern("cache1");
    batch.interfaces.resize(1);
    batch.interfaces[0].interface = batch.records[0].interface;
    return batch;
  }
  static void expect_identity(Harness& harness, const Batch& batch) {
    const auto view = [&](Text text) { return harness.context().texts().view(text); };
    const AwsIdentity& aws = batch.records[0].aws;
    EXPECT_EQ(view(aws.account), "515336597381");
    EXPECT_EQ(view(aws.eni), "eni-0f95d3625f5c521cc");
    EXPECT_EQ(view(aws.vpc), "vpc-d295a6a7");
    EXPECT_EQ(view(aws.subnet), "subnet-0ac62554");
    EXPECT_EQ(view(aws.instance), "i-1234567890abcdef0");
    EXPECT_EQ(view(aws.region), "us-east-1");
    EXPECT_EQ(view(aws.az), "us-east-1a");
    EXPECT_EQ(view(aws.az_id), "use1-az4");
    EXPECT_EQ(batch.interfaces[0].aws, aws);
    EXPECT_EQ(batch.interfaces[0].primary_ipv4, (Address{172, 16, 34, 43}));
    EXPECT_EQ(view(batch.records[1].aws.account), "0123456789");  // of the identity document: cache1 is no ENI
    EXPECT_EQ(batch.records[1].aws.eni, Text::null);
  }
  std::string program_;
};

TEST_F(AwsMock, AtTheDefaultAddress) {
  const Mock mock(program_, "169.254.169.254", "80");
  auto harness = Harness::of<Imds, Config>("");
  Batch batch = traffic(*harness);
  answered(*harness, batch);
  expect_identity(*harness, batch);
}

TEST_F(AwsMock, AtTheIPv6Address) {
  const Mock mock(program_, "[fd00:ec2::254]", "80");
  setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6", 1);
  auto harness = Harness::of<Imds, Config>("");
  Batch batch = traffic(*harness);
  answered(*harness, batch);
  expect_identity(*harness, batch);
}

TEST_F(AwsMock, AtAnEndpointFromTheEnvironment) {
  const Mock mock(program_, "127.0.0.1", "1338");
  setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1338", 1);
  auto harness = Harness::of<Imds, Config>("");
  Batch batch = traffic(*harness);
  answered(*harness, batch);
  expect_identity(*harness, batch);
}

TEST_F(AwsMock, AnInterfaceThatComesLaterIsFound) {
  const Mock mock(program_, "169.254.169.254", "80");
  command("ip link delete cache0");
  auto harness = Harness::of<Imds, Config>("");
  Batch batch = traffic(*harness);
  answered(*harness, batch);
  EXPECT_EQ(batch.records[0].aws.eni, Text::null);
  command("ip link add cache2 address 0e:49:61:0f:c3:11 type veth peer name cache3");
  Batch later = traffic(*harness);
  later.records[0].interface = later.interfaces[0].interface = harness->context().texts().intern("cache2");
  ASSERT_TRUE(harness->enrich(later).ok());
  harness->run_pending();
  ASSERT_TRUE(harness->enrich(later).ok());
  EXPECT_EQ(harness->context().texts().view(later.interfaces[0].aws.eni), "eni-0f95d3625f5c521cc");
}

}  // namespace
}  // namespace fffa::imds
