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

enum class Format : std::uint8_t { json, protobuf, ecs };
FFFA_ENUM(Format, (json, "json", "one JSON object, every field: the line of the stdout sink"),
          (protobuf, "protobuf", "message fffa.v3.Flow of proto/flow.proto"),
          (ecs, "ecs", "likewise in the names of Elastic Common Schema, without what is null"))

enum class Compression : std::uint8_t { none, gzip, snappy, lz4, zstd };
FFFA_ENUM(Compression, (none, "none", "as it is"), (gzip, "gzip", "small, slow"), (snappy, "snappy", "fast"),
          (lz4, "lz4", "fast"), (zstd, "zstd", "smallest"))

// What the headers host, run_id and sequence say is in the record too.
enum class Header : std::uint8_t { host, run_id, sequence, schema };
FFFA_ENUM(Header, (host, "host", "the record's host"), (run_id, "run_id", "that start of fffa"),
          (sequence, "sequence", "the record's number in it"), (schema, "schema", "what the payload is"))

struct Config {
  std::vector<std::string> brokers;
  std::string topic;
  Format format = Format::json;
  Compression compression = Compression::lz4;
  std::vector<Header> headers = {Header::host, Header::run_id, Header::sequence, Header::schema};
  std::optional<std::string> dead_letter;
  // Any of them may hold a password: none is printed.
  std::map<std::string, Secret> librdkafka;
};
FFFA_CONFIG(Config, (brokers, "HOST:PORT of some brokers, from which the others are learnt", required),
            (topic, "where records go; ${FIELD} stands for a field of the record"), (format, "how a record looks"),
            (compression, "of what goes to the brokers"), (headers, "of every message; [] saves time", may_be_empty),
            (dead_letter, "with `on_reject: dead_letter`: topic for the records that Kafka refuses"),
            (librdkafka, "properties of librdkafka, as in {security.protocol: SASL_SSL}; TLS and SASL are set here",
             may_be_empty, may_be_literal))

}  // namespace fffa::kafka
