// SPDX-License-Identifier: MIT
// writer PLUGIN OPTIONS FIRST: writes records for ever, numbered from FIRST on (source and destination port tell the
// number), as fast as the sink takes them, and prints the number behind each batch that was acknowledged. FIRST 0:
// writes none, uploads what is there.
#include <dlfcn.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "fffa/plugin.h"
#include "fffa/stage.h"
#include "fffa/testing/config_text.h"
#include "fffa/testing/context.h"

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

// Prints what is acknowledged, in the order in which it was written.
class Printed final : public Completion::State {
 public:
  explicit Printed(std::uint64_t end) : end_(end) {}
  void complete(Result<void> result) noexcept override {
    if (!result.ok()) std::exit(1);
    std::printf("%llu\n", static_cast<unsigned long long>(end_));
    std::fflush(stdout);
  }

 private:
  std::uint64_t end_;
};

// The server may be in trouble for a while of real time, which the stage's clock knows nothing of.
void upload(fffa::testing::TestContext& context) {
  for (int i = 0; i < 60 && context.captured_metrics().value("fffa_s3_waiting_files") != 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    context.advance(std::chrono::seconds(31));
  }
  for (const auto& line : context.captured_log().lines()) {
    if (line.level >= LogLevel::warning) std::fprintf(stderr, "%s\n", line.message.c_str());
  }
}

void write(AsyncSink& sink, fffa::testing::TestContext& context, std::uint64_t number) {
  for (TimeNs second = 1;; ++second) {
    auto batch = std::make_shared<Batch>();
    batch->watermark = fffa::testing::kTestStart + second * kSecond;
    for (std::uint64_t i = 0; i < kPerBatch; ++i) batch->records.push_back(record(number++, batch->watermark));
    sink.write(std::move(batch), Completion(std::make_unique<Printed>(number)));
    context.advance(std::chrono::milliseconds(75));  // a commit for every 14 batches; uploads what was sealed
    context.run_pending();
  }
}

}  // namespace

int main(int, char** arguments) {
  const auto& type = plugin_type(arguments[1]);
  const auto config = fffa::testing::parse_config(arguments[2]);
  fffa::testing::TestContext context("writer", type.name);
  auto made = type.create(*config, context);
  if (!made.ok()) {
    std::fprintf(stderr, "%s\n", made.error().message.c_str());
    return 1;
  }
  const std::uint64_t first = std::strtoull(arguments[3], nullptr, 10);
  context.run_pending();
  if (first == 0) {
    upload(context);
  } else {
    write(static_cast<AsyncSink&>(**made), context, first);
  }
  made->reset();
  context.forget_pending();
  return 0;
}
