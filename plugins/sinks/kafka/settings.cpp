// SPDX-License-Identifier: MIT
#include "settings.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "fffa/config_node.h"

namespace fffa::kafka {
namespace {

constexpr std::string_view kCompressions[] = {"none", "gzip", "snappy", "lz4", "zstd"};

struct Refused {
  std::string_view property;
  std::string_view why;
};
constexpr Refused kRefused[] = {
    {"bootstrap.servers", "the option `brokers` says it"},
    {"metadata.broker.list", "the option `brokers` says it"},
    {"compression.type", "the option `compression` says it"},
    {"compression.codec", "the option `compression` says it"},
    {"transactional.id", "this sink makes no transactions"},
    {"delivery.report.only.error", "every record needs its report"},
    {"plugin.library.paths", "fffa loads no code for librdkafka"},
};

// These decide what a delivery report means.
bool is_acks(std::string_view property) {
  return property == "acks" || property == "request.required.acks";
}

bool is_secret(std::string_view property) {
  constexpr std::string_view kWords[] = {"password", "secret", "pem", "jaas", "oauthbearer.config", "token", "key"};
  return std::ranges::any_of(
      kWords, [property](std::string_view word) { return property.find(word) != std::string_view::npos; });
}

std::string joined(const std::vector<std::string>& brokers) {
  std::string all;
  for (const auto& broker : brokers) (all += all.empty() ? "" : ",") += broker;
  return all;
}

std::string without(std::string text, const std::string& secret) {
  if (secret.empty()) return text;
  for (std::size_t at = 0; (at = text.find(secret, at)) != std::string::npos; at += 3)
    text.replace(at, secret.size(), "***");
  return text;
}

// Of a table that librdkafka prints: a name, blanks, a bar. It knows no other way to say all of them.
std::vector<std::string> all_properties() {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* const table = ::open_memstream(&text, &size);
  if (table == nullptr) return {};
  rd_kafka_conf_properties_show(table);
  std::fclose(table);
  std::vector<std::string> names;
  std::istringstream lines(std::string(text, size));
  std::free(text);
  for (std::string line; std::getline(lines, line);) {
    const auto end = line.find(' ');
    if (end != std::string::npos && line.find('|') != std::string::npos) names.push_back(line.substr(0, end));
  }
  return names;
}

std::string no_such(const std::string& property) {
  const auto meant = nearest(property, all_properties());
  return "librdkafka has no property `" + property + "`" + (meant.empty() ? "" : ": did you mean `" + meant + "`?");
}

void set(rd_kafka_conf_t* conf, const std::string& option, const std::string& property, const std::string& value,
         const Complain& complain) {
  std::array<char, 512> error{};
  const auto result = rd_kafka_conf_set(conf, property.c_str(), value.c_str(), error.data(), error.size());
  if (result == RD_KAFKA_CONF_OK) return;
  if (result == RD_KAFKA_CONF_UNKNOWN) return complain(option, no_such(property));
  // Its text repeats the value.
  complain(option, "librdkafka does not take this value: " + without(error.data(), value));
}

void set_user(rd_kafka_conf_t* conf, const std::string& property, const std::string& value, const Complain& complain) {
  const std::string option = "librdkafka." + property;
  const auto* const refused = std::ranges::find(kRefused, property, &Refused::property);
  if (refused != std::end(kRefused)) return complain(option, "`" + property + "`: " + std::string(refused->why));
  if (is_acks(property) && value != "all" && value != "-1")
    return complain(option, "only `all`: a record is delivered when every replica in sync has it");
  set(conf, option, property, value, complain);
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
  for (const auto& [property, value] : kOurs) set(conf.get(), "brokers", property, value, complain);
  for (const auto& [property, value] : config.librdkafka) set_user(conf.get(), property, value.reveal(), complain);
  return conf;
}

Redactor::Redactor(const Config& config) {
  for (const auto& [property, value] : config.librdkafka) {
    if (is_secret(property) && !value.empty()) secrets_.push_back(value.reveal());
  }
  // The longer first: one may be a part of another.
  std::ranges::sort(secrets_, std::ranges::greater(), &std::string::size);
}

std::string Redactor::operator()(std::string_view text) const {
  std::string shown(text);
  for (const auto& secret : secrets_) shown = without(std::move(shown), secret);
  return shown;
}

}  // namespace fffa::kafka
