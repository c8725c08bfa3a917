// SPDX-License-Identifier: MIT
#include "fffa_kafka/client.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

namespace fffa::kafka {
namespace {

using namespace std::chrono_literals;

std::set<std::string> threads() {
  std::set<std::string> ids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) ids.insert(entry.path().filename());
  return ids;
}

// What it may do, as the kernel prints it; empty: it is gone.
std::string capabilities(const std::string& thread, const std::string& set) {
  std::ifstream status("/proc/self/task/" + thread + "/status");
  for (std::string name, value; status >> name >> value;) {
    if (name == set + ":") return value;
  }
  return {};
}

TEST(KafkaClient, ItsThreadsMayOnlyRead) {
  constexpr auto kNone = "0000000000000000", kRead = "0000000000000004";  // CAP_DAC_READ_SEARCH
  const auto before = threads();
  if (capabilities(*before.begin(), "CapEff") == kNone) GTEST_SKIP() << "needs root: this process has none itself";
  ConfPtr conf(rd_kafka_conf_new());
  set_property(conf.get(), "", "test.mock.num.brokers", "3", [](const auto&, const auto& why) { FAIL() << why; });
  rd_kafka_t* const client = make_client(RD_KAFKA_PRODUCER, std::move(conf), Redactor({}));
  std::size_t seen = 0;
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  bool all = false;
  while (!all && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(10ms);
    seen = 0;
    all = true;
    for (const auto& thread : threads()) {
      if (before.contains(thread)) continue;
      ++seen;
      all = all && capabilities(thread, "CapEff") == kRead && capabilities(thread, "CapPrm") == kRead;
    }
    all = all && seen >= 4;  // its main thread, and one a broker
  }
  EXPECT_TRUE(all) << seen << " threads";
  rd_kafka_destroy(client);
  EXPECT_NE(capabilities(*before.begin(), "CapEff"), kRead) << "this thread keeps its own";
}

TEST(KafkaClient, WhatLibrdkafkaCannotBeSetUpWithIsSaid) {
  const auto no_complaint = [](const auto&, const auto& why) { FAIL() << why; };
  for (const auto& [property, value] : {std::pair{"ssl.ca.location", "/nonexistent/ca.pem"},
                                        {"sasl.mechanisms", "SCRAM-SHA512"},
                                        {"sasl.mechanisms", "PLAIN"}}) {
    for (const auto type : {RD_KAFKA_PRODUCER, RD_KAFKA_CONSUMER}) {
      ConfPtr conf(rd_kafka_conf_new());
      set_property(conf.get(), "", "security.protocol", "sasl_ssl", no_complaint);
      set_property(conf.get(), "", property, value, no_complaint);
      try {
        make_client(type, std::move(conf), Redactor({}));
        ADD_FAILURE() << property << " " << value;
      } catch (const Failure& failure) {
        EXPECT_TRUE(failure.error().message.starts_with("set up librdkafka: ")) << failure.error().message;
      }
    }
  }
}

}  // namespace
}  // namespace fffa::kafka
