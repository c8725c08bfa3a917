// SPDX-License-Identifier: MIT
// Formatter: a record as text. JSON and VPC text are made from the field table; nothing is allocated per record.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "fffa/batch.h"
#include "fffa/result.h"
#include "fffa/text.h"

namespace fffa {

// What a format implements. Not thread-safe: one per stage.
class RecordFormat {
 public:
  virtual ~RecordFormat() = default;
  // The line that opens a file of this format, without newline; empty if it has none.
  virtual std::string_view header() const { return {}; }
  // Appends the record's lines to `out`, each ended by a newline. Usually one; a format may give none or several.
  virtual void append(const FlowRecord& record, std::string& out) = 0;
};

// By value in a stage; made by StageContext::format(). Movable.
class Formatter {
 public:
  Formatter() = default;
  explicit Formatter(std::unique_ptr<RecordFormat> format) : format_(std::move(format)) {}
  std::string_view header() const { return format_->header(); }
  void append(const FlowRecord& record, std::string& out) const { format_->append(record, out); }
  // The record's text without the last newline; valid until the next call.
  std::string_view operator()(const FlowRecord& record) {
    line_.clear();
    format_->append(record, line_);
    if (!line_.empty()) line_.pop_back();
    return line_;
  }

 private:
  std::unique_ptr<RecordFormat> format_;
  std::string line_;
};

// One JSON object a line: every field of the table, in its order; `labels` at the end where there are any. Invalid
// UTF-8 is replaced (U+FFFD).
std::unique_ptr<RecordFormat> make_json_format(const TextTable& texts);

// One JSON object a line in the names of Elastic Common Schema, what ECS has none for under `fffa`; what is null is
// left out.
std::unique_ptr<RecordFormat> make_ecs_format(const TextTable& texts);

// One message `fffa.v3.Flow` of proto/flow.proto a record, without a newline or any other frame. A field that is null
// is left out, every other one is there, also if it is 0. Invalid UTF-8 is replaced (U+FFFD).
std::unique_ptr<RecordFormat> make_protobuf_format(const TextTable& texts);
// The text of proto/flow.proto, made from the field table.
std::string protobuf_schema();

// The way back of a format: a record from its bytes, which may come from anybody. Not thread-safe: one per stage.
class RecordParser {
 public:
  virtual ~RecordParser() = default;
  // One record. An error is a rejection, and says which field is wrong, and how. Fields that are not known are passed
  // over; what follows from others (averages, `duration_ms`, `community_id`) is made anew, not believed.
  virtual Result<FlowRecord> parse(std::string_view bytes) = 0;
};
// Of messages `fffa.v3.Flow`. (JSON: plugins/common/json_records, which needs a library.)
std::unique_ptr<RecordParser> make_protobuf_parser(TextTable& texts);

// AWS's default format (version 2).
inline constexpr std::string_view kVpcDefaultFormat =
    "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} "
    "${bytes} ${start} ${end} ${action} "
    "${log-status}";
enum class EniAddress : std::uint8_t {
  packet,   // srcaddr/dstaddr as the packet carried them
  primary,  // the interface's primary address on its own side, as AWS does
};
struct VpcFormatOptions {
  std::string log_format{kVpcDefaultFormat};  // any AWS format string
  EniAddress eni_address = EniAddress::packet;
  std::string account_id;  // overrides what records carry; empty: the record's, else `unknown`
  std::string region;      // likewise; empty: the record's, else `-`
};
// What only an interface can say: no traffic, or some of it lost, from `start` to `end` (Unix seconds, inclusive).
enum class LogStatus : std::uint8_t { ok, nodata, skipdata };

// VPC Flow Log text: a record gives an ACCEPT line, a REJECT line, or both. append() remembers, per flow, refused
// packets that an earlier window counted as accepted: format a record once (keep the text to try again), with one
// VpcFormat for all windows.
class VpcFormat : public RecordFormat {
 public:
  // For primary addresses (EniAddress::primary) and identity of the interfaces of the batch that follows. Cheap;
  // call once a batch.
  virtual void interfaces(const Batch& batch) = 0;
  // A NODATA or SKIPDATA line.
  virtual void append_status(const InterfaceStatus& interface, LogStatus status, std::int64_t start, std::int64_t end,
                             std::string& out) = 0;
  // How many flows' memory of refused packets was given up for want of room (65 536 flows): those packets stand in
  // two lines.
  virtual std::uint64_t deficits_lost() const noexcept = 0;
};
// An error names the token of log_format that AWS does not know, and the nearest that it does.
Result<std::unique_ptr<VpcFormat>> make_vpc_format(const TextTable& texts, VpcFormatOptions options = {});

// A field id in AWS's spelling ("srcaddr"), for schema and completion: nullptr-terminated by an empty view; the
// newest version known is 11.
bool is_vpc_field(std::string_view id) noexcept;

}  // namespace fffa
