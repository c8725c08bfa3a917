// SPDX-License-Identifier: MIT
#include "fffa_kafka/properties.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "fffa/config_node.h"

namespace fffa::kafka {
namespace {

constexpr Refused kRefused[] = {
    {"bootstrap.servers", "the option `brokers` says it"},
    {"metadata.broker.list", "the option `brokers` says it"},
    {"plugin.library.paths", "fffa loads no code for librdkafka"},
};

bool is_secret(std::string_view property) {
  constexpr std::string_view kWords[] = {"password", "passphrase", "secret", "key.pem", "jaas", "oauthbearer.config"};
  return std::ranges::any_of(
      kWords, [property](std::string_view word) { return property.find(word) != std::string_view::npos; });
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

// librdkafka takes what it can read of anything.
bool is_broker(std::string_view broker) {
  const auto colon = broker.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  std::uint16_t port = 0;
  const auto* const end = broker.data() + broker.size();
  const auto [read, error] = std::from_chars(broker.data() + colon + 1, end, port);
  if (error != std::errc{} || read != end || port == 0) return false;
  auto host = broker.substr(0, colon);
  const bool v6 = host.starts_with('[') && host.ends_with(']');
  if (v6) host = host.substr(1, host.size() - 2);
  return !host.empty() && host.size() <= 255 && std::ranges::all_of(host, [v6](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' ||
           (v6 ? c == ':' || c == '%' : c == '-' || c == '_');
  });
}

}  // namespace

void set_property(rd_kafka_conf_t* conf, const std::string& option, const std::string& property,
                  const std::string& value, const Complain& complain) {
  std::array<char, 512> error{};
  const auto result = rd_kafka_conf_set(conf, property.c_str(), value.c_str(), error.data(), error.size());
  if (result == RD_KAFKA_CONF_OK) return;
  if (result == RD_KAFKA_CONF_UNKNOWN) return complain(option, no_such(property));
  // Its text repeats the value.
  complain(option, "librdkafka does not take this value: " + without(error.data(), value));
}

void set_properties(rd_kafka_conf_t* conf, const Properties& properties, std::span<const Refused> refused,
                    const Complain& complain) {
  for (const auto& [property, value] : properties) {
    const std::string option = "librdkafka." + property;
    const auto is_it = [&property = property](const Refused& one) { return one.property == property; };
    const Refused* found = std::ranges::find_if(kRefused, is_it);
    if (found == std::end(kRefused)) {
      const auto theirs = std::ranges::find_if(refused, is_it);
      found = theirs != refused.end() ? &*theirs : nullptr;
    }
    if (found != nullptr) {
      complain(option, "`" + property + "`: " + std::string(found->why));
    } else {
      set_property(conf, option, property, value.reveal(), complain);
    }
  }
}

std::string joined(const std::vector<std::string>& brokers) {
  std::string all;
  for (const auto& broker : brokers) (all += all.empty() ? "" : ",") += broker;
  return all;
}

void check_brokers(const std::vector<std::string>& brokers, Checker& checker) {
  if (brokers.empty()) checker.error("brokers", "no broker is named");
  for (std::size_t i = 0; i < brokers.size(); ++i) {
    if (!is_broker(brokers[i]))
      checker.error("brokers[" + std::to_string(i) + "]", "expected one HOST:PORT, with a port from 1 to 65535",
                    "brokers: [\"one:9092\", \"[2001:db8::2]:9092\"]");
  }
}

void check_secrets(const Properties& properties, Checker& checker) {
  for (const auto& [property, value] : properties) {
    if (is_secret(property) && value.literal())
      checker.error("librdkafka." + property, Secret::kLiteral, Secret::kInstead);
    else if (is_secret(property) && value.empty())
      checker.error("librdkafka." + property, "the secret is empty", "see its file or variable");
  }
}

Redactor::Redactor(const Properties& properties) {
  for (const auto& [property, value] : properties) {
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

std::string settled(std::string text) {
  if (const auto at = text.rfind(" (after "); at != std::string::npos) text.resize(at);
  return text;
}

}  // namespace fffa::kafka
