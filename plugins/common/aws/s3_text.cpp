// SPDX-License-Identifier: MIT
#include "fffa_aws/s3_text.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace fffa::aws {
namespace {

constexpr std::size_t kMaxText = 2048;
constexpr std::size_t kMaxEntries = 1000;
constexpr std::chrono::seconds kMaxRetryAfter(300);
constexpr TimeNs kSecond = 1'000'000'000;

struct Entity {
  std::string_view name;
  char character;
};
constexpr Entity kEntities[] = {{"&amp;", '&'},   {"&lt;", '<'},  {"&gt;", '>'},  {"&quot;", '"'},
                                {"&apos;", '\''}, {"&#34;", '"'}, {"&#39;", '\''}};

std::string decode(std::string_view text) {
  std::string decoded;
  while (!text.empty()) {
    const auto entity =
        std::ranges::find_if(kEntities, [text](const Entity& candidate) { return text.starts_with(candidate.name); });
    const bool found = entity != std::end(kEntities);
    decoded += found ? entity->character : text.front();
    text.remove_prefix(found ? entity->name.size() : 1);
  }
  return decoded;
}

// What stands in each <element>, of the first kMaxEntries.
std::vector<std::string_view> entries(std::string_view xml, const std::string& element) {
  const auto begin = "<" + element + ">", end = "</" + element + ">";
  std::vector<std::string_view> found;
  for (auto at = xml.find(begin); at != xml.npos && found.size() < kMaxEntries; at = xml.find(begin)) {
    xml.remove_prefix(at + begin.size());
    found.push_back(xml.substr(0, xml.find(end)));
  }
  return found;
}

template <typename Number>
bool parse_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

std::string xml_text(std::string_view xml, std::string_view element) {
  const auto opening = "<" + std::string(element) + ">";
  const auto begin = xml.find(opening);
  if (begin == xml.npos) return {};
  xml.remove_prefix(begin + opening.size());
  const auto end = xml.find('<');
  if (end == xml.npos || end > kMaxText || !xml.substr(end).starts_with("</" + std::string(element) + ">")) return {};
  return decode(xml.substr(0, end));
}

std::string xml_escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const auto entity =
        std::ranges::find_if(kEntities, [c](const Entity& candidate) { return candidate.character == c; });
    if (entity == std::end(kEntities)) {
      escaped += c;
    } else {
      escaped += entity->name;
    }
  }
  return escaped;
}

bool is_error(std::string_view xml) {
  return xml.find("<Error>") != xml.npos || xml.find("<Error ") != xml.npos;
}

std::string error_code(std::string_view xml) {
  if (!is_error(xml)) return {};
  auto code = xml_text(xml, "Code");
  const bool good = code.size() <= 64 && std::ranges::all_of(code, [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.';
                    });
  return good ? code : std::string();
}

std::vector<std::string> upload_ids(std::string_view xml, std::string_view key) {
  std::vector<std::string> ids;
  for (const auto entry : entries(xml, "Upload")) {
    if (auto id = xml_text(entry, "UploadId"); !id.empty() && xml_text(entry, "Key") == key)
      ids.push_back(std::move(id));
  }
  return ids;
}

std::vector<ListedPart> listed_parts(std::string_view xml) {
  std::vector<ListedPart> parts;
  for (const auto entry : entries(xml, "Part")) {
    ListedPart part{0, 0, xml_text(entry, "ETag"), xml_text(entry, "ChecksumSHA256")};
    if (parse_number(xml_text(entry, "PartNumber"), part.number) && parse_number(xml_text(entry, "Size"), part.size))
      parts.push_back(std::move(part));
  }
  return parts;
}

std::string printable(std::string_view text, std::size_t longest) {
  std::string safe(text.substr(0, longest));
  std::ranges::replace_if(
      safe, [](char c) { return c < ' ' || c > '~'; }, '?');
  return safe;
}

std::optional<TimeNs> parse_http_date(std::string_view text) {
  if (text.size() > 64 || text.find('\0') != text.npos) return std::nullopt;
  const auto time = curl_getdate(std::string(text).c_str(), nullptr);
  constexpr std::int64_t kLatest = 253'402'300'799;  // of the year 9999
  if (time <= 0 || time > kLatest) return std::nullopt;
  return TimeNs{time} > std::numeric_limits<TimeNs>::max() / kSecond ? std::nullopt
                                                                     : std::optional(TimeNs{time} * kSecond);
}

std::chrono::seconds parse_retry_after(std::string_view text, TimeNs now) {
  std::int64_t seconds = 0;
  if (!parse_number(text, seconds)) {
    const auto date = parse_http_date(text);
    seconds = date ? (*date - now) / kSecond : 0;
  }
  return std::clamp(std::chrono::seconds(seconds), std::chrono::seconds(0), kMaxRetryAfter);
}

}  // namespace fffa::aws
