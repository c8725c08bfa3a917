// SPDX-License-Identifier: MIT
#include "fffa_kafka/properties.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fffa/config.h"
#include "fffa/testing/config_text.h"

namespace fffa::kafka {

struct SomeStage {
  Properties librdkafka;
};
FFFA_CONFIG(SomeStage, (librdkafka, "as the stages have it", may_be_empty, may_be_literal))

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> complaints(const std::string& yaml) {
  const auto node = testing::parse_config(yaml, "f.yaml");
  SomeStage config;
  Diagnostics diagnostics;
  read_config(*node, "sinks.out", config, diagnostics);
  Checker checker(*node, "sinks.out", diagnostics);
  check_secrets(config.librdkafka, checker);
  std::vector<std::string> all;
  for (const auto& one : diagnostics.all()) all.push_back(to_string(one));
  return all;
}

TEST(KafkaProperties, SecretsComeFromOutside) {
  for (const std::string property :
       {"sasl.password", "ssl.key.password", "ssl.key.pem", "ssl.keystore.password", "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config", "sasl.oauthbearer.assertion.private.key.pem",
        "sasl.oauthbearer.assertion.private.key.passphrase"}) {
    EXPECT_THAT(complaints("librdkafka:\n  " + property + ": \"hunter2\"\n"),
                ElementsAre("f.yaml:2:" + std::to_string(property.size() + 5) + ": sinks.out.librdkafka." + property +
                            ": a secret stands here for all to read (write ${file:/path} or ${VAR})"));
    EXPECT_THAT(complaints("librdkafka:\n  " + property + ": ${file:/etc/secret}\n"), IsEmpty()) << property;
  }
}

TEST(KafkaProperties, AnEmptySecretIsNone) {
  EXPECT_THAT(complaints("librdkafka: {sasl.password: ''}\n"),
              ElementsAre(::testing::HasSubstr("the secret is empty")));
}

TEST(KafkaProperties, WhatIsNoSecretMayStandThere) {
  for (const std::string property :
       {"sasl.username", "ssl.key.location", "ssl.keystore.location", "ssl.ca.pem", "ssl.certificate.pem",
        "sasl.oauthbearer.token.endpoint.url", "sasl.kerberos.keytab", "enable.sasl.oauthbearer.unsecure.jwt"})
    EXPECT_THAT(complaints("librdkafka:\n  " + property + ": it\n"), IsEmpty()) << property;
}

}  // namespace
}  // namespace fffa::kafka
