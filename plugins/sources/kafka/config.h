// SPDX-License-Identifier: MIT
// Options of the source.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fffa/config.h"
#include "fffa_kafka/properties.h"

namespace fffa::kafka_source {

enum class Format : std::uint8_t { automatic, json, protobuf };
FFFA_ENUM(Format, (automatic, "auto", "as each message's header `schema` says"),
          (json, "json", "the lines of the sinks, one a message"),
          (protobuf, "protobuf", "message fffa.v3.Flow of proto/flow.proto"))

struct Config {
  std::vector<std::string> brokers;
  std::vector<std::string> topics;
  std::optional<std::string> topic;
  std::string group;
  Format format = Format::automatic;
  std::optional<std::string> dead_letter;
  std::chrono::nanoseconds commit_interval = std::chrono::seconds(5);
  kafka::Properties librdkafka;
};
FFFA_CONFIG(Config, (brokers, "HOST:PORT of some brokers, from which the others are learnt", required),
            (topics, "which topics are read"), (topic, "the same for one"),
            (group, "consumer group: its members share the partitions, and continue where one left off"),
            (format, "how a message is read"),
            (dead_letter, "topic for messages that are no record; without it they are counted and passed over"),
            (commit_interval, "how often it is told to Kafka what was delivered",
             range(std::chrono::milliseconds(100), std::chrono::minutes(10))),
            (librdkafka, "properties of librdkafka, as in {security.protocol: SASL_SSL}; TLS and SASL are set here",
             may_be_empty, may_be_literal))

// `topics`, or the one of `topic`.
inline std::vector<std::string> topics_of(const Config& config) {
  auto all = config.topics;
  if (config.topic) all.push_back(*config.topic);
  return all;
}

}  // namespace fffa::kafka_source
