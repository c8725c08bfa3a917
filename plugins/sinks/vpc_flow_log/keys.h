// SPDX-License-Identifier: MIT
// Where AWS puts flow log files, and how it names them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fffa/record.h"

namespace fffa::vpc_flow_log {

// AWS publishes every 5 minutes; a file holds the records that ended within its 5 minutes.
inline constexpr TimeNs kFileInterval = TimeNs{300} * 1'000'000'000;

// AWSLogs ... hour: so deep are the folders.
inline constexpr unsigned kFolderDepth = 8;

// The start of the 5 minutes that `end` (of a record) falls into.
constexpr TimeNs slot_of(TimeNs end) noexcept {
  return end < 0 ? 0 : end / kFileInterval * kFileInterval;
}

struct FileKey {
  std::string account;  // safe path components, all three
  std::string region;
  std::string flow_log_id;
  TimeNs slot = 0;
};

// AWSLogs/ACCOUNT/vpcflowlogs/REGION/YYYY/MM/DD[/HH], or the Hive-compatible form.
std::vector<std::string> folder_of(const FileKey& key, bool hive, bool hourly);
// ACCOUNT_vpcflowlogs_REGION_FLOWLOGID_YYYYMMDDTHHmmZ_HASH.log.gz
std::string file_name(const FileKey& key, std::uint32_t hash);
// Whether a name is of that form.
bool is_file_name(std::string_view name) noexcept;
// The same name with another hash; `attempt` from 1.
std::string other_file_name(std::string_view name, unsigned attempt);

// "fl-" and 17 hex digits, the same for the same machine, stage and format.
std::string default_flow_log_id(std::string_view machine_id, std::string_view stage_id, std::string_view log_format);

}  // namespace fffa::vpc_flow_log
