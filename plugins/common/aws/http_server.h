// SPDX-License-Identifier: MIT
// A little HTTP server for tests, whose answers can be as bad as wanted. Listens on 127.0.0.1, one connection at a
// time.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace fffa::aws::testing {

struct Request {
  std::string method;
  std::string path;
  std::string headers;  // as they came
  std::string body;     // as far as Content-Length says
  // The value of a header, by its lower-case name; empty if it is not there.
  std::string header(const std::string& name) const;
};

struct Response {
  int status = 200;
  std::string body;
  std::string headers;                 // further ones, each ended by CR LF
  std::chrono::milliseconds delay{0};  // before anything is said
  std::chrono::milliseconds drip{0};   // between the bytes of the body
  bool raw = false;                    // send the body alone, as it stands
};

class HttpServer {
 public:
  using Handler = std::function<Response(const Request&)>;
  explicit HttpServer(Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  void set_handler(Handler handler);
  std::vector<Request> requests() const;
  std::size_t count(const std::string& method, const std::string& path_part = {}) const;

 private:
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  Handler handler_;
  std::vector<Request> requests_;
  std::thread thread_;

  void serve();
  void answer(int connection);
  void send(int connection, const Response& response);
};

}  // namespace fffa::aws::testing
