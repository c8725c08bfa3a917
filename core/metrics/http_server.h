// SPDX-License-Identifier: MIT
// A small HTTP server for /metrics and the health pages. Bounded: 16 connections, 4 KiB a request, 5 s a connection;
// one answer a connection. One connection more ends the oldest that has not sent its request, or else the oldest.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "fffa/result.h"

namespace fffa::core {

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

class HttpServer {
 public:
  // Called on the server's thread with the path of a GET or HEAD request, query cut off. Must not throw.
  using Handler = std::function<HttpResponse(std::string_view path)>;

  // `address` is "HOST:PORT" with a numeric host ("127.0.0.1:9464", "[::1]:9464"); port 0 takes a free one. Errors name
  // the address. `limit`: of a connection's life.
  static Result<std::unique_ptr<HttpServer>> listen(const std::string& address, Handler handler,
                                                    std::chrono::nanoseconds limit = std::chrono::seconds(5));
  void serve();  // starts the thread; once. Connections wait until then
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  std::uint16_t port() const noexcept;

 private:
  struct Loop;
  explicit HttpServer(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace fffa::core
