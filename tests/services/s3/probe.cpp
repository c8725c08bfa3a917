// SPDX-License-Identifier: MIT
// A source of numbered records (their ports tell the number), five seconds of flow log time a batch. Its journal has a
// line for each batch: "emitted FIRST END" before it is, "delivered FIRST END" when it was acknowledged so.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "fffa/plugin.h"

namespace {

using namespace std::chrono_literals;

constexpr fffa::TimeNs kStart = 1'767'225'600'000'000'000;  // 2026-01-01 00:00:00
constexpr fffa::TimeNs kStep = 5'000'000'000;

struct Config {
  std::uint64_t first = 0;
  std::uint64_t batches = 1'000'000'000;
  std::uint32_t records = 50;
  std::chrono::nanoseconds pause = 1ms;
  std::filesystem::path journal;
};
FFFA_CONFIG(Config, (first, "the first record's number"), (batches, "how many, then the input ends"),
            (records, "in each"), (pause, "between two"),
            (journal, "a line for each batch emitted, and for each delivered"))

class Numbered final : public fffa::Source {
 public:
  Numbered(const Config& config, fffa::StageContext&)
      : config_(config), journal_(::open(config.journal.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644)) {
    if (journal_ < 0) throw fffa::Failure(fffa::system_error("open " + config.journal.string()));
  }
  Numbered(const Numbered&) = delete;
  Numbered& operator=(const Numbered&) = delete;
  ~Numbered() override { ::close(journal_); }

  fffa::Result<void> run(fffa::Output& output) override {
    std::uint64_t first = config_.first;
    for (std::uint64_t i = 0; i < config_.batches && output.wait(config_.pause); ++i) {
      const auto end = first + config_.records;
      note("emitted", first, end);
      auto acknowledged = [this, first, end](fffa::Outcome outcome) {
        if (outcome == fffa::Outcome::delivered) note("delivered", first, end);
      };
      if (!output.emit(make(first, kStart + static_cast<fffa::TimeNs>(i + 1) * kStep), acknowledged)) break;
      first = end;
    }
    output.settle();
    return {};
  }

 private:
  Config config_;
  int journal_;

  fffa::Batch make(std::uint64_t number, fffa::TimeNs watermark) const {
    fffa::Batch batch;
    batch.watermark = watermark;
    for (std::uint32_t i = 0; i < config_.records; ++i, ++number) {
      auto& record = batch.records.emplace_back();
      record.flow = {{198, 51, 100, 24},
                     {10, 20, 1, 15},
                     static_cast<std::uint16_t>(number % 60'000),
                     static_cast<std::uint16_t>(number / 60'000 % 65'536),
                     17,
                     4};
      record.direction = fffa::Direction::ingress;
      record.packets = 1;
      record.bytes = 28 + number * 2'654'435'761U % 100'000;
      record.first_seen = record.last_seen = watermark;
    }
    return batch;
  }
  // With one write: what a killed process has written stays whole.
  void note(const char* what, std::uint64_t first, std::uint64_t end) const {
    const auto line = std::string(what) + " " + std::to_string(first) + " " + std::to_string(end) + "\n";
    if (::write(journal_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
      throw fffa::Failure(fffa::system_error("write the journal"));
  }
};

}  // namespace

FFFA_PLUGIN("numbered", "numbered records, and which were delivered", Numbered, Config)
