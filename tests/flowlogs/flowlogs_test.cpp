// SPDX-License-Identifier: MIT
// Records go through the built plugin into files; flowlogs-reader (raise_on_error=True) must read them unmodified,
// record by record the same.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "fffa/print.h"
#include "fffa/testing/harness.h"

namespace fffa {
namespace {

using fffa::testing::Harness;
using Json = nlohmann::json;

constexpr TimeNs kSecond = 1'000'000'000;
constexpr TimeNs kStart = TimeNs{1'767'225'600} * kSecond;  // 2026-01-01 00:00:00

const StageType& plugin_type() {
  static const auto* descriptor = [] {
    void* const library = ::dlopen(FFFA_PLUGIN_FILE, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(::dlerror());
    return static_cast<const PluginDescriptor*>(::dlsym(library, "fffa_plugin"));
  }();
  return descriptor->stages[0];
}

class Folder {
 public:
  Folder() {
    std::string name = "/tmp/fffa_flowlogs_XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

std::unique_ptr<Harness> sink(const Folder& folder, const std::string& options) {
  auto made = Harness::make(plugin_type(), "directory: " + folder.path.string() + "\n" + options);
  if (!made) throw std::runtime_error(made.error().message);
  return std::move(*made);
}

// What the reader says: one object a record, then the totals.
std::vector<Json> read_back(const Folder& folder) {
  const auto command =
      std::string(FFFA_READ_FLOWLOGS) + " " + folder.path.string() + " --start 2025-12-31 --end 2026-01-03 2>&1";
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::string all(1 << 16, '\0'), text;
  while (const auto n = std::fread(all.data(), 1, all.size(), pipe.get())) text.append(all.data(), n);
  const int status = ::pclose(pipe.release());
  if (status != 0) throw std::runtime_error("the reader failed: " + text);
  std::vector<Json> objects;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) objects.push_back(Json::parse(line));
  return objects;
}

// Random flows of `seconds` from `start`, over three interfaces of two accounts.
class Traffic {
 public:
  Traffic(TextTable& texts, unsigned seed) : texts_(texts), random_(seed) {}

  FlowRecord record(TimeNs start, TimeNs seconds) {
    FlowRecord r;
    const bool v6 = random_() % 2 == 0;
    constexpr std::uint8_t kProtocols[] = {1, 6, 17, 47, 132};
    r.flow.family = v6 ? 6 : 4;
    r.flow.protocol = kProtocols[random_() % 5];
    for (std::size_t i = 0; i < (v6 ? 16u : 4u); ++i) {
      r.flow.src[i] = static_cast<std::uint8_t>(random_());
      r.flow.dst[i] = static_cast<std::uint8_t>(random_());
    }
    r.flow.src_port = static_cast<std::uint16_t>(random_());
    r.flow.dst_port = static_cast<std::uint16_t>(random_());
    r.direction = random_() % 2 == 0 ? Direction::ingress : Direction::egress;
    r.first_seen = start + static_cast<TimeNs>(random_() % static_cast<std::uint64_t>(seconds * kSecond));
    r.last_seen = r.first_seen +
                  static_cast<TimeNs>(random_() % static_cast<std::uint64_t>(start + seconds * kSecond - r.first_seen));
    r.packets = 1 + random_() % 1000;
    r.bytes = r.packets * (40 + random_() % 1460);
    if (r.flow.protocol == 6) r.set(Has::tcp);
    r.vpc_tcp_flags = static_cast<std::uint8_t>(random_() % 8);
    if (random_() % 4 == 0) refuse(r);
    const auto nic = std::to_string(random_() % 3);
    r.interface = texts_.intern("ens" + nic);
    r.aws.eni = texts_.intern("eni-" + nic);
    r.aws.account = texts_.intern(nic == "0" ? "111122223333" : "444455556666");
    r.aws.region = texts_.intern(nic == "2" ? "eu-west-1" : "us-east-1");
    r.aws.vpc = texts_.intern("vpc with spaces");
    return r;
  }

 private:
  TextTable& texts_;
  std::mt19937_64 random_;

  void refuse(FlowRecord& r) {
    r.set(Has::refused);
    r.refused_packets = 1 + random_() % r.packets;
    r.refused_bytes = r.bytes * r.refused_packets / r.packets;
    r.refused_first_seen = r.first_seen;
    r.refused_last_seen = r.last_seen;
    r.refused_vpc_tcp_flags = 2;
  }
};

std::string address(const Tuple& flow, const Address& address) {
  char text[kAddressChars];
  return {text, print_address(address, flow.family, text)};
}

// The records that must come out, as sorted lines.
void expect(const FlowRecord& r, std::vector<std::string>& lines) {
  const auto add = [&](const char* action, std::uint64_t packets, std::uint64_t bytes) {
    std::ostringstream line;
    const bool icmp = r.flow.protocol == 1;
    line << address(r.flow, r.flow.src) << ' ' << address(r.flow, r.flow.dst) << ' ' << (icmp ? 0 : r.flow.src_port)
         << ' ' << (icmp ? 0 : r.flow.dst_port) << ' ' << int{r.flow.protocol} << ' ' << packets << ' ' << bytes << ' '
         << r.first_seen / kSecond << ' ' << r.last_seen / kSecond << ' ' << action;
    lines.push_back(line.str());
  };
  const bool refused = r.has(Has::refused), contained = refused && r.direction == Direction::ingress;
  const auto packets = r.packets - (contained ? r.refused_packets : 0);
  if (packets != 0) add("ACCEPT", packets, r.bytes - (contained ? r.refused_bytes : 0));
  if (refused) add("REJECT", r.refused_packets, r.refused_bytes);
}
std::string line_of(const Json& j) {
  std::ostringstream line;
  line << j["srcaddr"].get<std::string>() << ' ' << j["dstaddr"].get<std::string>() << ' ' << j["srcport"] << ' '
       << j["dstport"] << ' ' << j["protocol"] << ' ' << j["packets"] << ' ' << j["bytes"] << ' ' << j["start"] << ' '
       << j["end"] << ' ' << j["action"].get<std::string>();
  return line.str();
}

class RoundTrip : public ::testing::TestWithParam<std::string> {};

TEST_P(RoundTrip, EveryRecordComesBack) {
  Folder folder;
  auto harness = sink(folder, GetParam());
  Traffic traffic(harness->context().texts(), 1);
  std::vector<std::string> expected;
  std::size_t status_lines = 0;
  for (TimeNs minute = 0; minute < 30; ++minute) {
    Batch batch;
    batch.window = {kStart + minute * 60 * kSecond, kStart + (minute + 1) * 60 * kSecond};
    batch.watermark = minute == 29 ? kEndOfInput : batch.window.end;
    for (int i = 0; i < (minute % 10 == 3 ? 0 : 200); ++i) {
      batch.records.push_back(traffic.record(batch.window.start, 60));
      expect(batch.records.back(), expected);
    }
    auto& nic = batch.interfaces.emplace_back();
    nic.interface = harness->context().texts().intern("ens0");
    if (minute % 10 == 5) nic.lost = {1, 1};
    status_lines += minute % 10 == 3 || minute % 10 == 5 ? 1 : 0;
    ASSERT_TRUE(harness->write(batch).ok());
  }
  ASSERT_TRUE(harness->close().ok());

  auto objects = read_back(folder);
  const auto totals = objects.back();
  objects.pop_back();
  std::vector<std::string> found;
  std::size_t others = 0;
  for (const auto& object : objects) {
    if (object["log_status"] == "OK") {
      found.push_back(line_of(object));
    } else {
      ++others;
    }
  }
  std::ranges::sort(expected);
  std::ranges::sort(found);
  EXPECT_EQ(found, expected);
  EXPECT_EQ(others, status_lines);
  EXPECT_EQ(totals["records"], expected.size() + status_lines);
  EXPECT_GE(totals["files"], 3 * 6);  // three places, six times five minutes
}

constexpr const char* kEverything =
    "log_format: '${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} "
    "${packets} ${bytes} ${start} ${end} "
    "${action} ${log-status} ${vpc-id} ${subnet-id} ${instance-id} ${tcp-flags} ${type} ${pkt-srcaddr} ${pkt-dstaddr} "
    "${region} ${az-id} "
    "${sublocation-type} ${sublocation-id} ${pkt-src-aws-service} ${pkt-dst-aws-service} ${flow-direction} "
    "${traffic-path} ${reject-reason} "
    "${encryption-status} ${instance-tag}'\n";
INSTANTIATE_TEST_SUITE_P(Formats, RoundTrip, ::testing::Values("", "hourly: true\nmax_size: 10kB\n", kEverything));

// Killed at a random moment and started again: everything that was acknowledged is in the files.
TEST(RoundTrip, NothingAcknowledgedIsLostByKill9) {
  for (unsigned round = 0; round < 3; ++round) {
    Folder folder;
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      auto harness = sink(folder, "max_size: 20kB\n");
      Traffic traffic(harness->context().texts(), round);
      std::uint64_t packets = 0;
      for (TimeNs second = 0;; ++second) {
        Batch batch;
        batch.watermark = kStart + second * kSecond;
        for (int i = 0; i < 50; ++i) {
          batch.records.push_back(traffic.record(batch.watermark, 1));
          auto& r = batch.records.back();
          r.present = 0;
          packets += r.packets;
        }
        if (harness->write(batch).ok() && ::write(ends[1], &packets, sizeof packets) < 0) std::abort();
      }
    }
    ::close(ends[1]);
    std::uint64_t acknowledged = 0;
    for (unsigned i = 0; i < 100 + 150 * round; ++i) ASSERT_GT(::read(ends[0], &acknowledged, sizeof acknowledged), 0);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    for (std::uint64_t told = 0; ::read(ends[0], &told, sizeof told) > 0;) acknowledged = told;
    ::close(ends[0]);
    sink(folder, "");  // the next start
    const auto objects = read_back(folder);
    EXPECT_GE(objects.back()["packets"].get<std::uint64_t>(), acknowledged);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path)) {
      EXPECT_FALSE(entry.path().filename().string().starts_with('.')) << entry.path();
    }
  }
}

}  // namespace
}  // namespace fffa
