// SPDX-License-Identifier: MIT
// What is read of an S3 server's answers. They may be anything: nothing here is more than a search for a few elements,
// and what comes out is bounded.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fffa/record.h"

namespace fffa::aws {

// The text of the first <element>, entities decoded; empty if there is none, if it has elements of its own, or more
// than 2 KiB.
std::string xml_text(std::string_view xml, std::string_view element);
std::string xml_escape(std::string_view text);
bool is_error(std::string_view xml);  // there is an <Error>
// The <Code> of an error, if it looks like one ("NoSuchBucket").
std::string error_code(std::string_view xml);
// The upload ids of one key in a list of multipart uploads, at most 1000.
std::vector<std::string> upload_ids(std::string_view xml, std::string_view key);

struct ListedPart {
  std::size_t number = 0;
  std::uint64_t size = 0;
  std::string etag, checksum;  // of SHA-256, in base64; empty: not said
};
// The parts of a multipart upload, at most 1000.
std::vector<ListedPart> listed_parts(std::string_view xml);

// For a message: what is not printable ASCII becomes `?`, and after `longest` it ends.
std::string printable(std::string_view text, std::size_t longest);
// "Wed, 21 Oct 2026 07:28:00 GMT"
std::optional<TimeNs> parse_http_date(std::string_view text);
// Retry-After, in seconds or as a date; at most 5 minutes, 0 if it makes no sense.
std::chrono::seconds parse_retry_after(std::string_view text, TimeNs now);

}  // namespace fffa::aws
