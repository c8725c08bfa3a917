// SPDX-License-Identifier: MIT
// What S3 servers, the metadata service and credentials files may say: no crash, and nothing comes out that could not
// stand in a header, a log line or a URL.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "../require.h"
#include "fffa_aws/credentials.h"
#include "fffa_aws/s3_text.h"
#include "fffa_aws/sigv4.h"

namespace {

bool plain(std::string_view text) {
  for (const char c : text) {
    if (c <= ' ' || c > '~') return false;
  }
  return true;
}

void check(const fffa::aws::Credentials& credentials) {
  fffa::fuzz::require(!credentials.empty());
  fffa::fuzz::require(plain(credentials.access_key) && plain(credentials.secret_key) &&
                      plain(credentials.session_token));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fffa::aws;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto code = error_code(text);
  fffa::fuzz::require(plain(code) && code.size() <= 64);
  for (const char* element : {"Code", "Message", "UploadId", "ETag", "Region"}) {
    const auto found = xml_text(text, element);
    fffa::fuzz::require(found.size() <= 2048);
    fffa::fuzz::require(xml_text("<x>" + xml_escape(found) + "</x>", "x") == found || xml_escape(found).size() > 2048);
    fffa::fuzz::require(plain(uri_encode(found, true)) && plain(query_text({{found, found}})));
  }
  fffa::fuzz::require(upload_ids(text, text.substr(0, size / 2)).size() <= 1000);
  fffa::fuzz::require(listed_parts(text).size() <= 1000);
  for (const char c : printable(text, 200)) fffa::fuzz::require(c >= ' ' && c <= '~');
  const auto date = parse_http_date(text);
  fffa::fuzz::require(!date || *date > 0);
  const auto wait = parse_retry_after(text, fffa::TimeNs{1'767'225'600} * 1'000'000'000);
  fffa::fuzz::require(wait.count() >= 0 && wait.count() <= 300);
  if (const auto found = parse_credentials_file(text, "default")) check(*found);
  if (const auto role = parse_role_credentials(text)) check(role->credentials);
  return 0;
}
