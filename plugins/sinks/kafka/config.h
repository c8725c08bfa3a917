// SPDX-License-Identifier: MIT
// Options of the sink.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fffa/config.h"

namespace fffa::kafka {

enum class Format : std::uint8_t { json, protobuf };
FFFA_ENUM(Format, (json, "json", "one JSON object, every field: the line of the stdout sink"),
          (protobuf, "protobuf", "message fffa.v3.Flow of proto/flow.proto"))

enum class Compression : std::uint8_t { none, gzip, snappy, lz4, zstd };
FFFA_ENUM(Compression, (none, "none", "as it is"), (gzip, "gzip", "small, slow"), (snappy, "snappy", "fast"),
          (lz4, "lz4", "fast"), (zstd, "zstd", "smallest"))

struct Config {
  std::vector<std::string> brokers;
  std::string topic;
  Format format = Format::json;
  Compression compression = Compression::lz4;
  std::optional<std::string> dead_letter;
  // Any of them may hold a password: none is printed.
  std::map<std::string, Secret> librdkafka;
};
FFFA_CONFIG(Config, (brokers, "HOST:PORT of some brokers, from which the others are learnt", required),
            (topic, "where records go; ${FIELD} stands for a field of the record"), (format, "how a record looks"),
            (compression, "of what goes to the brokers"),
            (dead_letter, "with `on_reject: dead_letter`: topic for the records that Kafka refuses"),
            (librdkafka, "properties of librdkafka, as in {security.protocol: SASL_SSL}; TLS and SASL are set here",
             may_be_empty))

}  // namespace fffa::kafka
