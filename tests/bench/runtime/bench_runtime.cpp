// SPDX-License-Identifier: MIT
// bench_runtime [RECORDS]: records per second through source -> enricher -> sink, by batch size, and with two sinks.
// The stages do next to nothing: what is measured is the runtime, with the copy that makes each batch.
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "runtime/fake_stages.h"

namespace {

using namespace fffa;
using namespace fffa::core;
using namespace fffa::core::fake;

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

void measure(std::size_t total, std::size_t size, bool two_sinks) {
  Rig rig;
  std::size_t delivered = 0;
  const auto batch = batch_of(size);
  rig.source("source", [&](Output& out) {
    for (std::size_t sent = 0; sent < total; sent += size) out.emit(batch);
    return Result<void>{};
  });
  rig.enricher("enricher",
               [](Batch& b) {
                 for (auto& record : b) record.ifindex = 1;
                 return Result<void>{};
               },
               {"source"});
  const auto count = [&delivered](const Batch& b) {
    delivered += b.size();
    return Result<void>{};
  };
  rig.sink("sink", count, {"enricher"});
  if (two_sinks) rig.sink("raw", [](const Batch&) { return Result<void>{}; }, {"source"});
  const auto start = Monotonic::now();
  const double cpu = cpu_seconds();
  if (rig.run() != kExitOk || delivered < total) std::exit(1);
  const double wall = std::chrono::duration<double>(Monotonic::now() - start).count();
  const double spent = cpu_seconds() - cpu;
  const auto records = static_cast<double>(delivered);
  std::printf("%6zu records a batch, %s: %7.2f M records/s, %7.2f M records/s of CPU, %6.0f ns of CPU a batch\n", size,
              two_sinks ? "two sinks" : "one sink ", records / wall / 1e6, records / spent / 1e6,
              spent / records * static_cast<double>(size) * 1e9);
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t total = argc > 1 ? static_cast<std::size_t>(std::atoll(argv[1])) : 1'000'000;
  for (const std::size_t size : {std::size_t{1}, std::size_t{16}, std::size_t{256}, std::size_t{4096}})
    for (const bool two : {false, true}) measure(size == 1 ? total / 4 : total, size, two);
}
