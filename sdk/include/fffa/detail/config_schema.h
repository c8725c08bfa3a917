// SPDX-License-Identifier: MIT
// From a bound type to its Schema, defaults included.
#pragma once

#include "fffa/detail/config_bind.h"

namespace fffa::detail {

// A default as one would write it in YAML; empty: no default, or one that its own options show.
template <typename T>
std::string default_text(const T& value) {
  if constexpr (Shape<T>::optional) {
    return value ? default_text(*value) : std::string{};
  } else if constexpr (Shape<T>::list) {
    std::string text;
    for (const auto& element : value) text += (text.empty() ? "" : ", ") + default_text(element);
    return "[" + text + "]";
  } else if constexpr (Shape<T>::map) {
    std::string text;
    for (const auto& [key, element] : value)
      text += (text.empty() ? "" : ", ") + quoted_text(key) + ": " + default_text(element);
    return "{" + text + "}";
  } else if constexpr (NamedEnum<T>) {
    std::string text;
    fffa_visit_enum(T{}, [&](T each, const char* name, const char*) {
      if (each == value) text = name;
    });
    return text;
  } else if constexpr (std::same_as<T, std::string>) {
    return quoted_text(value);
  } else if constexpr (std::same_as<T, std::filesystem::path>) {
    return quoted_text(value.string());
  } else if constexpr (std::same_as<T, Secret> || Shape<T>::variant || Bound<T>) {
    return {};
  } else if constexpr (Scalar<T>) {
    return text_of(value);
  } else if constexpr (std::is_signed_v<T>) {
    return text_of(static_cast<std::int64_t>(value));
  } else {
    return text_of(static_cast<std::uint64_t>(value));
  }
}

template <typename T>
Schema describe(const T& value, const Attributes& attributes);

template <typename T>
Schema describe_struct(const T& defaults) {
  T config = defaults;
  Schema schema;
  schema.kind = Schema::Kind::object;
  fffa_visit_config(config, [&schema]<typename M>(const char* name, M& member, const char* doc, auto... attributes) {
    Attributes all;
    (apply(all, attributes), ...);
    Option option{name, doc, default_text(member), all.required, describe(member, all)};
    if constexpr (Textual<M>) option.required = option.required || (member.empty() && !all.may_be_empty);
    if (option.required) option.default_text.clear();
    schema.options.push_back(std::move(option));
  });
  return schema;
}

template <typename... T>
std::vector<Schema::Choice> alternatives_of(const std::variant<T...>*) {
  std::vector<Schema::Choice> choices;
  (choices.push_back({std::string(T::kType), {}, {describe_struct(T{})}}), ...);
  return choices;
}

template <typename T>
constexpr Schema::Kind kind_of() {
  using Kind = Schema::Kind;
  if constexpr (Shape<T>::list)
    return Kind::list;
  else if constexpr (Shape<T>::map)
    return Kind::map;
  else if constexpr (Shape<T>::variant)
    return Kind::one_of;
  else if constexpr (NamedEnum<T>)
    return Kind::enumeration;
  else if constexpr (std::same_as<T, bool>)
    return Kind::boolean;
  else if constexpr (std::same_as<T, double>)
    return Kind::number;
  else if constexpr (std::same_as<T, std::string>)
    return Kind::string;
  else if constexpr (std::same_as<T, std::filesystem::path>)
    return Kind::path;
  else if constexpr (std::same_as<T, Secret>)
    return Kind::secret;
  else if constexpr (std::same_as<T, std::chrono::nanoseconds>)
    return Kind::duration;
  else if constexpr (std::same_as<T, ByteSize>)
    return Kind::size;
  else {
    static_assert(std::integral<T>, "not a configuration type: see fffa/config.h");
    return Kind::integer;
  }
}

template <typename T>
Schema describe(const T& value, const Attributes& attributes) {
  if constexpr (Shape<T>::optional) {
    return describe(value ? *value : typename T::value_type{}, attributes);
  } else if constexpr (Bound<T>) {
    return describe_struct(value);
  } else {
    Schema schema;
    schema.kind = kind_of<T>();
    if constexpr (Shape<T>::list) {
      schema.element.push_back(describe(typename T::value_type{}, attributes));
    } else if constexpr (Shape<T>::map) {
      schema.element.push_back(describe(typename T::mapped_type{}, attributes));
    } else if constexpr (Shape<T>::variant) {
      schema.choices = alternatives_of(&value);
    } else if constexpr (NamedEnum<T>) {
      schema.choices = choices_of<T>();
    } else {
      schema.minimum = attributes.minimum;
      schema.maximum = attributes.maximum;
      if constexpr (std::integral<T> && !std::same_as<T, bool>) {
        if (!schema.minimum) schema.minimum = static_cast<double>(std::numeric_limits<T>::min());
        if (!schema.maximum) schema.maximum = static_cast<double>(std::numeric_limits<T>::max());
      }
    }
    return schema;
  }
}

template <typename T>
Schema make_schema() {
  return describe(T{}, Attributes{});
}

}  // namespace fffa::detail
