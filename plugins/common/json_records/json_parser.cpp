// SPDX-License-Identifier: MIT
#include "fffa_json/json_parser.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <unordered_map>

#include "fffa/record_builder.h"

namespace fffa {
namespace {

// All of `text`, and nothing but digits of `base`.
template <typename T>
bool read_number(std::string_view text, T& value, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc{} && end == text.data() + text.size();
}

// RFC 3339 in UTC, with any number of decimals.
std::optional<TimeNs> read_time(std::string_view text) {
  constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:dd";
  if (text.size() <= kShape.size() || text.back() != 'Z') return {};
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    if (kShape[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != kShape[i]) return {};
  }
  const auto part = [&text](std::size_t at, std::size_t size) {
    unsigned value = 0;
    read_number(text.substr(at, size), value);
    return value;
  };
  TimeNs decimals = 0;
  auto rest = text.substr(kShape.size(), text.size() - kShape.size() - 1);
  if (!rest.empty()) {
    std::uint64_t digits = 0;
    if (rest.front() != '.' || rest.size() < 2 || rest.size() > 10 || !read_number(rest.substr(1), digits)) return {};
    for (std::size_t i = rest.size(); i < 10; ++i) digits *= 10;
    decimals = static_cast<TimeNs>(digits);
  }
  const std::chrono::year_month_day day{std::chrono::year(static_cast<int>(part(0, 4))), std::chrono::month(part(5, 2)),
                                        std::chrono::day(part(8, 2))};
  if (!day.ok() || part(0, 4) < 1970 || part(0, 4) > 2200 || part(11, 2) > 23 || part(14, 2) > 59 || part(17, 2) > 59)
    return {};
  const auto seconds = std::chrono::sys_days(day).time_since_epoch() + std::chrono::hours(part(11, 2)) +
                       std::chrono::minutes(part(14, 2)) + std::chrono::seconds(part(17, 2));
  return std::chrono::nanoseconds(seconds).count() + decimals;
}

// 16 or 8 digits, of an endpoint after `vpce-0`.
bool read_id(std::string_view text, std::uint64_t& value) {
  constexpr std::string_view kEndpoint = "vpce-0";
  if (text.starts_with(kEndpoint)) text.remove_prefix(kEndpoint.size());
  return text.size() <= 16 && read_number(text, value, 16);
}

class JsonParser final : public RecordParser, private nlohmann::json_sax<nlohmann::json> {
 public:
  explicit JsonParser(TextTable& texts) : builder_(texts) {
    for (const auto& field : fields()) places_.emplace(field.name, places_.size());
  }

  Result<FlowRecord> parse(std::string_view text) override {
    builder_.begin();
    depth_ = 0;
    field_.reset();
    in_labels_ = false;
    problem_.clear();
    const bool good = nlohmann::json::sax_parse(text, static_cast<nlohmann::json_sax<nlohmann::json>*>(this));
    if (!good) return reject(problem_.empty() ? "no JSON object" : problem_);
    FlowRecord record;
    if (!builder_.finish(record)) return reject("the record " + std::string(builder_.error()));
    return record;
  }

 private:
  RecordBuilder builder_;
  std::unordered_map<std::string_view, std::size_t> places_;
  int depth_ = 0;
  std::optional<std::size_t> field_;  // whose value comes next
  bool in_labels_ = false;
  std::string label_;
  std::string problem_;

  bool refuse(std::string_view why) {
    problem_ = std::string(fields()[*field_].name) + " " + std::string(why);
    return false;
  }
  bool in_record() const { return depth_ == 1 && field_; }
  bool take(const Value& value) {
    if (depth_ == 0) return false;
    if (!in_record()) return true;
    return builder_.set(*field_, value) || refuse(builder_.error());
  }

  bool null() override { return take({}); }
  bool boolean(bool value) override { return take({.kind = Value::Kind::boolean, .number = value}); }
  bool number_unsigned(std::uint64_t value) override { return take({.kind = Value::Kind::number, .number = value}); }
  bool number_integer(std::int64_t value) override {
    return take({.kind = Value::Kind::signed_number, .number = static_cast<std::uint64_t>(value)});
  }
  bool number_float(double, const std::string&) override {
    return depth_ != 0 && (!in_record() || refuse("is not a whole number"));
  }
  bool binary(nlohmann::json::binary_t&) override { return false; }

  bool string(std::string& text) override {
    if (depth_ == 2 && in_labels_) {
      builder_.label(label_, text);
      return true;
    }
    if (!in_record()) return depth_ != 0;
    Address address{};
    Value value{.kind = Value::Kind::name, .name = text};
    switch (fields()[*field_].type) {
      case FieldType::address:
        value = {.kind = Value::Kind::address,
                 .family = static_cast<std::uint8_t>(text.find(':') == std::string::npos ? 4 : 6),
                 .address = &address};
        if (text.find('\0') != std::string::npos ||
            inet_pton(value.family == 4 ? AF_INET : AF_INET6, text.c_str(), address.data()) != 1)
          return refuse("is not an address");
        break;
      case FieldType::time: {
        const auto time = read_time(text);
        if (!time || *time < 0) return refuse("is not a time");
        value = {.kind = Value::Kind::time, .number = static_cast<std::uint64_t>(*time)};
        break;
      }
      case FieldType::hex:
        value.kind = Value::Kind::number;
        if (!read_id(text, value.number)) return refuse("is not an id of hexadecimal digits");
        break;
      default: break;
    }
    return take(value);
  }

  bool start_object(std::size_t) override {
    if (in_record() && fields()[*field_].name == "labels")
      in_labels_ = true;
    else if (in_record())
      return refuse("is an object");
    ++depth_;
    return true;
  }
  bool key(std::string& name) override {
    if (depth_ == 2 && in_labels_) label_ = name;
    if (depth_ != 1) return true;
    const auto found = places_.find(name);
    field_ = found == places_.end() ? std::nullopt : std::optional(found->second);
    return true;
  }
  bool end_object() override {
    if (--depth_ == 1) in_labels_ = false;
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ == 0) return false;
    if (in_record()) return refuse("is a list");
    ++depth_;
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(std::size_t at, const std::string&, const nlohmann::detail::exception&) override {
    problem_ = "no JSON object: broken at byte " + std::to_string(at);
    return false;
  }
};

}  // namespace

std::unique_ptr<RecordParser> make_json_parser(TextTable& texts) {
  return std::make_unique<JsonParser>(texts);
}

}  // namespace fffa
