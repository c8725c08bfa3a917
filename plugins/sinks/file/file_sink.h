// SPDX-License-Identifier: MIT
// Records in files that appear when they are complete.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fffa/config.h"
#include "fffa/context.h"
#include "fffa/plugin.h"
#include "fffa/stage.h"
#include "fffa_common/batch_mark.h"
#include "fffa_common/directory.h"
#include "fffa_common/file_report.h"
#include "fffa_common/sealed_file.h"
#include "fffa_common/vpc_options.h"

namespace fffa::file {

enum class Format : std::uint8_t { json, vpc, ecs };
FFFA_ENUM(Format, (json, "json", "one JSON object a line, every field"),
          (vpc, "vpc", "VPC Flow Log lines after a header line"),
          (ecs, "ecs", "likewise in the names of Elastic Common Schema, without what is null"))

struct Config {
  std::filesystem::path path;
  Format format = Format::json;
  std::string log_format{kVpcDefaultFormat};
  EniAddress eni_address = EniAddress::packet;
  bool gzip = false;
  std::optional<ByteSize> max_size;
  std::optional<std::chrono::nanoseconds> interval;
  std::chrono::nanoseconds sync_interval = std::chrono::seconds(5);
};
FFFA_CONFIG(Config, (path, "the file's name; with max_size or interval, a time stamp is put before its extension"),
            (format, "how a record looks"), (log_format, "format vpc: fields of a line, as AWS writes them"),
            (eni_address, "format vpc: what srcaddr and dstaddr show on the interface's own side"),
            (gzip, "compress; `.gz` is added to the name"),
            (max_size, "a new file is begun when one has this size",
             range(ByteSize{1000}, ByteSize{1'000'000'000'000})),
            (interval, "a new file is begun at every multiple of it (UTC)",
             range(std::chrono::seconds(1), std::chrono::hours(24 * 366))),
            (sync_interval, "written data is synced to disk this often",
             range(std::chrono::milliseconds(100), std::chrono::hours(1))))

class File final : public Sink {
 public:
  static std::vector<Resource> resources(const Config& config);
  static void check(const Config& config, Checker& checker);

  File(Config config, StageContext& context);
  Result<void> write(const Batch& batch) override;
  Result<void> close() override;

 private:
  Config config_;
  StageContext& context_;
  common::Directory directory_;
  std::unique_ptr<RecordFormat> format_;
  VpcFormat* vpc_ = nullptr;                     // format_, where it is one
  std::unique_ptr<common::SealedFile> current_;  // null: none begun
  TimeNs current_slot_ = 0;
  std::vector<std::unique_ptr<common::SealedFile>> complete_;  // to be sealed
  std::optional<common::BatchMark> pending_;                   // the batch that is being written ...
  TimeNs slot_ = 0;                                            // ... and when it belongs to
  std::size_t taken_ = 0;                                      // records of it that a file has taken
  std::string text_;
  bool unsynced_ = false;
  common::FileReport report_;
  std::unique_ptr<Timer> sync_timer_;

  void make_format();
  void reclaim();
  void begin(const Batch& batch);
  Result<void> take(const Batch& batch);
  void begin_file(TimeNs slot);
  std::string name(TimeNs stamp, unsigned attempt) const;
  TimeNs slot_of(const Batch& batch) const;
  void finish_current();
  Result<void> flush();
  Result<void> seal_complete();
};

}  // namespace fffa::file
