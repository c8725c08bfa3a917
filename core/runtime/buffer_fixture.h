// SPDX-License-Identifier: MIT
// For tests of buffers: a source and a sink that may be down, and what became of the records between them.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <vector>

#include "engine.h"
#include "fake_stages.h"
#include "spool/test_folder.h"

namespace fffa::core {

using namespace fake;

inline constexpr TimeNs kStart = 1'767'225'600'000'000'000;

// batch_of(), with flows and times that can be: a record without them cannot be kept on disk.
inline Batch flows(std::size_t n, TimeNs watermark, std::int64_t first) {
  Batch batch = batch_of(n, watermark, first);
  for (auto& record : batch) {
    record.flow = {{10, 0, 0, 1}, {10, 0, 0, 2}, 1000, 443, 6, 4};
    record.first_seen = record.last_seen += kStart;
  }
  return batch;
}

struct Buffers : ::testing::Test {
  testing::Folder folder;
  std::mutex mutex;
  std::vector<std::int64_t> got;   // first_seen of what was delivered, from kStart
  std::vector<TimeNs> watermarks;  // with it
  std::set<std::uint64_t> sequences;
  std::atomic<int> delivered{0}, held{0}, lost{0};  // acknowledgements
  std::atomic<bool> down{false};

  static Location place() { return {std::make_shared<std::string>("pipe.yaml"), 12, 5}; }
  static BufferSpec disk(std::uint64_t max_size = 1 << 20, WhenFull when_full = WhenFull::block) {
    return {BufferSpec::Type::disk, max_size, when_full, {}, place()};
  }
  static BufferSpec memory(std::uint64_t max_size, WhenFull when_full = WhenFull::block) {
    return {BufferSpec::Type::memory, max_size, when_full, {}, {}};
  }

  // `batches` of `records`, first_seen counting up from `first`; then it waits to be stopped, if it is `live`.
  StageSpec& source(Rig& rig, int batches, std::size_t records = 1, std::int64_t first = 1, bool live = false) {
    rig.options.state_root = folder.path();
    return rig.source("in", [=, this](Output& out) {
      for (int i = 0; i < batches; ++i) {
        const auto at = first + i * static_cast<std::int64_t>(records);
        if (!out.emit(flows(records, at, at), [this](Outcome outcome) {
              ++(outcome == Outcome::delivered ? delivered : outcome == Outcome::lost ? lost : held);
            }))
          break;
      }
      while (live && out.wait(1ms)) {
      }
      out.settle();
      return Result<void>{};
    });
  }
  StageSpec& sink(Rig& rig, const BufferSpec& buffer, std::size_t capacity = 65536) {
    auto& spec = rig.sink(
        "out",
        [this](const Batch& batch) -> Result<void> {
          if (down) return retry("connect to 192.0.2.1: refused");
          const std::lock_guard lock(mutex);
          for (const auto& record : batch) {
            got.push_back(record.first_seen - kStart);
            EXPECT_TRUE(sequences.insert(record.sequence * 1000 + static_cast<std::uint64_t>(record.run_id)).second);
          }
          watermarks.push_back(batch.watermark);
          return {};
        },
        {"in"}, capacity);
    spec.buffer = buffer;
    return spec;
  }
  std::size_t count() {
    const std::lock_guard lock(mutex);
    return got.size();
  }
  static std::vector<std::int64_t> up_to(std::int64_t n, std::int64_t first = 1) {
    std::vector<std::int64_t> all;
    for (auto i = first; i <= n; ++i) all.push_back(i);
    return all;
  }
  static Balance balance_of(Rig& rig) {
    const auto all = rig.engine->balances();
    const auto at = all.find("out");
    return at == all.end() ? Balance{} : at->second;
  }
  static void expect_even(const Balance& balance) { EXPECT_TRUE(balance.unaccounted().empty()) << to_string(balance); }
};

}  // namespace fffa::core
