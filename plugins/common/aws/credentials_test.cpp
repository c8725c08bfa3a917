// SPDX-License-Identifier: MIT
#include "fffa_aws/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "../test_files.h"
#include "fffa/testing/context.h"
#include "http_server.h"

namespace fffa::aws {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

std::map<std::string, std::string> variables;
const char* variable(const char* name) {
  const auto found = variables.find(name);
  return found == variables.end() ? nullptr : found->second.c_str();
}

constexpr const char* kFile =
    "# a comment\n[other]\naws_access_key_id=B\naws_secret_access_key=C\n"
    "[default]\r\naws_access_key_id = AKIA \r\n aws_secret_access_key = se/cr+et=\r\n;x\nregion = eu\n";

TEST(CredentialsFile, Profiles) {
  EXPECT_EQ(parse_credentials_file(kFile, "default"), (Credentials{"AKIA", "se/cr+et=", ""}));
  EXPECT_EQ(parse_credentials_file(kFile, "other"), (Credentials{"B", "C", ""}));
  EXPECT_EQ(parse_credentials_file(kFile, "none"), std::nullopt);
  EXPECT_EQ(parse_credentials_file("[default]\naws_access_key_id=a\n", "default"), std::nullopt);
  EXPECT_EQ(parse_credentials_file("[default]\naws_access_key_id=a\x01\naws_secret_access_key=b", "default"),
            std::nullopt);
  EXPECT_EQ(parse_credentials_file("[\n=\n[default", "default"), std::nullopt);
}

std::string role(const std::string& key, const std::string& expires) {
  return R"({"Code":"Success","Type":"AWS-HMAC","AccessKeyId":")" + key +
         R"(","SecretAccessKey":"secret","Token":"token","Expiration":")" + expires + "\"}";
}

TEST(RoleCredentials, WholeOrNone) {
  const auto good = parse_role_credentials(role("ASIA", "2026-01-01T01:00:00Z"));
  ASSERT_TRUE(good);
  EXPECT_EQ(good->credentials, (Credentials{"ASIA", "secret", "token"}));
  EXPECT_EQ(good->expires, fffa::testing::kTestStart + 3'600'000'000'000);
  for (const std::string bad : {"", "[]", "{}", "{\"Code\":1}", "nonsense"})
    EXPECT_FALSE(parse_role_credentials(bad)) << bad;
  EXPECT_FALSE(parse_role_credentials(role("ASIA", "tomorrow")));
  EXPECT_FALSE(parse_role_credentials(role("", "2026-01-01T01:00:00Z")));
  EXPECT_FALSE(parse_role_credentials(role("a\\r\\nx: y", "2026-01-01T01:00:00Z")));
  EXPECT_FALSE(parse_role_credentials(
      R"({"Code":"Failed","AccessKeyId":"a","SecretAccessKey":"b","Expiration":"2026-01-01T01:00:00Z"})"));
  EXPECT_FALSE(parse_role_credentials(std::string(30'000, '[')));
}

struct Source : ::testing::Test {
  common::testing::TemporaryFolder folder;
  fffa::testing::ManualClock clock;
  std::atomic<bool> stop{false};
  int asked = 0;
  std::string answer;
  testing::HttpServer imds{[this](const testing::Request& request) -> testing::Response {
    if (request.method == "PUT") return {200, "token", "", {}, {}, false};
    if (request.path.ends_with("/")) return {200, "the-role\n", "", {}, {}, false};
    ++asked;
    return {answer.empty() ? 500 : 200, answer, "", {}, {}, false};
  }};
  void SetUp() override { variables = {{"HOME", folder.path()}, {"AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.url()}}; }
  CredentialSource source(const std::string& file = {}) { return {file, clock, stop, &variable}; }
};

TEST_F(Source, TheEnvironmentThenTheFileThenTheRole) {
  answer = role("ROLE", "2026-01-01T01:00:00Z");
  auto from = source();
  EXPECT_EQ(from.get().value().access_key, "ROLE");
  std::filesystem::create_directories(folder.path() / ".aws");
  common::testing::write_plain(folder.path() / ".aws/credentials", kFile);
  EXPECT_EQ(from.get().value().access_key, "AKIA");
  variables["AWS_PROFILE"] = "other";
  EXPECT_EQ(from.get().value().access_key, "B");
  variables["AWS_ACCESS_KEY_ID"] = "ENV";
  EXPECT_EQ(from.get().value().access_key, "B") << "half of it is nothing";
  variables["AWS_SECRET_ACCESS_KEY"] = "s";
  variables["AWS_SESSION_TOKEN"] = "t";
  EXPECT_EQ(from.get().value(), (Credentials{"ENV", "s", "t"}));
}

TEST_F(Source, AFileThatIsNamedIsTheOnlyOne) {
  variables["AWS_ACCESS_KEY_ID"] = "ENV";
  variables["AWS_SECRET_ACCESS_KEY"] = "s";
  auto from = source(folder.path() / "keys");
  EXPECT_THAT(from.get().error().message, HasSubstr("keys: No such file"));
  common::testing::write_plain(folder.path() / "keys", kFile);
  EXPECT_EQ(from.get().value().access_key, "AKIA") << "it is read anew";
  common::testing::write_plain(folder.path() / "keys",
                               "[default]\naws_access_key_id=a\naws_secret_access_key=do not tell\n");
  EXPECT_THAT(from.get().error().message, Not(HasSubstr("do not tell")));
}

TEST_F(Source, ARoleIsRenewedBeforeItExpires) {
  answer = role("FIRST", "2026-01-01T01:00:00Z");
  auto from = source();
  EXPECT_EQ(from.get().value().access_key, "FIRST");
  clock.advance(54min);
  EXPECT_EQ(from.get().value().access_key, "FIRST");
  EXPECT_EQ(asked, 1);
  answer = role("SECOND", "2026-01-01T07:00:00Z");
  clock.advance(1min);
  EXPECT_EQ(from.get().value().access_key, "SECOND");
}

TEST_F(Source, WhatWasKnownIsUsedUntilItExpires) {
  answer = role("FIRST", "2026-01-01T01:00:00Z");
  auto from = source();
  EXPECT_TRUE(from.get());
  answer.clear();
  clock.advance(56min);
  EXPECT_EQ(from.get().value().access_key, "FIRST");
  const int before = asked;
  EXPECT_TRUE(from.get());
  EXPECT_EQ(asked, before) << "not with every request";
  clock.advance(5min);
  EXPECT_FALSE(from.get());
  answer = role("SECOND", "2026-01-01T07:00:00Z");
  clock.advance(3s);
  EXPECT_EQ(from.get().value().access_key, "SECOND");
}

TEST_F(Source, RefusedOnesAreAskedForAnew) {
  answer = role("FIRST", "2026-01-01T01:00:00Z");
  auto from = source();
  EXPECT_TRUE(from.get());
  answer = role("SECOND", "2026-01-01T01:00:00Z");
  from.refused();
  EXPECT_EQ(from.get().value().access_key, "SECOND");
}

TEST_F(Source, SaysWhatIsMissing) {
  variables["AWS_EC2_METADATA_DISABLED"] = "true";
  const auto none = source().get();
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("AWS_ACCESS_KEY_ID"));
  EXPECT_THAT(none.error().message, HasSubstr("/.aws/credentials: No such file"));
  EXPECT_THAT(none.error().message, HasSubstr("AWS_EC2_METADATA_DISABLED"));
}

}  // namespace
}  // namespace fffa::aws
