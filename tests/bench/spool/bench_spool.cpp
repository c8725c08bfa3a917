// SPDX-License-Identifier: MIT
// bench_spool [BATCHES [DIRECTORY]]: batches of 1000 records, every field set, through a buffer on the disk of
// DIRECTORY (default: here), beside the same octets written and synced by nobody else's code in the same run.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <string>

#include "../formats/sample.h"
#include "runtime/fake_stages.h"
#include "spool/batch_codec.h"
#include "spool/store.h"

namespace {

using namespace fffa;
using namespace fffa::core;

constexpr std::size_t kRecords = 1000;
constexpr std::uint64_t kGroup = 8u << 20;  // octets that share a sync, as in the runtime
constexpr std::uint64_t kFile = 64u << 20;

double seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}
void require(bool good, const std::string& what) {
  if (good) return;
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

// Records per second of wall time.
double measure(const char* name, int batches, const std::function<void()>& body) {
  const double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
  body();
  const double count = static_cast<double>(batches) * kRecords;
  const double rate = count / (seconds(CLOCK_MONOTONIC) - wall);
  std::printf("%-44s %8.0f k records/s, %5.0f ns of CPU a record\n", name, rate / 1e3,
              (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / count * 1e9);
  return rate;
}

void plain(const std::filesystem::path& folder, const std::string& bytes, int batches) {
  int file = -1, number = 0;
  std::uint64_t in_file = kFile, unsynced = 0;
  for (int i = 0; i < batches; ++i) {
    if (in_file >= kFile) {
      if (file >= 0) require(::fdatasync(file) == 0 && ::close(file) == 0, "sync");
      file = ::open((folder / std::to_string(number++)).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
      require(file >= 0, "create a file in " + folder.string());
      in_file = 0;
    }
    require(::write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "write");
    in_file += bytes.size();
    if ((unsynced += bytes.size()) >= kGroup) require(::fdatasync(file) == 0, "sync"), unsynced = 0;
  }
  require(::fdatasync(file) == 0 && ::close(file) == 0, "sync");
}

void through_engine(const std::filesystem::path& folder, int batches) {
  fake::Rig rig;
  rig.options.state_root = folder;
  rig.add("in", StageKind::source, [&](StageContext& context, const ConfigNode&) {
    auto stage = std::make_unique<fake::FakeSource>();
    stage->on_run = [batches, &texts = context.texts()](Output& out) {
      Batch batch;
      batch.records = bench::samples(texts, kRecords);
      for (int i = 0; i < batches; ++i) {
        batch.watermark = i + 1;
        out.emit(batch);
      }
      out.settle();
      return Result<void>{};
    };
    return stage;
  });
  rig.sink("out", [](const Batch&) { return Result<void>{}; }, {"in"}).buffer = {
      BufferSpec::Type::disk, 64ull << 30, WhenFull::block, {}, {}};
  require(rig.run() == kExitOk, rig.log->all());
}

}  // namespace

int main(int argc, char** argv) {
  const int batches = argc > 1 ? std::atoi(argv[1]) : 1000;
  const auto root = std::filesystem::absolute(argc > 2 ? argv[2] : ".") / ("bench_spool-" + std::to_string(::getpid()));
  std::filesystem::create_directories(root / "store");
  TextTable texts;
  Batch batch;
  batch.records = bench::samples(texts, kRecords);
  std::string bytes;
  BatchEncoder(texts).append(batch, bytes);
  std::printf("%zu octets a record\n", bytes.size() / kRecords);
  const double anchor = measure("plain write and fdatasync", batches, [&] { plain(root, bytes, batches); });
  auto store = Store::open({root / "store", 64ull << 30});
  require(store.ok(), "open the store");
  const double taken = measure("encoded, appended, group commit", batches, [&] {
    BatchEncoder encoder(texts);
    std::uint64_t unsynced = 0;
    for (int i = 0; i < batches; ++i) {
      bytes.clear();
      encoder.append(batch, bytes);
      (*store)->append(bytes, {kRecords, 0, 0});
      if ((unsynced += bytes.size()) < kGroup && i + 1 < batches) continue;
      require((*store)->commit().ok(), "commit");
      unsynced = 0;
    }
  });
  measure("read, parsed, deleted", batches, [&] {
    BatchDecoder decoder(texts);
    std::string refused;
    for (auto frame = (*store)->next(); frame && *frame; frame = (*store)->next()) {
      Batch read;
      require(decoder.decode((*frame)->payload, read, refused) && read.size() == kRecords, refused);
      (*store)->done((*frame)->place, (*frame)->content);
    }
  });
  store->reset();
  const double whole =
      measure("source, buffer, sink in the runtime", batches, [&] { through_engine(root / "engine", batches); });
  std::printf("taken in at %.2f, delivered at %.2f of plain write and fdatasync\n", taken / anchor, whole / anchor);
  std::filesystem::remove_all(root);
  return 0;
}
