// SPDX-License-Identifier: MIT
#include "keys.h"

#include "fffa/print.h"
#include "fffa_common/hash.h"

namespace fffa::vpc_flow_log {
namespace {

constexpr std::string_view kService = "vpcflowlogs", kSuffix = ".log.gz";

// "2026-01-01T00:05:00.000000Z" taken apart.
struct Stamp {
  std::string text;
  explicit Stamp(TimeNs time) : text(kTimeChars, '\0') { text.resize(print_time(time, text.data())); }
  std::string year() const { return text.substr(0, 4); }
  std::string month() const { return text.substr(5, 2); }
  std::string day() const { return text.substr(8, 2); }
  std::string hour() const { return text.substr(11, 2); }
  std::string minute() const { return text.substr(14, 2); }
};

}  // namespace

std::vector<std::string> folder_of(const FileKey& key, bool hive, bool hourly) {
  const Stamp stamp(key.slot);
  const auto level = [hive](std::string_view name, std::string value) {
    return hive ? std::string(name) + "=" + value : value;
  };
  std::vector<std::string> folder = {"AWSLogs",
                                     level("aws-account-id", key.account),
                                     level("aws-service", std::string(kService)),
                                     level("aws-region", key.region),
                                     level("year", stamp.year()),
                                     level("month", stamp.month()),
                                     level("day", stamp.day())};
  if (hourly) folder.push_back(level("hour", stamp.hour()));
  return folder;
}

std::string file_name(const FileKey& key, std::uint32_t hash) {
  const Stamp stamp(key.slot);
  std::string name = key.account;
  name.append("_").append(kService).append("_").append(key.region).append("_").append(key.flow_log_id).append("_");
  name.append(stamp.year())
      .append(stamp.month())
      .append(stamp.day())
      .append("T")
      .append(stamp.hour())
      .append(stamp.minute())
      .append("Z_");
  return name.append(common::hex(hash, 8)).append(kSuffix);
}

bool is_file_name(std::string_view name) noexcept {
  return name.find("_vpcflowlogs_") != name.npos && name.ends_with(kSuffix);
}

std::string other_file_name(std::string_view name, unsigned attempt) {
  const auto hash = common::hex(common::name_hash(name, attempt), 8);
  return std::string(name.substr(0, name.rfind('_') + 1)).append(hash).append(kSuffix);
}

std::string default_flow_log_id(std::string_view machine_id, std::string_view stage_id, std::string_view log_format) {
  std::string text(machine_id);
  text.append("\n").append(stage_id).append("\n").append(log_format);
  return "fl-" + common::hex(common::name_hash(text, 1), 1) + common::hex(common::name_hash(text, 2), 16);
}

}  // namespace fffa::vpc_flow_log
