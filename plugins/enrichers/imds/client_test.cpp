// SPDX-License-Identifier: MIT
// Client and fetch() against a server that behaves as badly as one can.
#include "fffa_aws/imds_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "../../common/aws/http_server.h"
#include "fffa/testing/context.h"
#include "fffa_aws/http.h"
#include "metadata.h"

namespace fffa::imds {
namespace {

using namespace std::chrono_literals;
using aws::testing::HttpServer;
using aws::testing::Request;
using aws::testing::Response;
using Kind = Reply::Kind;

constexpr const char* kTokenPath = "/latest/api/token";

HttpServer::Handler with_token(const std::function<Response(const Request&)>& get) {
  return [get](const Request& request) {
    if (request.method != "PUT") return get(request);
    return Response{200, "token-1", "", {}, {}, false};
  };
}
Response reply(int status, std::string body = {}) {
  return {status, std::move(body), "", {}, {}, false};
}

struct Peer {
  HttpServer server;
  fffa::testing::ManualClock clock;
  std::atomic<bool> stop{false};
  Client client;
  explicit Peer(HttpServer::Handler handler, std::chrono::milliseconds total = 2000ms)
      : server(std::move(handler)), client({server.url(), 1000ms, total, 3}, clock, stop) {}
};

TEST(Client, AsksForATokenOnceAndUsesIt) {
  Peer s(with_token([](const Request& request) { return reply(200, request.header("x-aws-ec2-metadata-token")); }));
  EXPECT_EQ(s.client.get("/latest/meta-data/a").text, "token-1");
  EXPECT_EQ(s.client.get("/latest/meta-data/b").text, "token-1");
  const auto requests = s.server.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].method, "PUT");
  EXPECT_EQ(requests[0].path, kTokenPath);
  EXPECT_EQ(requests[0].header("x-aws-ec2-metadata-token-ttl-seconds"), "21600");
  EXPECT_EQ(requests[2].path, "/latest/meta-data/b");
}

TEST(Client, RenewsTheTokenAtNineTenthsOfItsLife) {
  Peer s(with_token([](const Request&) { return reply(200, "x"); }));
  static_cast<void>(s.client.get("/latest/a"));
  s.clock.advance(19439s);
  static_cast<void>(s.client.get("/latest/a"));
  EXPECT_EQ(s.server.count("PUT"), 1u);
  s.clock.advance(2s);
  static_cast<void>(s.client.get("/latest/a"));
  EXPECT_EQ(s.server.count("PUT"), 2u);
}

TEST(Client, A401MakesOneNewTokenAndOneMoreTry) {
  int tokens = 0;
  Peer s([&](const Request& request) {
    if (request.method == "PUT") return reply(200, "token-" + std::to_string(++tokens));
    return request.header("x-aws-ec2-metadata-token") == "token-2" ? reply(200, "good") : reply(401, "<html>");
  });
  EXPECT_EQ(s.client.get("/latest/a").text, "good");
  EXPECT_EQ(s.server.count("GET"), 2u);

  Peer always([](const Request& request) { return request.method == "PUT" ? reply(200, "t") : reply(401); });
  EXPECT_EQ(always.client.get("/latest/a").kind, Kind::refused);
  EXPECT_EQ(always.server.count("GET"), 2u);
  EXPECT_EQ(always.server.count("PUT"), 2u);
}

TEST(Client, StatusesMeanWhatAwsSays) {
  const std::pair<int, Kind> cases[] = {{404, Kind::absent},  {403, Kind::refused}, {400, Kind::refused},
                                        {405, Kind::refused}, {301, Kind::refused}, {302, Kind::refused}};
  for (const auto& [status, kind] : cases) {
    Peer s(with_token([status = status](const Request&) { return reply(status, "body"); }));
    EXPECT_EQ(s.client.get("/latest/a").kind, kind) << status;
    EXPECT_EQ(s.server.count("GET"), 1u) << status;
  }
  for (const int status : {403, 404, 405, 400, 401, 302}) {  // of the token: no service for us
    Peer s([status](const Request&) { return reply(status); });
    EXPECT_EQ(s.client.get("/latest/a").kind, Kind::refused) << status;
    EXPECT_EQ(s.server.requests().size(), 1u) << status;
  }
}

TEST(Client, ServerErrorsAreTriedThreeTimes) {
  Peer s(with_token([](const Request&) { return reply(503); }));
  EXPECT_EQ(s.client.get("/latest/a").kind, Kind::unreachable);
  EXPECT_EQ(s.server.count("GET"), 3u);
  int left = 2;
  Peer recovers(with_token([&](const Request&) { return left-- > 0 ? reply(503) : reply(200, "late"); }));
  EXPECT_EQ(recovers.client.get("/latest/a").text, "late");
}

TEST(Client, DoesNotFollowRedirects) {
  HttpServer elsewhere([](const Request&) { return reply(200, "secret"); });
  Peer s(with_token([&](const Request&) {
    Response response = reply(302);
    response.headers = "Location: " + elsewhere.url() + "/\r\n";
    return response;
  }));
  EXPECT_EQ(s.client.get("/latest/a").kind, Kind::refused);
  EXPECT_TRUE(elsewhere.requests().empty());
}

TEST(Client, UsesNoProxy) {
  HttpServer proxy([](const Request&) { return reply(200, "from the proxy"); });
  setenv("http_proxy", proxy.url().c_str(), 1);
  setenv("ALL_PROXY", proxy.url().c_str(), 1);
  Peer s(with_token([](const Request&) { return reply(200, "direct"); }));
  EXPECT_EQ(s.client.get("/latest/a").text, "direct");
  unsetenv("http_proxy");
  unsetenv("ALL_PROXY");
  EXPECT_TRUE(proxy.requests().empty());
}

TEST(Client, GivesUpOnWhatStallsOrDrips) {
  for (const bool drips : {false, true}) {
    Peer s(with_token([drips](const Request&) {
             Response response = reply(200, std::string(1000, 'x'));
             (drips ? response.drip : response.delay) = drips ? 20ms : 5s;
             return response;
           }),
           200ms);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(s.client.get("/latest/a").kind, Kind::unreachable);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 1500ms);
  }
}

TEST(Client, RefusesHugeReplies) {
  Peer s(with_token([](const Request&) { return reply(200, std::string(aws::HttpClient::kMaxBody + 1, 'x')); }));
  const Reply huge = s.client.get("/latest/a");
  EXPECT_EQ(huge.kind, Kind::unreachable);
  EXPECT_NE(huge.text.find("64 KiB"), std::string::npos) << huge.text;
  Peer fits(with_token([](const Request&) { return reply(200, std::string(aws::HttpClient::kMaxBody, 'x')); }));
  EXPECT_EQ(fits.client.get("/latest/a").text.size(), aws::HttpClient::kMaxBody);
}

TEST(Client, RefusesTokensThatAreNone) {
  for (const char* token : {"", "a b", "a\r\nX-Injected: 1", "\x01", "caf\xc3\xa9"}) {
    Peer s([&](const Request&) { return reply(200, token); });
    EXPECT_NE(s.client.get("/latest/a").kind, Kind::ok) << token;
    EXPECT_EQ(s.server.count("GET"), 0u);
  }
}

TEST(Client, SurvivesWhatIsNoHttp) {
  for (const char* garbage : {"\x16\x03\x01 not http", "HTTP/1.1 999999 X\r\n\r\n",
                              "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", ""}) {
    Peer s(with_token([&](const Request&) {
      Response response = reply(200, garbage);
      response.raw = true;
      return response;
    }));
    EXPECT_NE(s.client.get("/latest/a").kind, Kind::ok) << garbage;
  }
}

TEST(Client, NobodyThereIsToldAtOnceAndAskedOnce) {
  std::string url;
  {
    HttpServer gone([](const Request&) { return reply(200); });
    url = gone.url();
  }
  fffa::testing::ManualClock clock;
  const std::atomic<bool> stop{false};
  Client client({url, 1000ms, 2000ms, 3}, clock, stop);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(client.get("/latest/a").kind, Kind::unreachable);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 100ms);
}

TEST(Client, WithoutADescriptorTheCauseIsNamed) {
  HttpServer server([](const Request&) { return reply(200); });
  fffa::testing::ManualClock clock;
  const std::atomic<bool> stop{false};
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  Client client({server.url(), 1000ms, 2000ms, 1}, clock, stop);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto got = client.get("/latest/a");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(got.kind, Kind::unreachable);
  EXPECT_THAT(got.text, ::testing::HasSubstr("Too many open files"));
}

TEST(Client, StopsWhenToldTo) {
  Peer s(with_token([](const Request&) { return reply(503); }));
  s.stop = true;
  EXPECT_EQ(s.client.get("/latest/a").kind, Kind::unreachable);
  EXPECT_LE(s.server.requests().size(), 1u);
}

// ---- fetch(): what is accepted as metadata

Response instance(const Request& request) {
  const std::string mac = "network/interfaces/macs/0e:00:00:00:00:01/";
  const std::pair<std::string, std::string> items[] = {
      {"meta-data/instance-id", "i-0123456789abcdef0"},
      {"meta-data/placement/region", "eu-west-1"},
      {"meta-data/placement/availability-zone", "eu-west-1b"},
      {"meta-data/placement/availability-zone-id", "euw1-az2"},
      {"dynamic/instance-identity/document", R"({"accountId":"001122334455","region":"xx-other-9"})"},
      {"meta-data/network/interfaces/macs/", "0e:00:00:00:00:01/"},
      {"meta-data/" + mac + "interface-id", "eni-0a"},
      {"meta-data/" + mac + "owner-id", "998877665544"},
      {"meta-data/" + mac + "vpc-id", "vpc-0b"},
      {"meta-data/" + mac + "subnet-id", "subnet-0c"},
      {"meta-data/" + mac + "local-ipv4s", "10.0.0.5\n10.0.0.6"},
      {"meta-data/" + mac + "ipv6s", "2001:db8::5\r\n"}};
  for (const auto& [path, body] : items) {
    if (request.path == "/latest/" + path) return reply(200, body);
  }
  return reply(404);
}

TEST(Fetch, ReadsAnInstance) {
  Peer s(with_token(instance));
  const Fetched fetched = fetch(s.client);
  ASSERT_EQ(fetched.kind, Kind::ok) << fetched.error;
  const Instance& got = fetched.instance;
  EXPECT_EQ(got.id, "i-0123456789abcdef0");
  EXPECT_EQ(got.account, "001122334455");  // zeros in front stay
  EXPECT_EQ(got.region, "eu-west-1");      // the item before the document
  EXPECT_EQ(got.az, "eu-west-1b");
  EXPECT_EQ(got.az_id, "euw1-az2");
  ASSERT_EQ(got.enis.size(), 1u);
  EXPECT_EQ(got.enis[0].account, "998877665544");
  EXPECT_EQ(got.enis[0].primary_ipv4, (Address{10, 0, 0, 5}));
  EXPECT_EQ(got.enis[0].primary_ipv6[15], 5);
}

TEST(Fetch, FallsBackOnTheIdentityDocument) {
  Peer s(with_token([](const Request& request) {
    if (request.path.find("placement") != std::string::npos) return reply(404);
    if (!request.path.ends_with("/document")) return instance(request);
    return reply(
        200, R"( {"region" : "us-east-1", "availabilityZone":"us-east-1f", "accountId":"1", "billingProducts":null} )");
  }));
  const Fetched fetched = fetch(s.client);
  EXPECT_EQ(fetched.instance.region, "us-east-1");
  EXPECT_EQ(fetched.instance.az, "us-east-1f");
  EXPECT_EQ(fetched.instance.az_id, "");
}

TEST(Fetch, WhatLooksWrongIsNotSet) {
  for (const std::string& bad : std::initializer_list<std::string>{
           std::string("<html>login</html>"), std::string("eni-0a eni-0b"), std::string("eni-\xff\xfe"),
           std::string("\0eni-0a", 7), "eni-" + std::string(200, 'a'), std::string("eni-0G"), std::string()}) {
    Peer s(with_token([&](const Request& request) {
      return request.path.ends_with("owner-id") || request.path.ends_with("vpc-id") ||
                     request.path.ends_with("az-id") || request.path.ends_with("/document") ||
                     request.path.ends_with("local-ipv4s")
                 ? reply(200, bad)
                 : instance(request);
    }));
    const Fetched fetched = fetch(s.client);
    ASSERT_EQ(fetched.kind, Kind::ok) << bad;
    EXPECT_EQ(fetched.instance.account, "");
    ASSERT_EQ(fetched.instance.enis.size(), 1u);
    EXPECT_EQ(fetched.instance.enis[0].account, "");
    EXPECT_EQ(fetched.instance.enis[0].vpc, "");
    EXPECT_EQ(fetched.instance.enis[0].primary_ipv4, Address{});
    EXPECT_EQ(fetched.instance.enis[0].subnet, "subnet-0c");
  }
}

TEST(Fetch, AnInterfaceThatGoesAwayMeanwhileIsLeftOut) {
  Peer s(with_token([](const Request& request) {
    if (request.path.ends_with("/macs/"))
      return reply(200, "0e:00:00:00:00:01/\n0e:00:00:00:00:02/\nnonsense/\n../../\n");
    return instance(request);
  }));
  const Fetched fetched = fetch(s.client);
  ASSERT_EQ(fetched.kind, Kind::ok);
  ASSERT_EQ(fetched.instance.enis.size(), 1u);
  EXPECT_EQ(s.server.count("GET", ".."), 0u);
}

TEST(Fetch, AServerThatSaysYesToEverythingIsNotTheMetadataService) {
  Peer s([](const Request&) { return reply(200, "welcome"); });
  const Fetched fetched = fetch(s.client);
  EXPECT_EQ(fetched.kind, Kind::unreachable);
  EXPECT_NE(fetched.error.find("names no instance"), std::string::npos);
}

TEST(Fetch, ADeadServiceCostsOneTimeout) {
  Peer s(with_token([](const Request&) {
           Response response = reply(200);
           response.delay = 5s;
           return response;
         }),
         200ms);
  EXPECT_EQ(fetch(s.client).kind, Kind::unreachable);
  EXPECT_EQ(s.server.count("GET"), 1u);
}

}  // namespace
}  // namespace fffa::imds
