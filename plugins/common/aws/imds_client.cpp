// SPDX-License-Identifier: MIT
#include "fffa_aws/imds_client.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <thread>

#include "fffa_aws/http.h"

namespace fffa::aws {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kTokenLife(21600);  // the longest that the service grants
constexpr std::size_t kMaxToken = 4096;
constexpr const char* kTokenLifeHeader = "X-aws-ec2-metadata-token-ttl-seconds: 21600";

constexpr const char* kIPv4 = "http://169.254.169.254";
constexpr const char* kIPv6 = "http://[fd00:ec2::254]";

bool is(const char* text, std::string_view wanted) {
  if (text == nullptr) return false;
  return std::equal(wanted.begin(), wanted.end(), text, text + std::string_view(text).size(),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); });
}

// A positive number, or 0 if the variable is not set or makes no sense.
double number(const char* text) {
  if (text == nullptr) return 0;
  char* end = nullptr;
  const double value = std::strtod(text, &end);
  return *end == 0 && std::isfinite(value) && value > 0 ? std::min(value, 60.0) : 0;
}

Reply::Kind kind_of(long status) {
  if (status == 200) return Reply::Kind::ok;
  if (status == 404) return Reply::Kind::absent;
  return status >= 500 ? Reply::Kind::unreachable : Reply::Kind::refused;
}

bool is_token(std::string_view text) {
  return !text.empty() && text.size() <= kMaxToken &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

// Link-local and plain: no proxy, no redirect, nothing but HTTP, whatever the environment says.
struct Client::Connection {
  HttpClient http;
  bool connected = false;  // by the last request
  long status = 0;         // of the last reply, 0 if none came

  Reply request(const ClientOptions& options, const char* method, const std::string& path, const std::string& header,
                const std::atomic<bool>& stop);
};

Reply Client::Connection::request(const ClientOptions& options, const char* method, const std::string& path,
                                  const std::string& header, const std::atomic<bool>& stop) {
  HttpRequest request;
  request.method = method;
  request.url = options.endpoint + path;
  request.headers.push_back(header);
  HttpOptions limits;
  limits.connect_timeout = options.connect_timeout;
  limits.total_timeout = options.total_timeout;
  HttpReply reply = http.perform(request, limits, stop);
  status = reply.status;
  connected = reply.failure != HttpReply::Failure::unreachable;
  const std::string what = std::string(method) + " " + request.url + ": ";
  if (reply.failure != HttpReply::Failure::none) return {Reply::Kind::unreachable, what + reply.error};
  const auto kind = kind_of(status);
  if (kind != Reply::Kind::ok) return {kind, what + "status " + std::to_string(status)};
  return {kind, std::move(reply.body)};
}

ClientOptions client_options(const char* (*variable)(const char*)) {
  ClientOptions options;
  const char* endpoint = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (endpoint != nullptr && *endpoint != 0) {
    options.endpoint = endpoint;
  } else {
    options.endpoint = is(variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"), "ipv6") ? kIPv6 : kIPv4;
  }
  while (options.endpoint.ends_with('/')) options.endpoint.pop_back();
  const double timeout = number(variable("AWS_METADATA_SERVICE_TIMEOUT"));
  if (timeout > 0) options.connect_timeout = milliseconds(std::max(1L, std::lround(timeout * 1000)));
  options.total_timeout = options.connect_timeout * 2;
  const double attempts = number(variable("AWS_METADATA_SERVICE_NUM_ATTEMPTS"));
  if (attempts >= 1) options.attempts = static_cast<int>(std::min(attempts, 10.0));
  return options;
}

bool imds_disabled(const char* (*variable)(const char*)) {
  return is(variable("AWS_EC2_METADATA_DISABLED"), "true");
}

Client::Client(ClientOptions options, Clock& clock, const std::atomic<bool>& stop)
    : options_(std::move(options)), clock_(clock), stop_(stop), connection_(std::make_unique<Connection>()) {}

Client::~Client() = default;

// Pauses grow from 100 to 400 ms, shortened at random so that instances that started together do not ask together.
void Client::pause(int attempt) const {
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto longest = std::min(milliseconds(100) * (1 << std::min(attempt, 2)), milliseconds(400));
  auto left = longest / 2 + milliseconds(random() % static_cast<unsigned long>(longest.count() / 2));
  for (; left > milliseconds(0) && !stop_; left -= milliseconds(20)) std::this_thread::sleep_for(milliseconds(20));
}

Reply Client::with_attempts(const std::function<Reply()>& request) {
  for (int attempt = 0;; ++attempt) {
    Reply reply = request();
    if (reply.kind != Reply::Kind::unreachable || !connection_->connected || attempt + 1 >= options_.attempts || stop_)
      return reply;
    pause(attempt);
  }
}

Reply Client::ensure_token() {
  if (!token_.empty() && clock_.monotonic() < token_good_until_) return {Reply::Kind::ok, {}};
  token_.clear();
  Reply reply = with_attempts(
      [this] { return connection_->request(options_, "PUT", "/latest/api/token", kTokenLifeHeader, stop_); });
  // 404 on this path: not this service, or one that has no tokens
  if (reply.kind == Reply::Kind::absent) reply.kind = Reply::Kind::refused;
  if (reply.kind != Reply::Kind::ok) return reply;
  while (!reply.text.empty() && (reply.text.back() == '\n' || reply.text.back() == '\r')) reply.text.pop_back();
  if (!is_token(reply.text))
    return {Reply::Kind::refused, "PUT " + options_.endpoint + "/latest/api/token: no token in the reply"};
  token_ = std::move(reply.text);
  token_good_until_ = clock_.monotonic() + std::chrono::nanoseconds(kTokenLife) / 10 * 9;
  return {Reply::Kind::ok, {}};
}

Reply Client::get(std::string_view path) {
  for (bool renewed = false;; renewed = true) {
    Reply token = ensure_token();
    if (token.kind != Reply::Kind::ok) return token;
    Reply reply = with_attempts([&] {
      return connection_->request(options_, "GET", std::string(path), "X-aws-ec2-metadata-token: " + token_, stop_);
    });
    if (connection_->status != 401 || renewed) return reply;
    token_.clear();
  }
}

}  // namespace fffa::aws
