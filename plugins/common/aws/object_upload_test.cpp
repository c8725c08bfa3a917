// SPDX-License-Identifier: MIT
// Uploads to a server that answers as the test wants.
#include "fffa_aws/object_upload.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../test_files.h"
#include "fffa/detail/descriptor.h"
#include "fffa/testing/context.h"
#include "http_server.h"

namespace fffa::aws {
namespace {

using Kind = S3Reply::Kind;
using ::testing::HasSubstr;
using testing::Request;
using testing::Response;

const char* variable(const char* name) {
  const std::string_view wanted = name;
  if (wanted == "AWS_ACCESS_KEY_ID") return "AKIA";
  if (wanted == "AWS_SECRET_ACCESS_KEY") return "very-secret";
  return wanted == "AWS_EC2_METADATA_DISABLED" ? "true" : nullptr;
}

Response reply(int status, std::string body = {}, std::string headers = {}) {
  headers += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return {status, std::move(body), std::move(headers), {}, {}, false};
}
Response stored() {
  return reply(200, "", "ETag: \"e\"\r\n");
}
Response error(int status, const std::string& code, const std::string& headers = {}) {
  return reply(status, "<Error><Code>" + code + "</Code><Message>m\x1b\n</Message></Error>", headers);
}

struct ObjectUpload : ::testing::Test {
  common::testing::TemporaryFolder temporary;
  fffa::testing::ManualClock clock;
  std::atomic<bool> stop{false};
  testing::HttpServer::Handler answer = [](const Request&) { return stored(); };
  testing::HttpServer server{[this](const Request& request) { return answer(request); }};
  std::unique_ptr<S3> s3;
  std::string content = "what is in the file";

  void SetUp() override {
    for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) ::unsetenv(name);
    S3Options options;
    options.bucket = "bucket";
    options.endpoint = server.url();
    options.part_size = 10;
    options.region = "eu-west-1";
    s3 = std::make_unique<S3>(options, CredentialSource({}, clock, stop, &variable), clock, stop);
  }
  Uploaded upload() {
    common::testing::write_plain(temporary.path() / "f", content);
    const Descriptor folder(::open(temporary.path().c_str(), O_DIRECTORY | O_RDONLY));
    const Descriptor file(::open((temporary.path() / "f").c_str(), O_RDONLY));
    return upload_file(*s3, {folder.get(), "f", file.get(), content.size()}, "a/b c");
  }
  std::string digest() const { return hex(sha256(content)); }
  bool marked() const { return std::filesystem::exists(temporary.path() / ".f.upload"); }
  void small() { content = "small"; }

  // A store that does what it should, but for the request whose number `fault` answers.
  Response multipart(const Request& request) const {
    if (request.method == "HEAD") return reply(404);
    if (request.method == "DELETE") return reply(204);
    if (request.method == "GET") return reply(200, "<R><Upload><Key>a/b c</Key><UploadId>old</UploadId></Upload></R>");
    if (request.path.ends_with("?uploads=")) return reply(200, "<R><UploadId>id&amp;1</UploadId></R>");
    if (request.method == "PUT") return stored();
    return reply(200, "<CompleteMultipartUploadResult><ETag>\"x\"</ETag></CompleteMultipartUploadResult>");
  }
  // What it lists when it has the first `count` of them.
  Response parts_there(std::size_t count) const {
    std::string xml = "<ListPartsResult>";
    for (std::size_t i = 0; i < count; ++i) {
      const auto part = content.substr(i * 10, 10);
      xml += "<Part><PartNumber>" + std::to_string(i + 1) + "</PartNumber><ETag>&#34;p" + std::to_string(i + 1) +
             "&#34;</ETag><Size>" + std::to_string(part.size()) + "</Size><ChecksumSHA256>" + base64(sha256(part)) +
             "</ChecksumSHA256></Part>";
    }
    return reply(200, xml + "</ListPartsResult>");
  }
};

TEST_F(ObjectUpload, SaysWhatItSends) {
  small();
  const auto done = upload();
  EXPECT_EQ(done.kind, Kind::ok) << done.error;
  EXPECT_FALSE(done.already_there);
  const auto request = server.requests().at(0);
  EXPECT_EQ(request.method, "PUT");
  EXPECT_EQ(request.path, "/bucket/a/b%20c");
  EXPECT_EQ(request.body, "small");
  EXPECT_EQ(request.header("if-none-match"), "*");
  EXPECT_EQ(request.header("x-amz-content-sha256"), digest());
  EXPECT_EQ(request.header("x-amz-checksum-sha256"), base64(sha256("small")));
  EXPECT_EQ(request.header("x-amz-date"), "20260101T000000Z");
  EXPECT_THAT(request.header("authorization"), HasSubstr("Credential=AKIA/20260101/eu-west-1/s3/aws4_request"));
  EXPECT_EQ(request.header("expect"), "");
}

TEST_F(ObjectUpload, WhatIsNoConfirmation) {
  small();
  for (const auto& bad : {reply(200), error(200, "InternalError"), error(200, "x y"), error(500, "InternalError"),
                          error(503, "SlowDown"), error(409, "ConditionalRequestConflict"),
                          reply(200, "", "ETag: x\r\nx-amz-checksum-sha256: AAAA\r\n"), error(400, "RequestTimeout")}) {
    answer = [&bad](const Request&) { return bad; };
    EXPECT_EQ(upload().kind, Kind::busy) << bad.status << bad.body;
  }
  answer = [](const Request&) {
    return Response{0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "", {}, {}, true};
  };
  EXPECT_EQ(upload().kind, Kind::unreachable);
  answer = [](const Request&) { return Response{0, "nonsense", "", {}, {}, true}; };
  EXPECT_EQ(upload().kind, Kind::unreachable);
  answer = [](const Request&) { return reply(200, std::string(200'000, 'x'), "ETag: x\r\n"); };
  EXPECT_EQ(upload().kind, Kind::unreachable);
  answer = [](const Request&) { return reply(200, "", "ETag: x\r\nX-Long: " + std::string(90'000, 'x') + "\r\n"); };
  EXPECT_EQ(upload().kind, Kind::unreachable);
}

TEST_F(ObjectUpload, TroubleIsSaidWithoutSecretsOrControlCharacters) {
  small();
  answer = [](const Request&) { return error(403, "AccessDenied"); };
  const auto denied = upload();
  EXPECT_EQ(denied.kind, Kind::denied);
  EXPECT_EQ(denied.error,
            "PUT s3://bucket/a/b c: AccessDenied (m?"
            "?)");
  answer = [](const Request&) { return error(503, "SlowDown", "Retry-After: 9\r\n"); };
  EXPECT_EQ(upload().retry_after, std::chrono::seconds(9));
  answer = [](const Request&) { return error(400, "EntityTooLarge"); };
  EXPECT_EQ(upload().kind, Kind::rejected);
  answer = [](const Request&) { return error(404, "NoSuchBucket"); };
  EXPECT_EQ(upload().kind, Kind::denied);
  answer = [](const Request&) { return reply(301, "", "Location: http://127.0.0.1:1/\r\n"); };
  EXPECT_EQ(upload().kind, Kind::denied);
}

TEST_F(ObjectUpload, TheServersClockCounts) {
  small();
  int refusals = 0;
  answer = [&](const Request& request) {
    if (request.header("x-amz-date") == "20260101T010000Z") return stored();
    ++refusals;
    return error(403, "RequestTimeTooSkewed", "Date: Thu, 01 Jan 2026 01:00:00 GMT\r\n");
  };
  EXPECT_EQ(upload().kind, Kind::ok);
  EXPECT_EQ(upload().kind, Kind::ok);
  EXPECT_EQ(refusals, 1) << "it is remembered";
  answer = [](const Request&) { return error(403, "AccessDenied", "Date: Thu, 01 Jan 2026 05:00:00 GMT\r\n"); };
  const auto before = server.requests().size();
  EXPECT_EQ(upload().kind, Kind::denied);
  EXPECT_EQ(server.requests().size(), before + 2) << "once more, not for ever";
}

TEST_F(ObjectUpload, TheBucketsRegionIsLearnt) {
  small();
  answer = [](const Request& request) {
    return request.header("authorization").find("/ap-south-1/s3/") != std::string::npos
               ? stored()
               : error(400, "AuthorizationHeaderMalformed", "x-amz-bucket-region: ap-south-1\r\n");
  };
  EXPECT_EQ(upload().kind, Kind::ok);
  answer = [](const Request&) {
    return error(400, "AuthorizationHeaderMalformed", "x-amz-bucket-region: evil.example/\r\n");
  };
  EXPECT_EQ(upload().kind, Kind::denied);
}

TEST_F(ObjectUpload, AKeyThatIsTaken) {
  small();
  std::string there = digest();
  answer = [&](const Request& request) {
    if (request.method == "PUT") return error(412, "PreconditionFailed");
    return Response{200, "", "Content-Length: 5\r\nx-amz-meta-fffa-sha256: " + there + "\r\n", {}, {}, false};
  };
  const auto same = upload();
  EXPECT_EQ(same.kind, Kind::ok) << same.error;
  EXPECT_TRUE(same.already_there);
  there = hex(sha256("other"));
  EXPECT_EQ(upload().kind, Kind::exists);
  answer = [&](const Request& request) {
    return request.method == "PUT" ? error(412, "PreconditionFailed") : reply(403);
  };
  EXPECT_EQ(upload().kind, Kind::denied);
}

TEST_F(ObjectUpload, AServerWithoutIfNoneMatchIsAskedFirst) {
  small();
  answer = [&](const Request& request) {
    if (!request.header("if-none-match").empty()) return error(501, "NotImplemented");
    return request.method == "HEAD" ? reply(404) : stored();
  };
  EXPECT_EQ(upload().kind, Kind::ok);
  EXPECT_EQ(server.count("HEAD"), 1u);
  EXPECT_EQ(upload().kind, Kind::ok);
  EXPECT_EQ(server.count("PUT"), 3u) << "it is remembered";
}

TEST_F(ObjectUpload, Parts) {
  answer = [this](const Request& request) { return multipart(request); };
  const auto done = upload();
  EXPECT_EQ(done.kind, Kind::ok) << done.error;
  EXPECT_FALSE(marked());
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 4u);
  EXPECT_EQ(requests[1].path, "/bucket/a/b%20c?partNumber=1&uploadId=id%261");
  EXPECT_EQ(requests[1].body, content.substr(0, 10));
  EXPECT_EQ(requests[2].body, content.substr(10));
  EXPECT_EQ(requests[3].header("if-none-match"), "*");
  EXPECT_THAT(requests[3].body, HasSubstr("<Part><PartNumber>2</PartNumber><ETag>&quot;e&quot;</ETag><ChecksumSHA256>" +
                                          base64(sha256(content.substr(10))) + "</ChecksumSHA256></Part>"));
}

TEST_F(ObjectUpload, PartsThatWillNotDoAreEnded) {
  answer = [this](const Request& request) {
    return request.path.find("partNumber=2") == std::string::npos ? multipart(request) : error(400, "EntityTooLarge");
  };
  EXPECT_EQ(upload().kind, Kind::rejected);
  EXPECT_EQ(server.count("DELETE", "uploadId=id%261"), 1u);
  EXPECT_FALSE(marked());
  answer = [this](const Request& request) {
    return request.method == "POST" && request.path.ends_with("=id%261") ? error(400, "InvalidPart")
                                                                         : multipart(request);
  };
  EXPECT_EQ(upload().kind, Kind::rejected);
  EXPECT_EQ(server.count("DELETE", "uploadId=id%261"), 2u);
  EXPECT_FALSE(marked());
}

TEST_F(ObjectUpload, WhatFailedGoesOnWhereItStopped) {
  answer = [this](const Request& request) {
    return request.path.find("partNumber=2") == std::string::npos ? multipart(request) : error(403, "AccessDenied");
  };
  EXPECT_EQ(upload().kind, Kind::denied);
  EXPECT_TRUE(marked());
  // the completion fails, with all parts there
  answer = [this](const Request& request) {
    if (request.method == "POST") return error(503, "SlowDown");
    return request.method == "GET" ? parts_there(1) : multipart(request);
  };
  auto before = server.requests().size();
  EXPECT_EQ(upload().kind, Kind::busy);
  auto requests = server.requests();
  ASSERT_EQ(requests.size(), before + 5);  // compare, list, part 2, complete, compare
  EXPECT_EQ(requests[before + 1].path, "/bucket/a/b%20c?max-parts=100&uploadId=id%261");
  EXPECT_THAT(requests[before + 2].path, HasSubstr("partNumber=2"));
  EXPECT_TRUE(marked());
  answer = [this](const Request& request) { return request.method == "GET" ? parts_there(2) : multipart(request); };
  before = requests.size();
  EXPECT_EQ(upload().kind, Kind::ok);
  requests = server.requests();
  ASSERT_EQ(requests.size(), before + 3);
  EXPECT_THAT(requests.back().body,
              HasSubstr("<Part><PartNumber>1</PartNumber><ETag>&quot;p1&quot;</ETag><ChecksumSHA256>" +
                        base64(sha256(content.substr(0, 10)))));
  EXPECT_FALSE(marked());
  EXPECT_EQ(server.count("DELETE"), 0u);
}

// Listed, but of other bytes, another size, or without a checksum.
TEST_F(ObjectUpload, APartThatMayBeAnotherIsSentAgain) {
  using Change = std::pair<std::string, std::string>;
  for (const auto& change : {Change{base64(sha256(content.substr(0, 10))), "AAAA"},
                             {"<Size>10<", "<Size>11<"},
                             {"ChecksumSHA256>", "ChecksumCRC32>"}}) {
    common::testing::write_plain(temporary.path() / ".f.upload", "id&1");
    answer = [&](const Request& request) {
      if (request.method != "GET") return multipart(request);
      const auto& [from, to] = change;
      auto listed = parts_there(1);
      for (auto at = listed.body.find(from); at != std::string::npos; at = listed.body.find(from, at + to.size()))
        listed.body.replace(at, from.size(), to);
      return reply(200, listed.body);
    };
    const auto before = server.count("PUT", "partNumber=1");
    EXPECT_EQ(upload().kind, Kind::ok);
    EXPECT_EQ(server.count("PUT", "partNumber=1"), before + 1) << change.second;
  }
}

// The store has forgotten the upload, or does not let us list it: begun anew.
TEST_F(ObjectUpload, AnUploadThatIsGoneIsBegunAnew) {
  for (const auto& bad : {error(404, "NoSuchUpload"), error(403, "AccessDenied")}) {
    common::testing::write_plain(temporary.path() / ".f.upload", "other");
    answer = [&](const Request& request) {
      return request.path.find("uploadId=other") != std::string::npos && request.method == "GET" ? bad
                                                                                                 : multipart(request);
    };
    const auto begun = server.count("POST", "?uploads=");
    EXPECT_EQ(upload().kind, Kind::ok);
    EXPECT_EQ(server.count("POST", "?uploads="), begun + 1);
    EXPECT_FALSE(marked());
  }
  EXPECT_EQ(server.count("DELETE", "uploadId=other"), 2u);
}

TEST_F(ObjectUpload, PartsThatCouldNotBeEndedAreEndedNextTime) {
  answer = [this](const Request& request) {
    if (request.method == "DELETE") return error(500, "InternalError");
    return request.path.find("partNumber=2") == std::string::npos ? multipart(request) : error(400, "EntityTooLarge");
  };
  EXPECT_EQ(upload().kind, Kind::rejected);
  EXPECT_TRUE(marked());
  answer = [this](const Request& request) {
    return request.method == "GET" ? error(404, "NoSuchUpload") : multipart(request);
  };
  EXPECT_EQ(upload().kind, Kind::ok);
  EXPECT_EQ(server.count("DELETE"), 2u);
  EXPECT_FALSE(marked());
}

// Killed after the store began the upload, before its id was known.
TEST_F(ObjectUpload, AnUploadWithoutAnIdIsFoundByItsKey) {
  common::testing::write_plain(temporary.path() / ".f.upload", "");
  answer = [this](const Request& request) { return multipart(request); };
  EXPECT_EQ(upload().kind, Kind::ok);
  EXPECT_EQ(server.count("GET", "/bucket/?prefix=a%2Fb%20c&uploads="), 1u);
  EXPECT_EQ(server.count("DELETE", "uploadId=old"), 1u);
}

TEST_F(ObjectUpload, StopsSoon) {
  small();
  answer = [](const Request&) { return Response{200, "", "", std::chrono::seconds(20), {}, false}; };
  std::thread stopper([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    stop = true;
  });
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(upload().kind, Kind::stopped);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
  stopper.join();
}

}  // namespace
}  // namespace fffa::aws
