// SPDX-License-Identifier: MIT
// AWS's published examples: "Signature Calculations for the Authorization Header" (S3 API reference) and the SigV4 test
// suite.
#include "fffa_aws/sigv4.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fffa::aws {
namespace {

using ::testing::EndsWith;

const Credentials kS3Example{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
constexpr const char* kDate = "20130524T000000Z";

std::string s3(const std::string& method, const std::string& path, Fields query, Fields headers,
               std::string_view body = {}) {
  SignedRequest request{method, path, std::move(query), std::move(headers), hex(sha256(body))};
  request.headers.emplace_back("host", "examplebucket.s3.amazonaws.com");
  request.headers.emplace_back("x-amz-date", kDate);
  request.headers.emplace_back("x-amz-content-sha256", request.payload_hash);
  return authorization(request, kDate, "us-east-1", "s3", kS3Example);
}

TEST(SigV4, GetObject) {
  EXPECT_EQ(s3("GET", "/test.txt", {}, {{"range", "bytes=0-9"}}),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SigV4, PutObject) {
  EXPECT_THAT(s3("PUT", uri_encode("/test$file.text", true), {},
                 {{"date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                 "Welcome to Amazon S3."),
              EndsWith("Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}

TEST(SigV4, Queries) {
  EXPECT_THAT(s3("GET", "/", {{"lifecycle", ""}}, {}),
              EndsWith("Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
  EXPECT_THAT(s3("GET", "/", {{"prefix", "J"}, {"max-keys", "2"}}, {}),
              EndsWith("Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

// get-vanilla and get-vanilla-query-order-key-case of the test suite.
TEST(SigV4, TestSuite) {
  const Credentials credentials{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};
  SignedRequest request{
      "GET", "/", {}, {{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}}, hex(sha256(""))};
  EXPECT_EQ(authorization(request, "20150830T123600Z", "us-east-1", "service", credentials),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,"
            "SignedHeaders=host;x-amz-date,"
            "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  request.query = {{"Param2", "value2"}, {"Param1", "value1"}};
  EXPECT_THAT(authorization(request, "20150830T123600Z", "us-east-1", "service", credentials),
              EndsWith("Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"));
}

TEST(SigV4, Pieces) {
  EXPECT_EQ(uri_encode("a b/c+d~%\xC3\xA9", true), "a%20b/c%2Bd~%25%C3%A9");
  EXPECT_EQ(uri_encode("a/b", false), "a%2Fb");
  EXPECT_EQ(query_text({{"uploads", ""}, {"prefix", "x/y"}}), "prefix=x%2Fy&uploads=");
  EXPECT_EQ(amz_date(TimeNs{1'369'353'600} * 1'000'000'000), kDate);
  EXPECT_EQ(base64(sha256("")), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}

}  // namespace
}  // namespace fffa::aws
