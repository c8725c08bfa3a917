// SPDX-License-Identifier: MIT
// writer PLUGIN OPTIONS FIRST: writes records for ever, numbered from FIRST on (source and destination port tell the
// number), and prints after each batch that was acknowledged how many are. FIRST 0: writes none, uploads what is there.
#include <dlfcn.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include "fffa/testing/harness.h"

namespace {

using namespace fffa;

constexpr TimeNs kSecond = 1'000'000'000;
constexpr std::uint64_t kPerBatch = 50;

const StageType& plugin_type(const char* path) {
  void* const library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(::dlerror());
  return static_cast<const PluginDescriptor*>(::dlsym(library, "fffa_plugin"))->stages[0];
}

FlowRecord record(std::uint64_t number, TimeNs end) {
  FlowRecord r;
  r.flow = {{198, 51, 100, 24},
            {10, 20, 1, 15},
            static_cast<std::uint16_t>(number % 60'000),
            static_cast<std::uint16_t>(number / 60'000),
            17,
            4};
  r.direction = Direction::ingress;
  r.packets = 1;
  r.bytes = 28 + number * 2654435761u % 100'000;
  r.first_seen = r.last_seen = end;
  return r;
}

}  // namespace

int main(int, char** arguments) {
  auto made = fffa::testing::Harness::make(plugin_type(arguments[1]), arguments[2]);
  if (!made) {
    std::fprintf(stderr, "%s\n", made.error().message.c_str());
    return 1;
  }
  auto& harness = **made;
  std::uint64_t number = std::strtoull(arguments[3], nullptr, 10);
  harness.run_pending();
  if (number == 0) {
    // The server may be in trouble for a while of real time, which the stage's clock knows nothing of.
    for (int i = 0; i < 60 && harness.context().captured_metrics().value("fffa_s3_waiting_files") != 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
      harness.advance(std::chrono::seconds(31));
    }
    for (const auto& line : harness.context().captured_log().lines()) {
      if (line.level >= LogLevel::warning) std::fprintf(stderr, "%s\n", line.message.c_str());
    }
    return 0;
  }
  for (TimeNs second = 1;; ++second) {
    Batch batch;
    batch.watermark = fffa::testing::kTestStart + second * kSecond;
    for (std::uint64_t i = 0; i < kPerBatch; ++i) batch.records.push_back(record(number++, batch.watermark));
    if (!harness.write(batch).ok()) return 1;
    std::printf("%llu\n", static_cast<unsigned long long>(number));
    std::fflush(stdout);
    harness.run_pending();  // uploads what was sealed
  }
}
