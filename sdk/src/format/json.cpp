// SPDX-License-Identifier: MIT
// The JSON format: the field table, expanded at compile time, so that a field is a copy of its name and of its
// value.
#include <array>
#include <memory>
#include <utility>

#include "fffa/format.h"
#include "field_table.h"
#include "format/json_values.h"

namespace fffa {
namespace {

using detail::kFields;
using detail::put;

// `,"name":` of a field, or `{"name":` of the first; `tail` follows.
template <std::size_t I>
constexpr auto opening(std::string_view tail) {
  struct {
    std::array<char, kFields[I].name.size() + 4 + 4> text{};
    std::size_t size = 0;
    constexpr std::string_view view() const { return {text.data(), size}; }
  } opening;
  const auto add = [&opening](std::string_view part) {
    for (const char c : part) opening.text[opening.size++] = c;
  };
  add(I == 0 ? "{\"" : ",\"");
  add(kFields[I].name);
  add("\":");
  add(tail);
  return opening;
}
template <std::size_t I>
constexpr auto kOpening = opening<I>("");
template <std::size_t I>
constexpr auto kNull = opening<I>("null");

// What a record takes at most besides the texts of handles.
constexpr std::size_t kFixedChars = [] {
  std::size_t sum = 16;
  for (const auto& field : kFields) sum += field.name.size() + 4 + detail::kValueChars;
  return sum;
}();

class JsonFormat final : public RecordFormat, detail::JsonValues {
 public:
  explicit JsonFormat(const TextTable& texts) : JsonValues(texts, kFixedChars) {}

  void append(const FlowRecord& record, std::string& out) override {
    char* const end = all_fields(begin(), record, std::make_index_sequence<kFields.size()>());
    out.append(at(0), end);
  }

 private:
  template <std::size_t... I>
  char* all_fields(char* out, const FlowRecord& record, std::index_sequence<I...>) {
    ((out = field<I>(out, record)), ...);
    return put(out, "}\n");
  }

  template <std::size_t I>
  [[gnu::always_inline]] char* field(char* out, const FlowRecord& record) {
    constexpr auto& kField = kFields[I];
    if constexpr (kField.name == "community_id") {
      char* const value = put(out, kOpening<I>.view());
      char* const end = put_community_id(value, record);
      return end == value ? put(value, "null") : end;
    } else if constexpr (kField.name == "labels") {
      return record.label_count == 0 ? out : put_labels(put(out, kOpening<I>.view()), record);
    } else {
      const Value value = kField.get(record);
      if (value.kind == Value::Kind::null) return put(out, kNull<I>.view());
      out = put(out, kOpening<I>.view());
      if constexpr (kField.type == FieldType::hex) {
        return put_hex_field(out, kField.name, value);
      } else {
        return put_value(out, value);
      }
    }
  }
};

}  // namespace

std::unique_ptr<RecordFormat> make_json_format(const TextTable& texts) {
  return std::make_unique<JsonFormat>(texts);
}

}  // namespace fffa
