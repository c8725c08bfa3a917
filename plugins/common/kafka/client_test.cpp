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

TEST(KafkaClient, ItsThreadsHaveNoCapabilities) {
  constexpr auto kNone = "0000000000000000";
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
      all = all && capabilities(thread, "CapEff") == kNone && capabilities(thread, "CapPrm") == kNone;
    }
    all = all && seen >= 4;  // its main thread, and one a broker
  }
  EXPECT_TRUE(all) << seen << " threads";
  rd_kafka_destroy(client);
  EXPECT_NE(capabilities(*before.begin(), "CapEff"), kNone) << "this thread keeps its own";
}

}  // namespace
}  // namespace fffa::kafka
