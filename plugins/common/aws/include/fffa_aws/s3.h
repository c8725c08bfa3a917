// SPDX-License-Identifier: MIT
// S3: signed requests to AWS's S3, or a store that speaks its protocol.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "fffa/context.h"
#include "fffa_aws/credentials.h"
#include "fffa_aws/http.h"
#include "fffa_aws/sigv4.h"

namespace fffa::aws {

// Where a request names the bucket.
enum class S3Addressing : std::uint8_t {
  automatic,     // in the host's name at AWS, in the path at an endpoint of one's own
  path,          // https://HOST/BUCKET/KEY
  virtual_host,  // https://BUCKET.HOST/KEY
};

struct S3Options {
  std::string bucket;
  std::string region;    // empty: us-east-1, until the server says another
  std::string endpoint;  // "https://minio.example:9000"; empty: AWS's of the region
  S3Addressing addressing = S3Addressing::automatic;
  std::string ca_file;  // empty: the system's
  std::chrono::milliseconds connect_timeout{5000};
  std::chrono::seconds stalled{30};
  std::uint64_t part_size = 16 * 1024 * 1024;  // larger objects are sent in parts of it
};

struct S3Place {
  std::string url;   // without path
  std::string host;  // as the header says it
  std::string path;  // encoded
};
S3Place place_of(const S3Options& options, const std::string& key);

// What is sent as a body; its digest goes before it.
struct S3Body {
  std::function<std::int64_t(std::uint64_t offset, char* buffer, std::size_t size)> read;
  std::uint64_t size = 0;
  Digest digest = sha256({});
};
S3Body text_body(std::string text);

struct S3Request {
  std::string method;
  std::string key;  // empty: the bucket itself
  Fields query;
  Fields headers;  // names in lower case
  S3Body body;
};

struct S3Reply {
  enum class Kind : std::uint8_t {
    ok,
    absent,       // no such object or upload
    exists,       // If-None-Match: the key is taken
    unsupported,  // the server does not know what was asked for
    busy,         // server errors, throttling, conflicts: the same again, later
    unreachable,  // no whole answer
    denied,       // credentials, permissions, bucket, region: nothing will get through until somebody acts
    rejected,     // this request will not do
    stopped,
  } kind = Kind::unreachable;
  HttpReply http;
  std::string error;                    // for people; without secrets
  std::chrono::seconds retry_after{0};  // the server's wish
  bool ok() const noexcept { return kind == Kind::ok; }
};
std::string_view name_of(S3Reply::Kind kind) noexcept;  // for metrics: "busy"

// Blocks. One thread at a time, any thread.
class S3 {
 public:
  // `clock` and `stop` outlive it.
  S3(S3Options options, CredentialSource credentials, Clock& clock, const std::atomic<bool>& stop);

  // Corrects its clock, renews credentials and changes region by what the server says, and then asks once more; other
  // errors are the caller's to repeat.
  S3Reply send(const S3Request& request);
  const S3Options& options() const noexcept { return options_; }
  bool stopping() const noexcept { return stop_.load(std::memory_order_relaxed); }
  // Whether If-None-Match is known to the server, as far as we know.
  bool conditional = true;

 private:
  S3Options options_;
  CredentialSource credentials_;
  Clock& clock_;
  const std::atomic<bool>& stop_;
  HttpClient http_;
  TimeNs skew_ = 0;  // the server's clock less ours

  HttpReply perform(const S3Request& request, const Credentials& credentials);
  S3Reply classify(const S3Request& request, HttpReply reply) const;
  bool corrected_clock(const S3Reply& reply);
  bool corrected_region(const S3Reply& reply);
};

}  // namespace fffa::aws
