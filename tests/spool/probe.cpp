// SPDX-License-Identifier: MIT
// What the tests of buffers need: a source that writes down which records were acknowledged as delivered, and a sink
// that writes down which it got, and fails when it is told to.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>

#include "fffa/plugin.h"

namespace {

using namespace std::chrono_literals;

// A file that lines are added to, each batch with one write: what a killed process has written stays whole.
class Journal {
 public:
  explicit Journal(const std::filesystem::path& path)
      : fd_(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644)) {
    if (fd_ < 0) throw fffa::Failure(fffa::system_error("open " + path.string()));
  }
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  ~Journal() { ::close(fd_); }
  void write(const std::string& lines) {
    if (::write(fd_, lines.data(), lines.size()) != static_cast<ssize_t>(lines.size()))
      throw fffa::Failure(fffa::system_error("write"));
  }

 private:
  int fd_;
};

struct SourceConfig {
  std::uint32_t run = 0;
  std::uint32_t batches = 1'000'000'000;
  std::uint32_t records = 20;
  std::chrono::nanoseconds pause = 1ms;
  std::filesystem::path acknowledged;
};
FFFA_CONFIG(SourceConfig, (run, "stands in every record"), (batches, "how many, then the input ends"),
            (records, "in each at most"), (pause, "between two"), (acknowledged, "RUN NUMBER of each, a line"))

class Numbers final : public fffa::Source {
 public:
  Numbers(const SourceConfig& config, fffa::StageContext& context)
      : config_(config), context_(context), acknowledged_(config.acknowledged) {}
  fffa::Result<void> run(fffa::Output& output) override {
    for (std::uint32_t i = 0; i < config_.batches && output.wait(config_.pause); ++i) {
      const std::uint32_t first = next_;
      auto batch = make();
      const std::uint32_t end = next_;
      if (!output.emit(std::move(batch), [this, first, end](fffa::Outcome outcome) {
            if (outcome == fffa::Outcome::delivered) note(first, end);
          }))
        break;
    }
    output.settle();
    return {};
  }

 private:
  SourceConfig config_;
  fffa::StageContext& context_;
  Journal acknowledged_;
  std::minstd_rand random_{std::random_device{}()};
  std::uint32_t next_ = 0;

  fffa::Batch make() {
    fffa::Batch batch;
    batch.watermark = context_.clock().now();
    for (auto n = 1 + random_() % config_.records; n > 0; --n) {
      auto& record = batch.records.emplace_back();
      record.flow = {{10, 0, 0, 1}, {10, 0, 0, 2}, 1000, 443, 6, 4};
      record.ifindex = config_.run + 1;
      record.vlan_id = 1;
      record.packets = 1;
      record.bytes = ++next_;
      record.first_seen = record.last_seen = batch.watermark;
      record.set_label(context_.texts().intern("padding"), context_.texts().intern(std::string(200, 'x')));
    }
    return batch;
  }
  void note(std::uint32_t first, std::uint32_t end) {
    std::string lines;
    for (auto n = first + 1; n <= end; ++n) lines += std::to_string(config_.run) + " " + std::to_string(n) + "\n";
    acknowledged_.write(lines);
  }
};

struct SinkConfig {
  std::filesystem::path delivered;
  std::uint32_t fails = 0;
  std::optional<std::filesystem::path> down;
};
FFFA_CONFIG(SinkConfig, (delivered, "RUN NUMBER RUN_ID SEQUENCE of each, a line"),
            (fails, "so many calls of a hundred fail, at random", fffa::range(0, 100)),
            (down, "while this file is there, every call fails"))

class Notes final : public fffa::Sink {
 public:
  Notes(const SinkConfig& config, fffa::StageContext& context)
      : config_(config), context_(context), delivered_(config.delivered) {}
  fffa::Result<void> write(const fffa::Batch& batch) override {
    if (config_.down && std::filesystem::exists(*config_.down)) return fffa::retry("the other end is down");
    if (random_() % 100 < config_.fails) return random_() % 4 == 0 ? fffa::fail("broken") : fffa::retry("busy");
    std::string lines;
    for (const auto& record : batch) {
      lines += std::to_string(record.ifindex - 1) + " " + std::to_string(record.bytes) + " ";
      lines += std::string(context_.texts().view(record.run_id)) + " " + std::to_string(record.sequence) + "\n";
    }
    delivered_.write(lines);
    return {};
  }

 private:
  SinkConfig config_;
  fffa::StageContext& context_;
  Journal delivered_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace

FFFA_STAGES(fffa::stage_type<Numbers, SourceConfig>("numbers", "numbered records, and which were acknowledged"),
            fffa::stage_type<Notes, SinkConfig>("notes", "notes what it gets, and fails when told to"))
