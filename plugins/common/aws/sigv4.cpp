// SPDX-License-Identifier: MIT
#include "fffa_aws/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <new>

#include "fffa/print.h"

namespace fffa::aws {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

Digest hmac(std::string_view key, std::string_view text) {
  Digest digest{};
  unsigned size = digest.size();
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
           text.size(), digest.data(), &size) == nullptr)
    throw std::bad_alloc();
  return digest;
}

std::string_view bytes(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

EVP_MD_CTX* of(void* context) {
  return static_cast<EVP_MD_CTX*>(context);
}

}  // namespace

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  if (context_ == nullptr || EVP_DigestInit_ex(of(context_), EVP_sha256(), nullptr) != 1) throw std::bad_alloc();
}
Sha256::~Sha256() {
  EVP_MD_CTX_free(of(context_));
}
void Sha256::add(std::string_view bytes) {
  static_cast<void>(EVP_DigestUpdate(of(context_), bytes.data(), bytes.size()));
}
Digest Sha256::finish() {
  Digest digest{};
  static_cast<void>(EVP_DigestFinal_ex(of(context_), digest.data(), nullptr));
  return digest;
}

Digest sha256(std::string_view bytes) {
  Sha256 hash;
  hash.add(bytes);
  return hash.finish();
}

std::string hex(const Digest& digest) {
  std::string text;
  for (const unsigned char byte : digest) text += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
  return text;
}

std::string base64(const Digest& digest) {
  std::array<unsigned char, 45> text{};  // 44 characters and a NUL
  const int size = EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(digest.size()));
  return {reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(size)};
}

std::string uri_encode(std::string_view text, bool path) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~").find(c) != std::string_view::npos || (path && c == '/');
    const auto byte = static_cast<unsigned char>(c);
    if (plain) {
      encoded += c;
    } else {
      encoded += {'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]};
    }
  }
  return encoded;
}

std::string query_text(const Fields& query) {
  Fields encoded;
  for (const auto& [name, value] : query) encoded.emplace_back(uri_encode(name, false), uri_encode(value, false));
  std::ranges::sort(encoded);
  std::string text;
  for (const auto& [name, value] : encoded) {
    if (!text.empty()) text += '&';
    text.append(name).append("=").append(value);
  }
  return text;
}

std::string amz_date(TimeNs time) {
  std::array<char, kTimeChars> buffer;
  std::string text(buffer.data(), print_time(time, buffer.data()));
  text.resize(19);  // "2013-05-24T00:00:00"
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text + "Z";
}

std::string authorization(const SignedRequest& request, std::string_view date, std::string_view region,
                          std::string_view service, const Credentials& credentials) {
  Fields headers = request.headers;
  std::ranges::sort(headers);
  std::string canonical = request.method + "\n" + request.path + "\n" + query_text(request.query) + "\n";
  std::string names;
  for (const auto& [name, value] : headers) {
    canonical.append(name).append(":").append(value).append("\n");
    if (!names.empty()) names += ';';
    names += name;
  }
  canonical.append("\n").append(names).append("\n").append(request.payload_hash);

  const std::string day(date.substr(0, 8));
  const auto scope = day + "/" + std::string(region) + "/" + std::string(service) + "/aws4_request";
  const auto text = std::string(kAlgorithm) + "\n" + std::string(date) + "\n" + scope + "\n" + hex(sha256(canonical));
  Digest key = hmac("AWS4" + credentials.secret_key, day);
  for (const std::string_view part : {region, service, std::string_view("aws4_request")}) key = hmac(bytes(key), part);
  return std::string(kAlgorithm) + " Credential=" + credentials.access_key + "/" + scope + ",SignedHeaders=" + names +
         ",Signature=" + hex(hmac(bytes(key), text));
}

}  // namespace fffa::aws
