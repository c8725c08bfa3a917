// SPDX-License-Identifier: MIT
#include "http_server.h"

#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <list>
#include <thread>
#include <utility>
#include <vector>

namespace fffa::core {

namespace {

constexpr std::size_t kMaxConnections = 16;
constexpr std::size_t kMaxRequest = 4096;
using Monotonic = std::chrono::steady_clock;

std::string_view reason(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 431: return "Request Header Fields Too Large";
    default: return "Service Unavailable";
  }
}

std::string serialize(const HttpResponse& response, bool head) {
  std::string out = "HTTP/1.1 " + std::to_string(response.status) + " ";
  out.append(reason(response.status));
  out += "\r\nContent-Type: " + response.content_type + "\r\nContent-Length: " + std::to_string(response.body.size()) +
         "\r\nConnection: close\r\n\r\n";
  if (!head) out += response.body;
  return out;
}

// The answer to the request that begins `input`; empty while it is not complete.
std::string answer(std::string_view input, const HttpServer::Handler& handler) {
  if (input.find("\r\n\r\n") == std::string_view::npos && input.find("\n\n") == std::string_view::npos) {
    return input.size() < kMaxRequest ? std::string() : serialize({431, "text/plain", "request too large\n"}, false);
  }
  const auto line = input.substr(0, input.find_first_of("\r\n"));
  const auto first = line.find(' ');
  const auto second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos || line.substr(second + 1, 5) != "HTTP/" || line.substr(first + 1, 1) != "/") {
    return serialize({400, "text/plain", "bad request\n"}, false);
  }
  const auto method = line.substr(0, first);
  if (method != "GET" && method != "HEAD") return serialize({405, "text/plain", "GET or HEAD\n"}, false);
  const auto target = line.substr(first + 1, second - first - 1);
  return serialize(handler(target.substr(0, target.find('?'))), method == "HEAD");
}

struct Address {
  std::string host, port;
};
Result<Address> split(const std::string& address) {
  const auto colon = address.rfind(':');
  if (colon == std::string::npos) return fail("listen on " + address + ": expected HOST:PORT");
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return Address{std::move(host), address.substr(colon + 1)};
}

// A listening socket, or the error of the last address tried.
Result<int> open_socket(const std::string& address) {
  auto parts = split(address);
  if (!parts) return parts.error();
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int code = getaddrinfo(parts->host.c_str(), parts->port.c_str(), &hints, &found)) {
    return fail("listen on " + address + ": " + gai_strerror(code) + " (expected a numeric address and port)");
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> guard(found, &freeaddrinfo);
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return system_error("listen on " + address);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || ::listen(fd, 16) != 0) {
    const auto error = system_error("listen on " + address);
    close(fd);
    return error;
  }
  return fd;
}

struct Connection {
  int fd;
  Monotonic::time_point expires;
  std::string input, output;
  std::size_t written = 0;
};

}  // namespace

struct HttpServer::Loop {
  int listener;
  int stop;
  Handler handler;
  std::chrono::nanoseconds limit;
  std::list<Connection> connections;  // the oldest first
  std::thread thread;

  Loop(int fd, int stopper, Handler h, std::chrono::nanoseconds life)
      : listener(fd), stop(stopper), handler(std::move(h)), limit(life) {}
  ~Loop() {
    const std::uint64_t one = 1;
    while (write(stop, &one, sizeof one) < 0 && errno == EINTR) {
    }
    if (thread.joinable()) thread.join();
    for (const auto& connection : connections) close(connection.fd);
    close(listener);
    close(stop);
  }

  void run() {
    std::vector<pollfd> polled;
    for (;;) {
      polled.assign({{stop, POLLIN, 0}, {listener, POLLIN, 0}});
      for (const auto& c : connections)
        polled.push_back({c.fd, static_cast<short>(c.output.empty() ? POLLIN : POLLOUT), 0});
      if (poll(polled.data(), polled.size(), connections.empty() ? -1 : 500) < 0 && errno != EINTR) return;
      if (polled[0].revents != 0) return;
      std::size_t i = 2;
      for (auto at = connections.begin(); at != connections.end(); ++i) {
        const bool over = (polled[i].revents != 0 && !serve(*at)) || Monotonic::now() > at->expires;
        if (over) close(at->fd);
        at = over ? connections.erase(at) : std::next(at);
      }
      if (polled[1].revents != 0) accept_one();
    }
  }
  void accept_one() {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      if (connections.size() == kMaxConnections) end_one();
      connections.push_back({fd, Monotonic::now() + limit, {}, {}, 0});
    } else if (errno == EMFILE || errno == ENFILE) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));  // the listener stays readable: no busy loop
    }
  }
  // Slow clients do not keep others out.
  void end_one() {
    auto victim = std::find_if(connections.begin(), connections.end(), [](const auto& c) { return c.output.empty(); });
    if (victim == connections.end()) victim = connections.begin();
    close(victim->fd);
    connections.erase(victim);
  }
  // False: the connection is over.
  bool serve(Connection& c) const {
    if (c.output.empty()) {
      std::array<char, 1024> buffer{};
      const auto n = recv(c.fd, buffer.data(), buffer.size(), 0);
      if (n < 0) return errno == EAGAIN || errno == EINTR;
      if (n == 0) return false;
      c.input.append(buffer.data(), static_cast<std::size_t>(n));
      c.output = answer(c.input, handler);
      if (c.output.empty()) return true;
    }
    const auto n = send(c.fd, c.output.data() + c.written, c.output.size() - c.written, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    c.written += static_cast<std::size_t>(n);
    if (c.written < c.output.size()) return true;
    shutdown(c.fd, SHUT_WR);
    return false;
  }
};

HttpServer::HttpServer(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
HttpServer::~HttpServer() = default;
void HttpServer::serve() {
  loop_->thread = std::thread([loop = loop_.get()] { loop->run(); });
}

Result<std::unique_ptr<HttpServer>> HttpServer::listen(const std::string& address, Handler handler,
                                                       std::chrono::nanoseconds limit) {
  auto fd = open_socket(address);
  if (!fd) return fd.error();
  const int stop = eventfd(0, EFD_CLOEXEC);
  if (stop < 0) {
    const auto error = system_error("listen on " + address);
    close(*fd);
    return error;
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::make_unique<Loop>(*fd, stop, std::move(handler), limit)));
}

std::uint16_t HttpServer::port() const noexcept {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  std::array<char, NI_MAXSERV> service{};
  if (getsockname(loop_->listener, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      getnameinfo(reinterpret_cast<sockaddr*>(&address), size, nullptr, 0, service.data(), service.size(),
                  NI_NUMERICSERV) != 0) {
    return 0;
  }
  return static_cast<std::uint16_t>(std::strtoul(service.data(), nullptr, 10));
}

}  // namespace fffa::core
