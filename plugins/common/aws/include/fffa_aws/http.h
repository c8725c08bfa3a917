// SPDX-License-Identifier: MIT
// HttpClient: one request at a time to a server that is not trusted: everything that comes back is bounded.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fffa::aws {

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  // The body, if there is one: `size` bytes, of which read(offset, buffer, n) copies up to n and gives the number; less
  // than 1 ends the transfer. Any offset may be asked for again.
  std::function<std::int64_t(std::uint64_t offset, char* buffer, std::size_t size)> read;
  std::uint64_t size = 0;
};

struct HttpReply {
  enum class Failure : std::uint8_t {
    none,         // there is a whole reply, whatever its status
    unreachable,  // no connection, or too slow
    broken,       // the connection ended in the middle, or what came is no HTTP
    untrusted,    // the certificate is from an authority that we do not know, or ours cannot be read
    misnamed,     // the certificate is for another host
    too_large,
    stopped,
  } failure = Failure::unreachable;
  long status = 0;  // of the last reply, 0 if none came
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string error;                                         // for people; empty if none

  std::string_view header(std::string_view name) const noexcept;  // empty if it is not there
};

struct HttpOptions {
  std::chrono::milliseconds connect_timeout{1000};
  std::chrono::milliseconds total_timeout{2000};  // of one request; 0: none
  std::chrono::seconds stalled{0};                // ends a transfer that moves nothing for so long; 0: never
  bool https = false;                             // allowed besides http
  bool proxy = false;                             // as the environment says; else none
  std::string ca_file;                            // instead of the system's
};

// Follows no redirect, uses no .netrc. Keeps connections alive. Any thread, one at a time.
class HttpClient {
 public:
  static constexpr std::size_t kMaxBody = 64 * 1024;
  static constexpr std::size_t kMaxHeaders = 32 * 1024;

  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // `stop`: gives up what is under way once it is true, within a second or so.
  HttpReply perform(const HttpRequest& request, const HttpOptions& options, const std::atomic<bool>& stop);

 private:
  void* handle_ = nullptr;  // a CURL*
};

}  // namespace fffa::aws
