// SPDX-License-Identifier: MIT
// From a ConfigNode to a value of a bound type.
#pragma once

#include "fffa/detail/config_bind.h"

namespace fffa::detail {

template <typename T>
bool read_at(const Place& at, T& value);

template <typename T>
bool read_member(const Place& at, void* value) {
  return read_at(at, *static_cast<T*>(value));
}

template <typename T>
bool read_struct(const Place& at, T& config, bool tagged) {
  std::vector<Member> members;
  fffa_visit_config(config, [&members]<typename M>(const char* name, M& member, const char* doc, auto... attributes) {
    Attributes all;
    (apply(all, attributes), ...);
    bool given = all.required;
    if constexpr (Textual<M>) given = given || (member.empty() && !all.may_be_empty);
    members.push_back({name, doc, all, given, &member, &read_member<M>});
  });
  return read_members(at, members, tagged);
}

template <typename T>
bool read_integer(const Place& at, T& value) {
  if constexpr (std::is_signed_v<T>) {
    std::int64_t wide = 0;
    if (!read_signed(at, std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), wide)) return false;
    value = static_cast<T>(wide);
  } else {
    std::uint64_t wide = 0;
    if (!read_unsigned(at, std::numeric_limits<T>::max(), wide)) return false;
    value = static_cast<T>(wide);
  }
  return true;
}

template <typename E>
bool read_enum(const Place& at, E& value) {
  std::vector<std::string> names;
  std::vector<E> values;
  fffa_visit_enum(E{},
                  [&](E each, const char* name, const char*) { names.emplace_back(name), values.push_back(each); });
  const int chosen = read_choice(at, names);
  if (chosen < 0) return false;
  value = values[static_cast<std::size_t>(chosen)];
  return true;
}

template <typename T>
bool read_list(const Place& at, std::vector<T>& list) {
  if (!expect_list(at)) return false;
  list.clear();
  bool good = true;
  for (std::size_t i = 0; i < at.node.items.size(); ++i) {
    T element{};
    good = read_at(Place{at.node.items[i], element_path(at.path, i), at.attributes, at.diagnostics}, element) && good;
    list.push_back(std::move(element));
  }
  return good;
}

template <typename Map>
bool read_map(const Place& at, Map& map) {
  if (!expect_map(at)) return false;
  map.clear();
  bool good = true;
  for (const auto& entry : at.node.entries) {
    if (runs_together(at, entry)) {
      good = false;
      continue;
    }
    typename Map::mapped_type element{};
    good =
        read_at(Place{entry.value, element_path(at.path, entry.key), at.attributes, at.diagnostics}, element) && good;
    map.emplace(entry.key, std::move(element));
  }
  return good;
}

template <typename... T>
bool read_variant(const Place& at, std::variant<T...>& variant) {
  const int chosen = read_alternative(at, types_of(&variant));
  if (chosen < 0) return false;
  bool good = false;
  int index = 0;
  const auto read = [&]<typename Alternative>(std::type_identity<Alternative>) {
    if (index++ == chosen) good = read_struct(at, variant.template emplace<Alternative>(), true);
  };
  (read(std::type_identity<T>{}), ...);
  return good;
}

template <typename T>
bool read_at(const Place& at, T& value) {
  if constexpr (Shape<T>::optional) {
    value.reset();
    return (at.node.kind == ConfigNode::Kind::null && !at.attributes.required) || read_at(at, value.emplace());
  } else if constexpr (Shape<T>::list) {
    return read_list(at, value);
  } else if constexpr (Shape<T>::map) {
    return read_map(at, value);
  } else if constexpr (Shape<T>::variant) {
    return read_variant(at, value);
  } else if constexpr (Bound<T>) {
    return read_struct(at, value, false);
  } else if constexpr (NamedEnum<T>) {
    return read_enum(at, value);
  } else if constexpr (Scalar<T>) {
    return read_scalar(at, value);
  } else if constexpr (std::integral<T>) {
    return read_integer(at, value);
  } else {
    static_assert(kUnbound<T>,
                  "not a configuration type: see fffa/config.h; bind structs with FFFA_CONFIG and enums with "
                  "FFFA_ENUM, at namespace scope");
    return false;
  }
}

template <typename T>
bool read_value(const ConfigNode& node, const std::string& path, T& config, Diagnostics& diagnostics) {
  return read_at(Place{node, path, Attributes{}, diagnostics}, config);
}

}  // namespace fffa::detail
