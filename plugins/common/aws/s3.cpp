// SPDX-License-Identifier: MIT
#include "fffa_aws/s3.h"

#include <algorithm>
#include <array>
#include <utility>

#include "fffa_aws/s3_text.h"

namespace fffa::aws {
namespace {

using Kind = S3Reply::Kind;

constexpr TimeNs kSecond = 1'000'000'000;
constexpr TimeNs kTolerated = 240 * kSecond;  // AWS takes 15 minutes, others less
constexpr std::size_t kMaxMessage = 200;

bool any_of(std::string_view code, std::initializer_list<std::string_view> codes) {
  return std::ranges::find(codes, code) != codes.end();
}

bool about_credentials(std::string_view code) {
  return any_of(code, {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken",
                       "InvalidAccessKeyId", "RequestExpired"});
}

Kind kind_of(long status, std::string_view code) {
  if (any_of(code, {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "Throttling",
                    "OperationAborted", "ThrottlingException", "RequestLimitExceeded", "XMinioServerNotInitialized"}))
    return Kind::busy;
  if (status == 501 || code == "NotImplemented") return Kind::unsupported;
  if (status == 429 || status == 409 || status == 408 || status >= 500) return Kind::busy;
  if (status == 412) return Kind::exists;
  // Of a bucket the same status says that nothing will ever be there.
  if (status == 404 && code != "NoSuchBucket") return Kind::absent;
  if (status == 401 || status == 403 || status == 404 || (status >= 300 && status < 400) || about_credentials(code) ||
      any_of(code, {"AuthorizationHeaderMalformed", "InvalidBucketName", "IllegalLocationConstraintException"}))
    return Kind::denied;
  if (status >= 200 && status < 300) return code.empty() ? Kind::ok : Kind::busy;
  return Kind::rejected;
}

// What a user can do about it.
std::string_view advice(HttpReply::Failure failure) {
  if (failure == HttpReply::Failure::untrusted) return " (AWS_CA_BUNDLE names a file of certificates to trust)";
  if (failure == HttpReply::Failure::misnamed) return " (`endpoint` and `addressing` say which host is asked)";
  return {};
}

// A name that can stand in a host name: a server says it.
bool is_region(std::string_view name) {
  return !name.empty() && name.size() <= 32 &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

}  // namespace

S3Place place_of(const S3Options& options, const std::string& key) {
  const bool aws = options.endpoint.empty();
  const auto domain = options.region.starts_with("cn-") ? ".amazonaws.com.cn" : ".amazonaws.com";
  const auto endpoint = aws ? "https://s3." + options.region + domain : options.endpoint;
  const auto name = endpoint.find("//") + 2;
  // AWS's certificate fits no bucket with a dot in its name.
  const bool in_host = options.addressing == S3Addressing::automatic
                           ? aws && options.bucket.find('.') == std::string::npos
                           : options.addressing == S3Addressing::virtual_host;
  S3Place place;
  place.host = (in_host ? options.bucket + "." : "") + endpoint.substr(name);
  place.url = endpoint.substr(0, name) + place.host;
  place.path = (in_host ? "" : "/" + options.bucket) + "/" + uri_encode(key, true);
  return place;
}

S3Body text_body(std::string text) {
  S3Body body;
  body.size = text.size();
  body.digest = sha256(text);
  body.read = [text = std::move(text)](std::uint64_t offset, char* buffer, std::size_t size) {
    return static_cast<std::int64_t>(text.copy(buffer, size, std::min<std::size_t>(offset, text.size())));
  };
  return body;
}

std::string_view name_of(Kind kind) noexcept {
  constexpr std::array<std::string_view, 9> kNames = {"ok",          "absent", "exists",   "unsupported", "busy",
                                                      "unreachable", "denied", "rejected", "stopped"};
  return kNames[static_cast<std::size_t>(kind)];
}

S3::S3(S3Options options, CredentialSource credentials, Clock& clock, const std::atomic<bool>& stop)
    : options_(std::move(options)), credentials_(std::move(credentials)), clock_(clock), stop_(stop) {
  if (options_.region.empty()) options_.region = "us-east-1";
}

S3Reply S3::send(const S3Request& request) {
  bool clock = false, credentials = false, region = false;
  for (;;) {
    const auto who = credentials_.get();
    if (!who) {
      S3Reply reply;
      reply.kind = stopping() ? Kind::stopped : Kind::denied;
      reply.error = who.error().message;
      return reply;
    }
    auto reply = classify(request, perform(request, *who));
    if (reply.kind != Kind::denied) return reply;
    if (!std::exchange(region, true) && corrected_region(reply)) continue;
    if (!std::exchange(clock, true) && corrected_clock(reply)) continue;
    if (!std::exchange(credentials, true)) {
      credentials_.refused();
      const auto others = credentials_.get();
      if (others && *others != *who) continue;
    }
    return reply;
  }
}

HttpReply S3::perform(const S3Request& request, const Credentials& credentials) {
  const auto place = place_of(options_, request.key);
  const auto date = amz_date(clock_.now() + skew_);
  SignedRequest to_sign{request.method, place.path, request.query, request.headers, hex(request.body.digest)};
  to_sign.headers.emplace_back("host", place.host);
  to_sign.headers.emplace_back("x-amz-content-sha256", to_sign.payload_hash);
  to_sign.headers.emplace_back("x-amz-date", date);
  if (!credentials.session_token.empty())
    to_sign.headers.emplace_back("x-amz-security-token", credentials.session_token);

  HttpRequest http;
  http.method = request.method;
  http.url = place.url + place.path;
  if (!request.query.empty()) http.url += "?" + query_text(request.query);
  for (const auto& [name, value] : to_sign.headers) http.headers.emplace_back(name).append(": ").append(value);
  http.headers.push_back("authorization: " + authorization(to_sign, date, options_.region, "s3", credentials));
  http.read = request.body.read;
  http.size = request.body.size;
  HttpOptions limits;
  limits.connect_timeout = options_.connect_timeout;
  limits.total_timeout = {};
  limits.stalled = options_.stalled;
  limits.https = limits.proxy = true;
  limits.ca_file = options_.ca_file;
  return http_.perform(http, limits, stop_);
}

S3Reply S3::classify(const S3Request& request, HttpReply http) const {
  S3Reply reply;
  const auto what = request.method + " s3://" + options_.bucket + "/" + request.key + ": ";
  if (http.failure != HttpReply::Failure::none) {
    reply.kind = http.failure == HttpReply::Failure::stopped ? Kind::stopped : Kind::unreachable;
    reply.error = what + http.error;
    reply.error += advice(http.failure);
  } else {
    auto code = error_code(http.body);
    if (code.empty() && is_error(http.body)) code = "Error";
    reply.kind = kind_of(http.status, code);
    reply.retry_after = parse_retry_after(http.header("retry-after"), clock_.now() + skew_);
    reply.error = what + (code.empty() ? "status " + std::to_string(http.status) : code);
    if (const auto message = xml_text(http.body, "Message"); !message.empty())
      reply.error += " (" + printable(message, kMaxMessage) + ")";
  }
  reply.http = std::move(http);
  return reply;
}

// The server tells its time with every answer. A HEAD has no body that could say what is wrong, so the difference
// counts.
bool S3::corrected_clock(const S3Reply& reply) {
  const auto date = parse_http_date(reply.http.header("date"));
  if (!date || std::abs(*date - (clock_.now() + skew_)) < kTolerated) return false;
  skew_ = *date - clock_.now();
  return true;
}

// AWS names the bucket's region where the request went to another.
bool S3::corrected_region(const S3Reply& reply) {
  auto region = std::string(reply.http.header("x-amz-bucket-region"));
  if (region.empty()) region = xml_text(reply.http.body, "Region");
  if (!is_region(region) || region == options_.region) return false;
  options_.region = region;
  return true;
}

}  // namespace fffa::aws
