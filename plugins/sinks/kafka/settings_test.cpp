// SPDX-License-Identifier: MIT
#include "settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace fffa::kafka {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Config with(std::map<std::string, std::string> properties) {
  Config config;
  config.brokers = {"one:9092", "two:9092"};
  config.topic = "flows";
  for (auto& [name, value] : properties) config.librdkafka[name] = Secret(value);
  return config;
}
std::string complaints(const Config& config) {
  std::string all;
  make_conf(config, [&all](const auto& option, const auto& message) { all += option + ": " + message + "\n"; });
  return all;
}
std::string value_of(const Config& config, const char* property) {
  const auto conf = make_conf(config, [](const auto&, const auto&) {});
  std::array<char, 256> value{};
  std::size_t size = value.size();
  rd_kafka_conf_get(conf.get(), property, value.data(), &size);
  return value.data();
}

TEST(Settings, WhatIsPromisedIsSet) {
  const auto config = with({});
  EXPECT_EQ(complaints(config), "");
  EXPECT_EQ(value_of(config, "bootstrap.servers"), "one:9092,two:9092");
  EXPECT_EQ(value_of(config, "enable.idempotence"), "true");
  EXPECT_EQ(value_of(config, "acks"), "-1");
  EXPECT_EQ(value_of(config, "compression.codec"), "lz4");
}

TEST(Settings, AnyPropertyMayBeSet) {
  EXPECT_EQ(value_of(with({{"linger.ms", "50"}}), "linger.ms"), "50");
  EXPECT_EQ(complaints(with({{"acks", "all"}, {"security.protocol", "sasl_ssl"}, {"sasl.password", "x"}})), "");
}

TEST(Settings, WhatIsWrongIsNamedWithItsPlace) {
  EXPECT_THAT(complaints(with({{"no.such", "1"}})), HasSubstr("librdkafka.no.such: librdkafka has no property"));
  EXPECT_THAT(complaints(with({{"sasl.pasword", "1"}})), HasSubstr("`sasl.pasword`: did you mean `sasl.password`?"));
  EXPECT_THAT(complaints(with({{"acks", "1"}})), HasSubstr("librdkafka.acks: only `all`"));
  for (const auto* property : {"bootstrap.servers", "compression.type", "transactional.id", "plugin.library.paths"})
    EXPECT_THAT(complaints(with({{property, "x"}})), HasSubstr(property)) << property;
}

TEST(Settings, NoValueIsRepeated) {
  const auto text = complaints(with({{"linger.ms", "hunter2"}, {"security.protocol", "hunter3"}}));
  EXPECT_THAT(text, HasSubstr("librdkafka.linger.ms"));
  EXPECT_THAT(text, HasSubstr("librdkafka.security.protocol"));
  EXPECT_THAT(text, Not(HasSubstr("hunter")));
}

TEST(Settings, SecretsAreTakenOutOfTexts) {
  const Redactor redact(
      with({{"sasl.password", "hunter2"}, {"ssl.key.password", "hunter2more"}, {"client.id", "edge"}}).librdkafka);
  EXPECT_EQ(redact("edge: hunter2 hunter2more, hunter2"), "edge: *** ***, ***");
}

}  // namespace
}  // namespace fffa::kafka
