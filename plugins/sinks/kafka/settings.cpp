// SPDX-License-Identifier: MIT
#include "settings.h"

#include <string>
#include <string_view>
#include <utility>

namespace fffa::kafka {
namespace {

constexpr std::string_view kCompressions[] = {"none", "gzip", "snappy", "lz4", "zstd"};

constexpr Refused kRefused[] = {
    {"compression.type", "the option `compression` says it"},
    {"compression.codec", "the option `compression` says it"},
    {"transactional.id", "this sink makes no transactions"},
    {"enable.idempotence", "without it records may be there twice, and in another order"},
    {"queue.buffering.max.messages", "fffa bounds what is in the air"},
    {"queue.buffering.max.kbytes", "fffa bounds what is in the air"},
    {"delivery.report.only.error", "every record needs its report"},
};

// These decide what a delivery report means.
bool is_acks(std::string_view property) {
  return property == "acks" || property == "request.required.acks";
}

}  // namespace

ConfPtr make_conf(const Config& config, const Complain& complain) {
  ConfPtr conf(rd_kafka_conf_new());
  const std::pair<const char*, std::string> kOurs[] = {
      {"bootstrap.servers", joined(config.brokers)},
      {"client.id", "fffa"},
      {"client.software.name", "fffa"},
      {"enable.idempotence", "true"},
      {"acks", "all"},
      {"compression.type", std::string(kCompressions[static_cast<std::size_t>(config.compression)])},
      // As Java producers choose it, so that joins over topics find equal keys in equal partitions.
      {"partitioner", "murmur2_random"},
      // A record stays in librdkafka's queue, in its order, until it is delivered or refused: given up by time and
      // offered again it might be there twice.
      {"message.timeout.ms", "0"},
      // The host bounds what is in flight.
      {"queue.buffering.max.messages", "0"},
      {"queue.buffering.max.kbytes", "2147483647"},
  };
  for (const auto& [property, value] : kOurs) set_property(conf.get(), "brokers", property, value, complain);
  set_properties(conf.get(), config.librdkafka, kRefused, complain);
  for (const auto& [property, value] : config.librdkafka) {
    if (is_acks(property) && value.reveal() != "all" && value.reveal() != "-1")
      complain("librdkafka." + property, "only `all`: a record is delivered when every replica in sync has it");
  }
  return conf;
}

}  // namespace fffa::kafka
