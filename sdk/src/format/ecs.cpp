// SPDX-License-Identifier: MIT
// The ECS format: like the JSON format, in objects, without what is null.
#include <array>
#include <memory>

#include "fffa/format.h"
#include "format/ecs_members.h"
#include "format/json_values.h"

namespace fffa {
namespace {

using detail::put;
using detail::ecs::Kind;
using detail::ecs::kMembers;
using detail::ecs::Member;

constexpr std::size_t kDeepest = 3;  // objects within each other

constexpr std::size_t depth(std::string_view object) {
  return object.empty() ? 0 : 1 + static_cast<std::size_t>(std::ranges::count(object, '.'));
}
constexpr std::string_view part(std::string_view object, std::size_t number) {
  for (; number > 0; --number) object.remove_prefix(object.find('.') + 1);
  return object.substr(0, object.find('.'));
}
constexpr std::size_t common_depth(std::string_view a, std::string_view b) {
  std::size_t same = 0;
  while (same < depth(a) && same < depth(b) && part(a, same) == part(b, same)) ++same;
  return same;
}
static_assert(std::ranges::all_of(kMembers, [](const Member& member) { return depth(member.object) <= kDeepest; }));

constexpr std::string_view object_before(std::size_t i) {
  return i == 0 ? std::string_view() : kMembers[i - 1].object;
}

// What a record takes at most besides the texts of handles.
constexpr std::size_t kFixedChars = [] {
  std::size_t sum = 16;
  for (const auto& member : kMembers) sum += member.object.size() + member.name.size() + 16 + detail::kValueChars;
  return sum;
}();

class EcsFormat final : public RecordFormat, detail::JsonValues {
 public:
  explicit EcsFormat(const TextTable& texts) : JsonValues(texts, kFixedChars) {}

  void append(const FlowRecord& record, std::string& out) override {
    char* const end = all_members(put(begin(), "{"), record, std::make_index_sequence<kMembers.size()>());
    out.append(at(0), end);
  }

 private:
  std::array<std::size_t, kDeepest> starts_{};  // of the objects that are open

  template <std::size_t... I>
  char* all_members(char* out, const FlowRecord& record, std::index_sequence<I...>) {
    ((out = member<I>(out, record)), ...);
    for (std::size_t open = depth(kMembers.back().object); open > 0; --open) out = close(out, open - 1);
    return put(out - 1, "}\n");
  }

  // A comma follows every value, the last of an object too: there the brace replaces it.
  template <std::size_t I>
  [[gnu::always_inline]] char* member(char* out, const FlowRecord& record) {
    constexpr auto& kMember = kMembers[I];
    constexpr auto kStay = common_depth(object_before(I), kMember.object);
    for (std::size_t open = depth(object_before(I)); open > kStay; --open) out = close(out, open - 1);
    for (std::size_t open = kStay; open < depth(kMember.object); ++open) {
      starts_[open] = offset(out);
      out = put(put(put(out, "\""), part(kMember.object, open)), "\":{");
    }
    char* const start = put(put(put(out, "\""), kMember.name), "\":");
    char* const end = value<I>(start, record);
    return end == start ? out : put(end, ",");
  }

  // An object of which nothing is there is not there either.
  char* close(char* out, std::size_t number) const {
    if (out[-1] == '{') return at(starts_[number]);
    out[-1] = '}';
    return put(out, ",");
  }

  // Nothing: null.
  template <std::size_t I>
  [[gnu::always_inline]] char* value(char* out, const FlowRecord& record) {
    constexpr auto& kMember = kMembers[I];
    if constexpr (kMember.kind == Kind::labels) {
      return record.label_count == 0 ? out : put_labels(out, record);
    } else if constexpr (kMember.field == "community_id") {
      return put_community_id(out, record);
    } else {
      const Value value = kMember.get(record);
      if (value.kind == Value::Kind::null) return out;
      if constexpr (kMember.hex) {
        return put_hex_field(out, kMember.field, value);
      } else if constexpr (kMember.kind == Kind::list) {
        return put(out, value.name);
      } else if constexpr (kMember.kind == Kind::keyword) {
        if (value.kind == Value::Kind::number) return put(detail::put_number(put(out, "\""), value.number), "\"");
      }
      return put_value(out, value);
    }
  }
};

}  // namespace

std::unique_ptr<RecordFormat> make_ecs_format(const TextTable& texts) {
  return std::make_unique<EcsFormat>(texts);
}

}  // namespace fffa
