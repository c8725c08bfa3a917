// SPDX-License-Identifier: MIT
// The sink against a real UDP socket, run by the SDK's harness: no fffa, no network.
#include "syslog.cpp"

#include <arpa/inet.h>
#include <fffa/testing/harness.h>
#include <fffa/testing/records.h>
#include <netinet/in.h>
#include <poll.h>

#include <cstdio>
#include <cstdlib>

namespace {

void expect(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "failed: %s\n", what);
  std::exit(1);
}

class Receiver {
 public:
  Receiver() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    expect(bind(fd_, reinterpret_cast<sockaddr*>(&address), length) == 0, "bind");
    expect(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length) == 0, "getsockname");
    port_ = ntohs(address.sin_port);
  }
  ~Receiver() { close(fd_); }
  std::string config() const { return "host: 127.0.0.1\nport: " + std::to_string(port_); }
  // The next datagram, or nothing after a second.
  std::string next() {
    pollfd wanted{fd_, POLLIN, 0};
    std::string text(65536, '\0');
    const ssize_t length = poll(&wanted, 1, 1000) == 1 ? recv(fd_, text.data(), text.size(), 0) : 0;
    text.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
    return text;
  }

 private:
  int fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  std::uint16_t port_ = 0;
};

}  // namespace

int main() {
  Receiver receiver;
  auto sink = fffa::testing::Harness::of<Syslog, Config>(receiver.config());
  const auto batch = fffa::testing::sample_batch(sink->context(), 3, fffa::testing::kTestStart);
  expect(sink->write(batch).ok(), "write");
  for (int i = 0; i < 3; ++i) {
    const std::string message = receiver.next();
    const std::string header = "<134>1 2026-01-01T00:00:00Z test-host fffa - flow - ";
    expect(message.starts_with(header + "{"), "the RFC 5424 header, then JSON");
    expect(message.ends_with("}"), "one record a datagram");
    expect(message.find("\"host\":\"test-host\"") != std::string::npos, "the record");
  }
  expect(sink->write({}).ok(), "an empty batch");
  expect(sink->close().ok(), "close");

  try {
    fffa::testing::Harness::of<Syslog, Config>("host: no.such.host.invalid");
    expect(false, "an unknown host is an error");
  } catch (const fffa::Failure& failure) {
    expect(failure.error().message.find("no.such.host.invalid") != std::string::npos, "the error names the host");
  }
  return 0;
}
