// SPDX-License-Identifier: MIT
#include "fffa_aws/s3_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fffa::aws {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr TimeNs kSecond = 1'000'000'000;

TEST(S3Text, ElementsAndWhatIsNone) {
  EXPECT_EQ(xml_text("<?xml?><A><Code>NoSuchKey</Code></A>", "Code"), "NoSuchKey");
  EXPECT_EQ(xml_text("<ETag>&quot;a&amp;lt;b&#34;</ETag>", "ETag"), "\"a&lt;b\"");
  EXPECT_EQ(xml_text("<A></A>", "A"), "");
  for (const char* bad :
       {"", "<A>", "<A>x", "<A>x<", "<A>x</B>", "<A><B>x</B></A>", "<A x>y</A>", "A>x</A>", "<A>x</A"})
    EXPECT_EQ(xml_text(bad, "A"), "") << bad;
  EXPECT_EQ(xml_text("<A>" + std::string(3000, 'x') + "</A>", "A"), "");
}

TEST(S3Text, Errors) {
  EXPECT_EQ(error_code("<Error><Code>SlowDown</Code></Error>"), "SlowDown");
  EXPECT_EQ(error_code("<Result><Code>SlowDown</Code></Result>"), "");
  EXPECT_EQ(error_code("<Error><Code>a b\n</Code></Error>"), "");
  EXPECT_EQ(error_code("<Error><Code>" + std::string(65, 'x') + "</Code></Error>"), "");
  EXPECT_TRUE(is_error("<?xml?>\n<Error xmlns='x'>"));
  EXPECT_FALSE(is_error("<Errors>"));
  EXPECT_EQ(printable("a\x1b[31m\n\xff"
                      "b",
                      100),
            "a?[31m??b");
  EXPECT_EQ(printable("abc", 2), "ab");
}

TEST(S3Text, UploadsOfAKey) {
  const std::string list =
      "<L><Prefix>a</Prefix><Upload><Key>a&amp;b</Key><UploadId>1</UploadId></Upload>"
      "<Upload><Key>a&amp;b2</Key><UploadId>2</UploadId></Upload><Upload><UploadId>3</UploadId></Upload>"
      "<Upload><Key>a&amp;b</Key><UploadId>4</UploadId></Upload><Upload><Key>a&amp;b</Key>";
  EXPECT_THAT(upload_ids(list, "a&b"), ElementsAre("1", "4"));
  EXPECT_THAT(upload_ids("<Upload>", ""), IsEmpty());
  std::string many;
  for (int i = 0; i < 1500; ++i) many += "<Upload><Key>k</Key><UploadId>i</UploadId></Upload>";
  EXPECT_EQ(upload_ids(many, "k").size(), 1000u);
}

TEST(S3Text, ListedParts) {
  const auto parts = listed_parts(
      "<ListPartsResult><PartNumberMarker>0</PartNumberMarker>"
      "<Part><PartNumber>2</PartNumber><ETag>&quot;e&quot;</ETag><Size>17</Size><ChecksumSHA256>c=</ChecksumSHA256></"
      "Part>"
      "<Part><PartNumber>x</PartNumber><Size>17</Size></Part><Part><PartNumber>3</PartNumber></Part>"
      "<Part><PartNumber>-4</PartNumber><Size>99999999999999999999</Size></Part>"
      "<Part><PartNumber>5</PartNumber><Size>0</Size></Part><Part><PartNumber>6");
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].number, 2u);
  EXPECT_EQ(parts[0].size, 17u);
  EXPECT_EQ(parts[0].etag, "\"e\"");
  EXPECT_EQ(parts[0].checksum, "c=");
  EXPECT_EQ(parts[1].number, 5u);
  EXPECT_EQ(parts[1].checksum, "");
  EXPECT_EQ(xml_text("<x>" + xml_escape("\"a\" <b> & 'c'") + "</x>", "x"), "\"a\" <b> & 'c'");
}

TEST(S3Text, Dates) {
  EXPECT_EQ(parse_http_date("Thu, 01 Jan 2026 00:00:00 GMT"), TimeNs{1'767'225'600} * kSecond);
  for (const std::string_view bad : {std::string_view(""), std::string_view("soon"), std::string_view("\0\0", 2)})
    EXPECT_EQ(parse_http_date(bad), std::nullopt) << bad;
  EXPECT_EQ(parse_http_date(std::string(1000, '1')), std::nullopt);

  const TimeNs now = TimeNs{1'767'225'600} * kSecond;
  EXPECT_EQ(parse_retry_after("7", now), seconds(7));
  EXPECT_EQ(parse_retry_after("Thu, 01 Jan 2026 00:01:00 GMT", now), seconds(60));
  EXPECT_EQ(parse_retry_after("Wed, 31 Dec 2025 00:01:00 GMT", now), seconds(0));
  EXPECT_EQ(parse_retry_after("99999999", now), seconds(300));
  for (const char* bad : {"", "-5", "x", "1e9", "999999999999999999999999"})
    EXPECT_EQ(parse_retry_after(bad, now), seconds(0)) << bad;
}

}  // namespace
}  // namespace fffa::aws
