// SPDX-License-Identifier: MIT
// A batch as bytes that a later version can read: messages of proto/buffer.proto.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "fffa/batch.h"
#include "fffa/format.h"
#include "fffa/result.h"

namespace fffa::core {

// Not thread-safe.
class BatchEncoder {
 public:
  explicit BatchEncoder(const TextTable& texts) : texts_(texts), records_(make_protobuf_format(texts)) {}
  void append(const Batch& batch, std::string& out);

 private:
  const TextTable& texts_;
  std::unique_ptr<RecordFormat> records_;
  std::string flow_, message_;
};

// Not thread-safe.
class BatchDecoder {
 public:
  explicit BatchDecoder(TextTable& texts) : texts_(texts), records_(make_protobuf_parser(texts)) {}
  // Into an empty batch. Records that the parser refuses are left out: `refused` says why of the last. False: this is
  // no batch.
  bool decode(std::string_view bytes, Batch& batch, std::string& refused);

 private:
  TextTable& texts_;
  std::unique_ptr<RecordParser> records_;

  bool record(std::string_view message, Batch& batch, std::string& refused);
  bool interface(std::string_view message, Batch& batch);
};

}  // namespace fffa::core
