// SPDX-License-Identifier: MIT
#include "vpc_flow_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "fffa_common/hash.h"

namespace fffa::vpc_flow_log {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMaxNamePart = 64;    // three of them, a time and a hash are a file's name
constexpr std::size_t kMaxOpenFiles = 256;  // accounts x regions x 5 minutes; more are sealed early
constexpr auto kCommitInterval = 1s;
// So much is committed at once. The host offers no more than twice of it before it has completions.
constexpr std::size_t kCommitBatches = 32;
constexpr std::size_t kCommitRecords = 32768;
constexpr int kReclaimAgain = 30;  // ticks

std::string machine_id(StageContext& context) {
  std::string id;
  std::ifstream file("/etc/machine-id");
  if (file >> id) return id;
  return std::string(context.texts().view(context.host()));
}

VpcFormatOptions format_options(const Config& config) {
  return {config.log_format, config.eni_address, config.account_id.value_or(""), config.region.value_or("")};
}

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::string bucket_region(const Config& config) {
  if (config.bucket_region) return *config.bucket_region;
  if (config.region) return *config.region;
  const auto region = variable("AWS_REGION");
  return region.empty() ? variable("AWS_DEFAULT_REGION") : region;
}

UploadOptions upload_options(const Config& config) {
  UploadOptions options;
  options.directory = config.directory;
  options.prefix = config.prefix.value_or("");
  options.credentials_file = config.credentials_file.value_or("").string();
  options.s3.bucket = *config.bucket;
  options.s3.region = bucket_region(config);
  options.s3.endpoint = config.endpoint.value_or("");
  while (options.s3.endpoint.ends_with('/')) options.s3.endpoint.pop_back();
  options.s3.addressing = config.addressing;
  options.s3.ca_file = variable("AWS_CA_BUNDLE");
  return options;
}

bool is_name(std::string_view text, std::string_view others) {
  return !text.empty() && std::ranges::all_of(text, [others](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || others.find(c) != others.npos;
  });
}

// Not an address: something in its last label is no digit.
bool is_domain(std::string_view host) {
  host = host.substr(0, host.find(':'));
  const auto label = host.substr(host.rfind('.') + 1);
  return std::ranges::any_of(label, [](char c) { return c < '0' || c > '9'; });
}

void check_upload(const Config& config, Checker& checker) {
  const auto needs_bucket = [&](const char* option, bool given) {
    if (given && !config.bucket) checker.error(option, "says how files are uploaded, and there is no `bucket`");
  };
  needs_bucket("prefix", config.prefix.has_value());
  needs_bucket("endpoint", config.endpoint.has_value());
  needs_bucket("addressing", config.addressing != aws::S3Addressing::automatic);
  needs_bucket("bucket_region", config.bucket_region.has_value());
  needs_bucket("credentials_file", config.credentials_file.has_value());
  needs_bucket("max_staging", config.max_staging.has_value());
  if (config.bucket && (!is_name(*config.bucket, "-._") || config.bucket->size() < 3 || config.bucket->size() > 63))
    checker.error("bucket", "is the name of a bucket alone: 3 to 63 letters, digits, `-` and `.`",
                  "such as my-flow-logs");
  if (config.prefix && (config.prefix->starts_with('/') || config.prefix->size() > 512))
    checker.error("prefix", "begins with a letter, not with `/`, and has at most 512 characters");
  if (config.bucket_region && !is_name(*config.bucket_region, "-"))
    checker.error("bucket_region", "is a region such as eu-central-1");
  if (config.bucket && config.addressing == aws::S3Addressing::virtual_host &&
      config.bucket->find('.') != std::string::npos && !config.endpoint.value_or("").starts_with("http://"))
    checker.error("addressing", "no certificate fits a bucket with a dot in its name", "addressing: path");
  if (!config.endpoint) return;
  const auto scheme = config.endpoint->starts_with("https://") ? 8 : config.endpoint->starts_with("http://") ? 7 : 0;
  auto host = config.endpoint->substr(static_cast<std::size_t>(scheme));
  while (host.ends_with('/')) host.pop_back();
  if (scheme == 0 || !is_name(host, "-.:[]_"))
    checker.error("endpoint", "is a URL without a path", "such as https://minio.example:9000");
  if (config.addressing == aws::S3Addressing::virtual_host && (host.starts_with('[') || !is_domain(host)))
    checker.error("addressing", "a bucket cannot stand before an IP address", "addressing: path");
}

}  // namespace

std::vector<Resource> VpcFlowLog::resources(const Config& config) {
  return {{"directory", std::filesystem::absolute(config.directory).lexically_normal().string()}};
}

void VpcFlowLog::check(const Config& config, Checker& checker) {
  common::check_log_format(config.log_format, checker);
  const auto name = [&checker](const char* option, const std::optional<std::string>& value) {
    const auto allowed = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    };
    if (value && (value->empty() || value->size() > kMaxNamePart || !std::ranges::all_of(*value, allowed))) {
      checker.error(option, "is a part of file names: 1 to 64 letters, digits and `-`");
    }
  };
  name("account_id", config.account_id);
  name("region", config.region);
  name("flow_log_id", config.flow_log_id);
  check_upload(config, checker);
}

VpcFlowLog::VpcFlowLog(Config config, StageContext& context)
    : config_(std::move(config)),
      context_(context),
      directory_(config_.directory),
      report_(context),
      status_lines_(context.metrics().counter("fffa_vpc_status_lines_total", "NODATA and SKIPDATA lines")),
      deficits_lost_(
          context.metrics().counter("fffa_vpc_deficits_lost_total",
                                    "Flows whose refused packets stand in an ACCEPT line too, for want of memory")),
      commits_(context.metrics().counter("fffa_vpc_commits_total", "Times that added lines were synced to disk")) {
  auto format = make_vpc_format(context.texts(), format_options(config_));
  if (!format) throw Failure(format.error());
  format_ = std::move(*format);
  flow_log_id_ =
      config_.flow_log_id.value_or(default_flow_log_id(machine_id(context), context.id(), config_.log_format));
  auto folder = directory_.folder({});
  if (!folder) throw Failure(folder.error());
  if (::faccessat(folder->fd.get(), ".", W_OK | X_OK, AT_EACCESS) != 0)
    throw Failure(system_error("write into " + folder->path.string(), errno));
  if (config_.bucket) uploader_ = std::make_unique<Uploader>(upload_options(config_), context);
  reclaim();
  timer_ = context.every(kCommitInterval, [this] { tick(); });
}

void VpcFlowLog::tick() {
  static_cast<void>(commit());
  if (reclaim_in_ != 0 && --reclaim_in_ == 0) reclaim();
}

void VpcFlowLog::reclaim() {
  const auto found =
      common::reclaim_leftovers(directory_, {is_file_name, other_file_name, kFolderDepth, true}, context_.log());
  report_.reclaimed(found);
  if (uploader_ && found.sealed != 0) uploader_->wake(0);
  if (found.failed != 0) reclaim_in_ = kReclaimAgain;
}

void VpcFlowLog::write(std::shared_ptr<const Batch> batch, Completion completion) {
  const auto again = std::ranges::find(offered_, batch, &Offered::batch);
  if (again != offered_.end()) {
    again->completion = std::move(completion);
    static_cast<void>(commit());
    return;
  }
  format(*batch);  // in the order in which batches come, whatever becomes of them: windows have a memory
  watermark_ = std::max(watermark_, batch->watermark);
  records_ += batch->size();
  offered_.push_back({std::move(batch), std::move(completion)});
  if (records_ >= kCommitRecords || offered_.size() >= kCommitBatches || due()) static_cast<void>(commit());
}

Result<void> VpcFlowLog::close() {
  timer_.reset();
  // What cannot be committed is not delivered: the host has it, and says so.
  Result<void> result;
  if (commit()) result = seal(kEndOfInput);
  if (uploader_) uploader_->close();
  return result;
}

void VpcFlowLog::on_event(const common::FileEvent& event) {
  report_.on_event(event);
  if (!uploader_ || event.kind != common::FileEvent::Kind::sealed) return;
  std::error_code error;
  const auto size = std::filesystem::file_size(event.path, error);
  uploader_->wake(error ? 0 : size);
}

void VpcFlowLog::format(const Batch& batch) {
  format_->interfaces(batch);
  for (const auto& record : batch) add_lines(record);
  const auto lost = format_->deficits_lost();
  deficits_lost_.add(lost - std::min(lost, deficits_lost_.value()));
  for (const auto& line : windows_.add(batch)) {
    text_.clear();
    constexpr TimeNs kSecond = 1'000'000'000;
    format_->append_status(line.interface, line.status, line.start / kSecond, line.end / kSecond - 1, text_);
    file_of(line.interface.aws, line.end - kSecond).file.add(text_, 1);
    status_lines_.add();
  }
}

// A record's lines may end in different 5 minutes: the REJECT line, which is the last, has an end of its own.
void VpcFlowLog::add_lines(const FlowRecord& record) {
  text_.clear();
  format_->append(record, text_);
  if (text_.empty()) return;
  const bool refused = record.has(Has::refused) && record.refused_packets != 0;
  const auto first = text_.find('\n') + 1;
  const auto accepted = refused && first == text_.size() ? 0 : first;
  const std::string_view text = text_;
  if (accepted != 0) file_of(record.aws, record.last_seen).file.add(text.substr(0, accepted), 1);
  if (!refused) return;
  const TimeNs end = record.refused_first_seen != 0 ? record.refused_last_seen : record.last_seen;
  file_of(record.aws, end).file.add(text.substr(accepted), 1);
}

VpcFlowLog::OpenFile& VpcFlowLog::file_of(const AwsIdentity& aws, TimeNs end) {
  const Text account = config_.account_id ? Text::null : aws.account, region = config_.region ? Text::null : aws.region;
  const TimeNs slot = slot_of(end);
  const auto wanted = [&](const OpenFile& open) {
    return open.slot == slot && open.account == account && open.region == region && !open.full;
  };
  if (last_ == nullptr || !wanted(*last_)) {
    const auto found = std::ranges::find_if(files_, [&](const auto& open) { return wanted(*open); });
    last_ = found != files_.end() ? found->get() : files_.emplace_back(make_file(account, region, slot)).get();
  }
  if (last_->file.size() >= config_.max_size.bytes) {
    last_->full = true;
    last_ = files_.emplace_back(make_file(account, region, slot)).get();
  }
  return *last_;
}

std::unique_ptr<VpcFlowLog::OpenFile> VpcFlowLog::make_file(Text account, Text region, TimeNs slot) {
  const FileKey key{component(config_.account_id, account), component(config_.region, region), flow_log_id_, slot};
  // Another hash for every file of every run, and at every attempt.
  auto unique = std::string(context_.texts().view(context_.run_id())) + "/" + std::to_string(files_made_++);
  auto name = [key, unique](unsigned attempt) {
    return file_name(key, static_cast<std::uint32_t>(common::name_hash(file_name(key, 0) + unique, attempt)));
  };
  common::SealedFile::Options options{folder_of(key, config_.hive, config_.hourly),
                                      std::move(name),
                                      true,
                                      std::string(format_->header()),
                                      [this](const common::FileEvent& event) { on_event(event); },
                                      true};
  return std::make_unique<OpenFile>(
      OpenFile{account, region, slot, false, common::SealedFile(directory_, std::move(options))});
}

std::string VpcFlowLog::component(const std::optional<std::string>& chosen, Text carried) const {
  return common::safe_component(chosen ? std::string_view(*chosen) : context_.texts().view(carried));
}

bool VpcFlowLog::due() const {
  return files_.size() > kMaxOpenFiles ||
         std::ranges::any_of(files_, [this](const auto& open) { return open->due(watermark_); });
}

// Delivers what is offered, all of it or nothing; then seals what is due.
Result<void> VpcFlowLog::commit() {
  auto result = sync();
  for (auto& offered : offered_) {
    offered.on_disk = offered.on_disk || result.ok();
    if (!offered.completion) continue;
    auto completion = std::move(*offered.completion);
    offered.completion.reset();
    if (offered.on_disk) {
      offered.batch.reset();
      completion.done();
    } else {
      completion.error(result.error());
    }
  }
  std::erase_if(offered_, [](const Offered& offered) { return !offered.batch; });
  if (!result) return result;
  if (std::exchange(records_, 0) != 0) commits_.add();
  // What cannot be sealed is tried again with the next commit.
  report_.outcome(seal(watermark_), "cannot seal a file yet");
  return {};
}

Result<void> VpcFlowLog::sync() {
  if (uploader_ && config_.max_staging && uploader_->waiting() >= config_.max_staging->bytes)
    return retry("the staging area " + config_.directory.string() + " holds `max_staging`: waiting for uploads");
  for (const auto& open : files_) {
    if (auto flushed = open->file.flush(); !flushed) return flushed;
    if (auto synced = open->file.sync(); !synced) return synced;
  }
  return {};
}

// Seals what is due, as far as possible; gives the first error.
Result<void> VpcFlowLog::seal(TimeNs watermark) {
  Result<void> result;
  const bool crowded = files_.size() > kMaxOpenFiles;
  const auto done = [&](const std::unique_ptr<OpenFile>& open) {
    if (!crowded && !open->due(watermark)) return false;
    open->full = true;  // whatever comes of it: behind a gzip stream's end nothing can be added
    auto sealed = open->file.seal();
    if (sealed.ok()) return true;
    if (result.ok()) result = std::move(sealed);
    return false;
  };
  last_ = nullptr;
  std::erase_if(files_, done);
  return result;
}

}  // namespace fffa::vpc_flow_log
