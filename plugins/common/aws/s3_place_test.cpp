// SPDX-License-Identifier: MIT
// Where requests go, and that the signature is of that place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fffa_aws/s3.h"

namespace fffa::aws {
namespace {

struct Case {
  const char* name;
  const char* bucket;
  const char* region;
  const char* endpoint;
  S3Addressing addressing;
  const char* url;
  const char* path;
};

// The forms of the S3 user guide, "Virtual hosting of general purpose buckets".
constexpr Case kCases[] = {
    {"Aws", "logs", "eu-west-1", "", S3Addressing::automatic, "https://logs.s3.eu-west-1.amazonaws.com", "/a/b%20c"},
    {"AwsByPath", "logs", "eu-west-1", "", S3Addressing::path, "https://s3.eu-west-1.amazonaws.com", "/logs/a/b%20c"},
    {"AwsVirtual", "logs", "us-east-1", "", S3Addressing::virtual_host, "https://logs.s3.us-east-1.amazonaws.com",
     "/a/b%20c"},
    {"AwsChina", "logs", "cn-north-1", "", S3Addressing::automatic, "https://logs.s3.cn-north-1.amazonaws.com.cn",
     "/a/b%20c"},
    {"AwsBucketWithADot", "logs.example", "eu-west-1", "", S3Addressing::automatic,
     "https://s3.eu-west-1.amazonaws.com", "/logs.example/a/b%20c"},
    {"Endpoint", "logs", "eu-west-1", "http://minio.example:9000", S3Addressing::automatic, "http://minio.example:9000",
     "/logs/a/b%20c"},
    {"EndpointByPath", "logs", "eu-west-1", "https://minio.example", S3Addressing::path, "https://minio.example",
     "/logs/a/b%20c"},
    {"EndpointVirtual", "logs", "eu-west-1", "https://minio.example:9000", S3Addressing::virtual_host,
     "https://logs.minio.example:9000", "/a/b%20c"},
};

class Places : public ::testing::TestWithParam<Case> {};

TEST_P(Places, AreAsTheyShouldBe) {
  const auto& wanted = GetParam();
  S3Options options;
  options.bucket = wanted.bucket;
  options.region = wanted.region;
  options.endpoint = wanted.endpoint;
  options.addressing = wanted.addressing;
  const auto place = place_of(options, "a/b c");
  EXPECT_EQ(place.url, wanted.url);
  EXPECT_EQ(place.host, std::string(wanted.url).substr(std::string(wanted.url).find("//") + 2));
  EXPECT_EQ(place.path, wanted.path);
}

INSTANTIATE_TEST_SUITE_P(All, Places, ::testing::ValuesIn(kCases),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

// AWS's published example "GET Object", for a bucket in the host's name.
TEST(Place, IsWhatIsSigned) {
  S3Options options;
  options.bucket = "examplebucket";
  options.endpoint = "https://s3.amazonaws.com";
  options.addressing = S3Addressing::virtual_host;
  const auto place = place_of(options, "test.txt");
  const auto nothing = hex(sha256(""));
  const SignedRequest request{"GET",
                              place.path,
                              {},
                              {{"host", place.host},
                               {"range", "bytes=0-9"},
                               {"x-amz-content-sha256", nothing},
                               {"x-amz-date", "20130524T000000Z"}},
                              nothing};
  EXPECT_THAT(authorization(request, "20130524T000000Z", "us-east-1", "s3",
                            {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""}),
              ::testing::HasSubstr("Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
}

}  // namespace
}  // namespace fffa::aws
