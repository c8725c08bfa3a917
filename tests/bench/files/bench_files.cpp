// SPDX-License-Identifier: MIT
// bench_files PLUGIN OPTIONS [SECONDS [stored]]: records per second and core that a sink takes until it has delivered
// them, with batches of 1024, each a second later than the one before. OPTIONS is YAML. `stored`: what gzip would
// compress is written as it stands.
#include <dlfcn.h>
#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <stdexcept>

#include "fffa/plugin.h"
#include "fffa/stage.h"
#include "fffa/testing/config_text.h"
#include "fffa/testing/context.h"
#include "sample.h"

namespace {
bool stored = false;
}

// In zlib's place: the plugin finds this one first.
extern "C" __attribute__((visibility("default"))) int deflate(z_stream* stream, int flush) {
  static const auto real =
      reinterpret_cast<int (*)(z_stream*, int)>(::dlsym(::dlopen("libz.so.1", RTLD_NOW), "deflate"));
  if (!stored) return real(stream, flush);
  const uInt n = std::min(stream->avail_in, stream->avail_out);
  std::memcpy(stream->next_out, stream->next_in, n);
  stream->next_in += n;
  stream->avail_in -= n;
  stream->next_out += n;
  stream->avail_out -= n;
  return Z_OK;
}

namespace {

using namespace fffa;

constexpr std::size_t kPerBatch = 1024;
constexpr TimeNs kSecond = 1'000'000'000;

double seconds_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

const StageType& plugin_type(const char* path) {
  void* const library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(::dlerror());
  return static_cast<const PluginDescriptor*>(::dlsym(library, "fffa_plugin"))->stages[0];
}

class Counted final : public Completion::State {
 public:
  explicit Counted(std::uint64_t& delivered) : delivered_(delivered) {}
  void complete(Result<void> result) noexcept override { delivered_ += result.ok() ? kPerBatch : 0; }

 private:
  std::uint64_t& delivered_;
};

// IPv4 and IPv6 by turns, as AWS's lines have them: nothing refused.
std::vector<FlowRecord> records(TextTable& texts) {
  auto made = bench::samples(texts, kPerBatch);
  for (auto& record : made) record.present &= ~static_cast<std::uint32_t>(Has::refused);
  return made;
}

}  // namespace

int main(int argc, char** argv) {
  const double wanted = argc > 3 ? std::atof(argv[3]) : 2.0;
  stored = argc > 4;
  const auto& type = plugin_type(argv[1]);
  fffa::testing::TestContext context("bench", type.name);
  const auto config = fffa::testing::parse_config(argv[2]);
  auto stage = config.ok() ? type.create(*config, context) : Result<std::unique_ptr<Stage>>(config.error());
  if (!stage.ok()) {
    std::fprintf(stderr, "%s\n", stage.error().message.c_str());
    return 1;
  }
  const auto sample = records(context.texts());
  std::uint64_t delivered = 0;
  double making = 0;
  const double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID), wall = seconds_of(CLOCK_MONOTONIC);
  double spent = 0;
  for (TimeNs second = 1; spent < wanted; ++second) {
    const double begun = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    auto batch = std::make_shared<Batch>();
    batch->watermark = fffa::testing::kTestStart + second * kSecond;
    batch->records = sample;
    for (auto& record : batch->records) record.first_seen = record.last_seen = batch->watermark - kSecond;
    making += seconds_of(CLOCK_PROCESS_CPUTIME_ID) - begun;
    if (type.kind == StageKind::async_sink) {
      static_cast<AsyncSink&>(**stage).write(std::move(batch), Completion(std::make_unique<Counted>(delivered)));
    } else if (static_cast<Sink&>(**stage).write(*batch).ok()) {
      delivered += kPerBatch;
    }
    context.run_pending();  // uploads, too
    spent = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu - making;
  }
  if (type.kind == StageKind::async_sink) static_cast<AsyncSink&>(**stage).flush();
  spent = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu - making;
  const double count = static_cast<double>(delivered);
  std::printf("%-14s %8.3f M records/s of CPU time %8.1f ns/record %8.3f M records/s in all\n", type.name,
              count / spent / 1e6, spent / count * 1e9, count / (seconds_of(CLOCK_MONOTONIC) - wall - making) / 1e6);
  const auto metric = [&](const char* series) { return context.captured_metrics().value(series); };
  if (const double bytes = metric("fffa_s3_uploaded_bytes_total"); bytes > 0)
    std::printf("%-14s %8.3f MB uploaded, %g files, %g wait\n", "", bytes / 1e6,
                metric("fffa_s3_uploads_total{outcome=\"stored\"}"), metric("fffa_s3_waiting_files"));
  stage->reset();
  context.forget_pending();
  return 0;
}
