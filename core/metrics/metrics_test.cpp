// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "health.h"
#include "http_server.h"
#include "registry.h"

namespace fffa::core {
namespace {

TEST(Registry, CountsExactlyAndPrintsText) {
  Registry registry;
  auto& counter = registry.counter("fffa_things_total", "Things", {{"stage", "a"}, {"reason", "x\"y\n"}});
  EXPECT_EQ(&counter, &registry.counter("fffa_things_total", "Things", {{"reason", "x\"y\n"}, {"stage", "a"}}));
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 10000; ++n) counter.add(3);
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 120000u);
  auto& gauge = registry.gauge("fffa_level", "Level");
  registry.on_collect([&] { gauge.set(2.5); });
  const auto text = registry.text();
  EXPECT_NE(text.find("# TYPE fffa_things_total counter\nfffa_things_total{reason=\"x\\\"y\\n\",stage=\"a\"} 120000\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("fffa_level 2.5\n"), std::string::npos) << text;
}

TEST(Registry, WhatIsNotShownAgainIsGone) {
  Registry registry;
  bool there = true;
  registry.on_collect([&] {
    if (there) registry.show("fffa_queue", "Queue", {{"stage", "a"}}, 3);
    registry.show("fffa_queue", "Queue", {{"stage", "b"}}, 4);
    if (there) registry.show("fffa_other", "Other", {}, 5);
  });
  EXPECT_NE(registry.text().find("fffa_queue{stage=\"a\"} 3\n"), std::string::npos);
  there = false;
  EXPECT_EQ(registry.text(), "# HELP fffa_queue Queue\n# TYPE fffa_queue gauge\nfffa_queue{stage=\"b\"} 4\n");
  there = true;
  EXPECT_NE(registry.text().find("fffa_other 5\n"), std::string::npos);
  there = false;
  static_cast<void>(registry.text());
  auto& gauge = registry.gauge("fffa_other", "Other");
  EXPECT_NE(registry.text().find("fffa_other 0\n"), std::string::npos) << "nothing is left of the one that was shown";
  there = true;
  EXPECT_NE(registry.text().find("fffa_other 5\n"), std::string::npos);
  there = false;
  gauge.set(6);
  EXPECT_NE(registry.text().find("fffa_other 6\n"), std::string::npos) << "it is held: it stays, though also shown";
}

TEST(Registry, RefusesWhatPrometheusDoesNotAllow) {
  Registry registry;
  registry.counter("a_total", "");
  EXPECT_THROW(registry.gauge("a_total", ""), std::invalid_argument);
  EXPECT_THROW(registry.counter("a-b", ""), std::invalid_argument);
  EXPECT_THROW(registry.counter("", ""), std::invalid_argument);
  EXPECT_THROW(registry.counter("b", "", {{"0x", ""}}), std::invalid_argument);
}

TEST(Health, QuotesAreValidJsonWhateverTheText) {
  EXPECT_EQ(json_quote("a\"b\\\n\x01"), R"("a\"b\\\n\u0001")");
  EXPECT_EQ(json_quote("caf\xc3\xa9 \xff\xc3."), "\"caf\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd.\"");
}

TEST(Health, ListsWhatIsDegraded) {
  Health health;
  EXPECT_EQ(health.healthz().body, "{\"status\":\"ok\",\"degraded\":[]}\n");
  EXPECT_EQ(health.readyz().status, 503);
  health.degrade("logs", "write: \"x\"\n");
  health.set_ready(true);
  EXPECT_EQ(health.healthz().body,
            "{\"status\":\"degraded\",\"degraded\":[{\"stage\":\"logs\",\"reason\":\"write: \\\"x\\\"\\n\"}]}\n");
  EXPECT_EQ(health.healthz().status, 200);
  EXPECT_EQ(health.readyz().status, 200);
  health.recover("logs");
  EXPECT_TRUE(health.degraded().empty());
}

struct Http : testing::Test {
  std::unique_ptr<HttpServer> server;
  void SetUp() override {
    auto made = HttpServer::listen(
        "127.0.0.1:0",
        [](std::string_view path) -> HttpResponse {
          if (path == "/big") return {200, "text/plain", std::string(5'000'000, 'x')};
          return {path == "/metrics" ? 200 : 404, "text/plain", "you asked for " + std::string(path) + "\n"};
        },
        std::chrono::hours(1));
    ASSERT_TRUE(made) << made.error().message;
    server = std::move(*made);
    server->serve();
  }
  int dial() const {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  static std::string rest(int fd) {
    std::string text;
    char buffer[65536];
    for (ssize_t n = 0; (n = read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(n));
    close(fd);
    return text;
  }
  std::string ask(const std::string& request) const {
    const int fd = dial();
    EXPECT_EQ(send(fd, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
    return rest(fd);
  }
};

TEST_F(Http, Answers) {
  EXPECT_EQ(ask("GET /metrics?a=b HTTP/1.1\r\nHost: x\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 23\r\nConnection: close\r\n\r\nyou asked "
            "for /metrics\n");
  const auto head = ask("HEAD /metrics HTTP/1.1\r\n\r\n");
  EXPECT_EQ(head.substr(head.size() - 4), "\r\n\r\n");
  EXPECT_EQ(ask("GET /nowhere HTTP/1.0\n\n").substr(9, 3), "404");
  EXPECT_EQ(
      ask("GET /big HTTP/1.1\r\n\r\n").size(),
      5'000'000u +
          std::string(
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5000000\r\nConnection: close\r\n\r\n")
              .size());
}

TEST_F(Http, SurvivesWhatIsNotHttp) {
  EXPECT_EQ(ask("POST /metrics HTTP/1.1\r\n\r\n").substr(9, 3), "405");
  EXPECT_EQ(ask("GET\r\n\r\n").substr(9, 3), "400");
  EXPECT_EQ(ask("GET /x\r\n\r\n").substr(9, 3), "400");
  EXPECT_EQ(ask("GET http://x/ HTTP/1.1\r\n\r\n").substr(9, 3), "400");
  EXPECT_EQ(ask("\r\n\r\n").substr(9, 3), "400");
  EXPECT_EQ(ask(std::string("\0\xff\x01 \0 \0\r\n\r\n", 11)).substr(9, 3), "400");
  EXPECT_EQ(ask(std::string(4096, 'A')).substr(9, 3), "431");
  close(dial());
  EXPECT_EQ(ask("GET /metrics HTTP/1.1\r\n\r\n").substr(9, 3), "200");
}

// The fixture's connections live for ever, so only a newer one ends them.
TEST_F(Http, SlowClientsKeepNobodyOut) {
  const std::string request = "GET /metrics HTTP/1.1\r\n\r\n";
  std::vector<int> idle;
  idle.reserve(17);
  for (int i = 0; i < 17; ++i) idle.push_back(dial());
  EXPECT_EQ(ask(request).substr(9, 3), "200");
  for (std::size_t i = 0; i < idle.size(); ++i) {
    if (i >= 2) send(idle[i], request.data(), request.size(), MSG_NOSIGNAL);
    const auto answer = rest(idle[i]);  // of the two oldest: their end
    EXPECT_EQ(answer.substr(0, 15), i < 2 ? "" : "HTTP/1.1 200 OK") << i;
  }
}

TEST_F(Http, ClientsThatDoNotReadKeepNobodyOutEither) {
  const std::string big = "GET /big HTTP/1.1\r\n\r\n";
  std::vector<int> slow;
  for (int i = 0; i < 20; ++i) {
    slow.push_back(dial());
    EXPECT_EQ(send(slow.back(), big.data(), big.size(), MSG_NOSIGNAL), static_cast<ssize_t>(big.size()));
    char first = 0;
    EXPECT_EQ(recv(slow.back(), &first, 1, MSG_PEEK), 1);  // its answer is under way
  }
  EXPECT_EQ(ask("GET /metrics HTTP/1.1\r\n\r\n").substr(9, 3), "200");
  for (const int fd : slow) close(fd);
}

TEST(HttpServer, SaysWhatIsWrongWithAnAddress) {
  const auto handler = [](std::string_view) { return HttpResponse{}; };
  for (const char* address : {"nonsense", "localhost:http", "256.1.1.1:80", ":"}) {
    auto server = HttpServer::listen(address, handler);
    ASSERT_FALSE(server) << address;
    EXPECT_NE(server.error().message.find(address), std::string::npos) << server.error().message;
  }
  auto first = HttpServer::listen("127.0.0.1:0", handler);
  ASSERT_TRUE(first);
  auto second = HttpServer::listen("127.0.0.1:" + std::to_string((*first)->port()), handler);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().system_errno, EADDRINUSE);
  EXPECT_TRUE(HttpServer::listen("[::1]:0", handler));
}

}  // namespace
}  // namespace fffa::core
