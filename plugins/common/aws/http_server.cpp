// SPDX-License-Identifier: MIT
#include "http_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace fffa::aws::testing {

std::string Request::header(const std::string& name) const {
  std::string lower = headers;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto at = lower.find("\r\n" + name + ":");
  if (at == std::string::npos) return {};
  auto begin = at + name.size() + 3;
  while (headers[begin] == ' ') ++begin;
  return headers.substr(begin, headers.find("\r\n", begin) - begin);
}

HttpServer::HttpServer(Handler handler) : handler_(std::move(handler)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 16) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("the test's HTTP server cannot listen");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

HttpServer::~HttpServer() {
  stop_ = true;
  thread_.join();
  close(listener_);
}

void HttpServer::set_handler(Handler handler) {
  const std::lock_guard lock(mutex_);
  handler_ = std::move(handler);
}

std::vector<Request> HttpServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::size_t HttpServer::count(const std::string& method, const std::string& path_part) const {
  const auto all = requests();
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const Request& request) {
    return request.method == method && request.path.find(path_part) != std::string::npos;
  }));
}

void HttpServer::serve() {
  while (!stop_) {
    pollfd waiting{listener_, POLLIN, 0};
    if (poll(&waiting, 1, 20) <= 0) continue;
    const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    answer(connection);
    close(connection);
  }
}

void HttpServer::answer(int connection) {
  std::string text;
  char buffer[4096];
  while (text.find("\r\n\r\n") == std::string::npos) {
    const ssize_t n = recv(connection, buffer, sizeof buffer, 0);
    if (n <= 0) return;
    text.append(buffer, static_cast<std::size_t>(n));
  }
  Request request;
  request.method = text.substr(0, text.find(' '));
  const auto path = request.method.size() + 1;
  request.path = text.substr(path, text.find(' ', path) - path);
  const auto end = text.find("\r\n\r\n");
  request.headers = text.substr(text.find("\r\n"), end + 4 - text.find("\r\n"));
  request.body = text.substr(end + 4);
  const auto size = std::strtoul(request.header("content-length").c_str(), nullptr, 10);
  while (request.body.size() < size) {
    const ssize_t n = recv(connection, buffer, sizeof buffer, 0);
    if (n <= 0) return;
    request.body.append(buffer, static_cast<std::size_t>(n));
  }
  Handler handler;
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    handler = handler_;
  }
  send(connection, handler(request));
}

void HttpServer::send(int connection, const Response& response) {
  const auto wait = [this](std::chrono::milliseconds time) {
    for (; time.count() > 0 && !stop_; time -= std::chrono::milliseconds(10)) {
      std::this_thread::sleep_for(std::min(time, std::chrono::milliseconds(10)));
    }
  };
  const auto put = [connection](const std::string& text) {
    return ::send(connection, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  };
  wait(response.delay);
  if (!response.raw &&
      !put("HTTP/1.1 " + std::to_string(response.status) + " X\r\nConnection: close\r\n" + response.headers + "\r\n"))
    return;
  if (response.drip.count() == 0) {
    put(response.body);
    return;
  }
  for (const char c : response.body) {
    if (stop_ || !put(std::string(1, c))) return;
    wait(response.drip);
  }
}

}  // namespace fffa::aws::testing
