// SPDX-License-Identifier: MIT
// Client: requests to the instance metadata service, version 2 (session tokens only). Blocks; one thread at a time, any
// thread.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "fffa/context.h"

namespace fffa::aws {

struct ClientOptions {
  std::string endpoint;  // "http://169.254.169.254", without a slash at the end
  std::chrono::milliseconds connect_timeout{1000};
  std::chrono::milliseconds total_timeout{2000};  // of one request
  int attempts = 3;  // for server errors and broken replies; never for a connection that cannot be made
};

// What AWS's environment variables come to; `variable` is getenv() or a test's own.
ClientOptions client_options(const char* (*variable)(const char*));
bool imds_disabled(const char* (*variable)(const char*));

struct Reply {
  enum class Kind {
    ok,           // `text` is the body
    absent,       // 404: there is no such item
    refused,      // 400, 401, 403, 405, or a redirect: asking again soon is no use
    unreachable,  // nobody there, too slow, server errors: maybe later
  } kind = Kind::unreachable;
  std::string text;  // otherwise: what went wrong
};

class Client {
 public:
  // `stop`: gives up what is under way once it is true. Both must outlive the client.
  Client(ClientOptions options, Clock& clock, const std::atomic<bool>& stop);
  ~Client();

  // Fetches "/latest/..." with a token, which is asked for, kept for 90 % of its life, and renewed once if it is
  // refused.
  Reply get(std::string_view path);
  const std::string& endpoint() const { return options_.endpoint; }

 private:
  struct Connection;
  ClientOptions options_;
  Clock& clock_;
  const std::atomic<bool>& stop_;
  std::unique_ptr<Connection> connection_;
  std::string token_;
  std::chrono::nanoseconds token_good_until_{};

  Reply ensure_token();
  Reply with_attempts(const std::function<Reply()>& request);
  void pause(int attempt) const;
};

}  // namespace fffa::aws
