// SPDX-License-Identifier: MIT
// VPC Flow Log files under a directory, as AWS would have put them into a bucket.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fffa/config.h"
#include "fffa/context.h"
#include "fffa/format.h"
#include "fffa/plugin.h"
#include "fffa/stage.h"
#include "fffa_common/directory.h"
#include "fffa_common/file_report.h"
#include "fffa_common/sealed_file.h"
#include "fffa_common/vpc_options.h"
#include "keys.h"
#include "uploader.h"
#include "windows.h"

namespace fffa::aws {
FFFA_ENUM(S3Addressing, (automatic, "auto", "in the host's name at AWS, in the path at an `endpoint`"),
          (path, "path", "https://HOST/BUCKET/KEY"), (virtual_host, "virtual", "https://BUCKET.HOST/KEY"))
}  // namespace fffa::aws

namespace fffa::vpc_flow_log {

struct Config {
  std::filesystem::path directory;
  std::string log_format{kVpcDefaultFormat};
  EniAddress eni_address = EniAddress::packet;
  bool hive = false;
  bool hourly = false;
  ByteSize max_size{75'000'000};
  std::optional<std::string> account_id;
  std::optional<std::string> region;
  std::optional<std::string> flow_log_id;
  std::optional<std::string> bucket;
  std::optional<std::string> prefix;
  std::optional<std::string> endpoint;
  aws::S3Addressing addressing = aws::S3Addressing::automatic;
  std::optional<std::string> bucket_region;
  std::optional<std::filesystem::path> credentials_file;
  std::optional<ByteSize> max_staging;
};
FFFA_CONFIG(Config, (directory, "AWSLogs/... is made below it; with `bucket` files wait here for their upload"),
            (log_format, "fields of a line, as AWS writes them: `${version} ${account-id} ...`"),
            (eni_address, "what srcaddr and dstaddr show on the interface's own side"),
            (hive, "Hive-compatible folder names (year=2026/month=01/...)"), (hourly, "a folder per hour"),
            (max_size, "a file is sealed before its 5 minutes are over when it has this size",
             range(ByteSize{1}, ByteSize{1'000'000'000'000})),
            (account_id, "account in lines and paths; default: the interface's, else `unknown`"),
            (region, "region in lines and paths; default: the interface's, else `unknown` in paths"),
            (flow_log_id, "in file names; default: fl- and 17 digits made from machine, stage and format"),
            (bucket, "S3 bucket that finished files are moved to"),
            (prefix, "in the bucket: keys are PREFIX/AWSLogs/..."),
            (endpoint, "base URL of an S3-compatible store; default: AWS's of the region"),
            (addressing, "where requests name the bucket"),
            (bucket_region, "default: `region`, else AWS_REGION or AWS_DEFAULT_REGION, else what the server says"),
            (credentials_file,
             "shared credentials file; default: AWS_ACCESS_KEY_ID and others of the environment, "
             "else ~/.aws/credentials, else the instance's role"),
            (max_staging, "no more is taken while so many bytes wait for their upload; default: until the disk is full",
             range(ByteSize{1}, ByteSize{1'000'000'000'000'000})))

// Group commit: what several batches added is synced to disk at once, every second or when there is much of it, and
// then they all are delivered.
class VpcFlowLog final : public AsyncSink {
 public:
  static constexpr bool accepts_cumulative = false;
  static std::vector<Resource> resources(const Config& config);
  static void check(const Config& config, Checker& checker);

  VpcFlowLog(Config config, StageContext& context);
  void write(std::shared_ptr<const Batch> batch, Completion completion) override;
  void flush() override { static_cast<void>(commit()); }
  Result<void> close() override;

 private:
  struct OpenFile {
    Text account;  // as the records carry it
    Text region;
    TimeNs slot;
    bool full;
    common::SealedFile file;
    bool due(TimeNs watermark) const { return full || slot + kFileInterval <= watermark; }
  };
  // A batch whose lines are in the files, though not on disk, or whose completion was told to come again.
  struct Offered {
    std::shared_ptr<const Batch> batch;  // the host offers a batch again as the same object
    std::optional<Completion> completion;
    bool on_disk = false;
  };

  Config config_;
  StageContext& context_;
  common::Directory directory_;
  std::unique_ptr<VpcFormat> format_;
  std::string flow_log_id_;
  Windows windows_;
  std::vector<std::unique_ptr<OpenFile>> files_;
  OpenFile* last_ = nullptr;
  std::string text_;
  std::uint64_t files_made_ = 0;
  common::FileReport report_;
  std::unique_ptr<Uploader> uploader_;  // with a bucket
  Counter& status_lines_;
  Counter& deficits_lost_;
  Counter& commits_;
  std::vector<Offered> offered_;
  std::size_t records_ = 0;  // of them, added since the last commit
  TimeNs watermark_ = 0;
  std::unique_ptr<Timer> timer_;
  int reclaim_in_ = 0;  // ticks; 0: there is nothing left to reclaim

  void tick();
  void reclaim();
  void on_event(const common::FileEvent& event);
  void format(const Batch& batch);
  void add_lines(const FlowRecord& record);
  OpenFile& file_of(const AwsIdentity& aws, TimeNs end);
  std::unique_ptr<OpenFile> make_file(Text account, Text region, TimeNs slot);
  std::string component(const std::optional<std::string>& chosen, Text carried) const;
  bool due() const;
  Result<void> commit();
  Result<void> sync();
  Result<void> seal(TimeNs watermark);
};

}  // namespace fffa::vpc_flow_log
