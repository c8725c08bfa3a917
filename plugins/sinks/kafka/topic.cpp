// SPDX-License-Identifier: MIT
#include "topic.h"

#include <algorithm>
#include <utility>

#include "fffa/print.h"

namespace fffa::kafka {
namespace {

bool in_a_name(const Field& field) noexcept {
  return field.type != FieldType::computed && field.type != FieldType::time;
}

void append_value(const Value& value, const TextTable& texts, std::string& name) {
  char address[kAddressChars];
  switch (value.kind) {
    case Value::Kind::null: name += "unknown"; return;
    case Value::Kind::boolean: name += value.number != 0 ? "true" : "false"; return;
    case Value::Kind::name: name += value.name; return;
    case Value::Kind::handle: name += texts.view(value.handle); return;
    case Value::Kind::address: name.append(address, print_address(*value.address, value.family, address)); return;
    case Value::Kind::signed_number: name += std::to_string(static_cast<std::int64_t>(value.number)); return;
    default: name += std::to_string(value.number);
  }
}

Error unknown_field(std::string_view name) {
  return fail("`${" + std::string(name) + "}` is no field that a topic may have (`fffa fields` lists fields)");
}

}  // namespace

Result<TopicTemplate> TopicTemplate::parse(std::string_view text) {
  TopicTemplate made;
  while (!text.empty()) {
    const auto open = std::min(text.find("${"), text.size());
    if (open > 0) {
      if (const auto wrong = wrong_topic_character(text.substr(0, open)); !wrong.empty()) return fail(wrong);
      made.parts_.push_back({std::string(text.substr(0, open)), nullptr});
      text.remove_prefix(open);
      continue;
    }
    const auto close = text.find('}');
    if (close == std::string_view::npos) return fail("`${` without `}`");
    const auto name = text.substr(2, close - 2);
    const Field* const field = find_field(name);
    if (field == nullptr || !in_a_name(*field)) return unknown_field(name);
    made.parts_.push_back({{}, field});
    text.remove_prefix(close + 1);
  }
  if (made.parts_.empty()) return fail(wrong_topic({}));
  if (made.fixed()) {
    if (const auto wrong = wrong_topic(made.parts_.front().text); !wrong.empty()) return fail(wrong);
  }
  return made;
}

void TopicTemplate::expand(const FlowRecord& record, const TextTable& texts, std::string& name) const {
  name.clear();
  for (const auto& part : parts_) {
    if (part.field == nullptr) {
      name += part.text;
    } else {
      append_value(part.field->get(record), texts, name);
    }
  }
  std::ranges::replace_if(
      name, [](char c) { return !legal_in_topic(c); }, '_');
  if (name.size() > kMostTopicChars) name.resize(kMostTopicChars);
  if (name == "." || name == "..") name = "_";
}

}  // namespace fffa::kafka
