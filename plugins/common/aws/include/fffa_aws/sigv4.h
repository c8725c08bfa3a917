// SPDX-License-Identifier: MIT
// AWS Signature Version 4: headers that prove who asks. Why not libcurl's: docs/decisions/007.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fffa/record.h"

namespace fffa::aws {

struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // empty: none
  bool empty() const noexcept { return access_key.empty() || secret_key.empty(); }
  friend bool operator==(const Credentials&, const Credentials&) = default;
};

using Digest = std::array<unsigned char, 32>;

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void add(std::string_view bytes);
  Digest finish();

 private:
  void* context_;  // an EVP_MD_CTX*
};

Digest sha256(std::string_view bytes);
std::string hex(const Digest& digest);  // lower case
std::string base64(const Digest& digest);

// Percent-encoded as AWS wants it: letters, digits and `-._~` stay, in paths `/` too.
std::string uri_encode(std::string_view text, bool path);

using Fields = std::vector<std::pair<std::string, std::string>>;

struct SignedRequest {
  std::string method;
  std::string path;  // encoded, with its leading slash
  Fields query;      // not encoded
  Fields headers;    // names in lower case, `host` among them: all are signed
  std::string payload_hash;
};

// "a=1&b=", sorted and encoded, as it stands in the URL.
std::string query_text(const Fields& query);
// "20130524T000000Z": x-amz-date
std::string amz_date(TimeNs time);

// The header `authorization` for a request that carries `x-amz-date: date`.
std::string authorization(const SignedRequest& request, std::string_view date, std::string_view region,
                          std::string_view service, const Credentials& credentials);

}  // namespace fffa::aws
