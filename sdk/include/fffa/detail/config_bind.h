// SPDX-License-Identifier: MIT
// How a bound type is read and described. Templates are thin; the work is done in config_read.cpp and
// config_text.cpp, once for all types.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "fffa/config_node.h"
#include "fffa/config_types.h"
#include "fffa/schema.h"

namespace fffa {
namespace detail {

struct Attributes {
  std::optional<double> minimum;  // numbers as they are, durations in seconds, sizes in bytes
  std::optional<double> maximum;
  bool required = false;
  bool may_be_empty = false;
  bool may_be_literal = false;
};
struct RangeAttribute {
  double minimum;
  double maximum;
};
struct RequiredAttribute {};
struct MayBeEmptyAttribute {};
struct MayBeLiteralAttribute {};

template <typename T>
requires std::is_arithmetic_v<T>
constexpr double bound_of(T number) {
  return static_cast<double>(number);
}
template <typename Rep, typename Period>
constexpr double bound_of(std::chrono::duration<Rep, Period> duration) {
  return std::chrono::duration<double>(duration).count();
}
constexpr double bound_of(ByteSize size) {
  return static_cast<double>(size.bytes);
}

inline void apply(Attributes& to, RangeAttribute range) {
  to.minimum = range.minimum, to.maximum = range.maximum;
}
inline void apply(Attributes& to, RequiredAttribute) {
  to.required = true;
}
inline void apply(Attributes& to, MayBeEmptyAttribute) {
  to.may_be_empty = true;
}
inline void apply(Attributes& to, MayBeLiteralAttribute) {
  to.may_be_literal = true;
}

}  // namespace detail

// Attributes, given after an option's doc line. Those of a list or map hold for its elements too (but `required`).
// Inclusive: range(1, 65535), range(1s, 24h), range(ByteSize{1}, ByteSize{1 << 20}).
template <typename Minimum, typename Maximum>
constexpr detail::RangeAttribute range(Minimum minimum, Maximum maximum) {
  return {detail::bound_of(minimum), detail::bound_of(maximum)};
}
inline constexpr detail::RequiredAttribute required{};            // must be given
inline constexpr detail::MayBeEmptyAttribute may_be_empty{};      // text: "" is a value, and its default
inline constexpr detail::MayBeLiteralAttribute may_be_literal{};  // Secret: it may be none, and stand there as it is

namespace detail {

// ---- the part that is compiled once (config_read.cpp)

struct Place {  // where a value stands, and where to complain
  const ConfigNode& node;
  const std::string& path;
  const Attributes& attributes;
  Diagnostics& diagnostics;
};
bool read_scalar(const Place& at, bool& value);
bool read_scalar(const Place& at, double& value);
bool read_scalar(const Place& at, std::string& value);
bool read_scalar(const Place& at, std::filesystem::path& value);
bool read_scalar(const Place& at, Secret& value);
bool read_scalar(const Place& at, std::chrono::nanoseconds& value);
bool read_scalar(const Place& at, ByteSize& value);
bool read_signed(const Place& at, std::int64_t minimum, std::int64_t maximum, std::int64_t& value);
bool read_unsigned(const Place& at, std::uint64_t maximum, std::uint64_t& value);
// The index of the choice that the node names, or -1 after a complaint.
int read_choice(const Place& at, const std::vector<std::string>& names);
// The index of the alternative that the key `type` of a mapping names, or -1 after a complaint.
int read_alternative(const Place& at, const std::vector<std::string>& names);
bool expect_list(const Place& at);
bool expect_map(const Place& at);
// True after a complaint: `name:value` has no space, so that all of it is the name. It is not shown, for the value may
// be a secret.
bool runs_together(const Place& at, const ConfigNode::Entry& entry);
std::string element_path(const std::string& path, std::size_t index);
std::string element_path(const std::string& path, const std::string& key);

using ReadMember = bool (*)(const Place& at, void* value);
struct Member {
  std::string_view name;
  std::string_view doc;
  Attributes attributes;
  bool must_be_given;
  void* value;
  ReadMember read;
};
// Reads a mapping; unknown keys and missing members are complained about. `tagged`: the key `type` is not an
// option.
bool read_members(const Place& at, const std::vector<Member>& members, bool tagged);

std::string text_of(bool value);
std::string text_of(std::int64_t value);
std::string text_of(std::uint64_t value);
std::string text_of(double value);
std::string text_of(std::chrono::nanoseconds value);
std::string text_of(ByteSize value);
std::string quoted_text(const std::string& value);  // as YAML wants it: quoted where it must be

// ---- which types are what

struct AnyVisitor {
  template <typename... Arguments>
  void operator()(Arguments&&...) const {}
};
template <typename T>
concept Bound = requires(T& config) {
  fffa_visit_config(config, AnyVisitor{});
};
template <typename T>
concept NamedEnum = std::is_enum_v<T> && requires(T value) {
  fffa_visit_enum(value, AnyVisitor{});
};
template <typename T>
concept Textual = std::same_as<T, std::string> || std::same_as<T, std::filesystem::path> || std::same_as<T, Secret>;
template <typename T>
concept Scalar = Textual<T> || std::same_as<T, bool> || std::same_as<T, double> ||
    std::same_as<T, std::chrono::nanoseconds> || std::same_as<T, ByteSize>;

template <typename T>
struct Shape {
  static constexpr bool optional = false, list = false, map = false, variant = false;
};
template <typename T>
struct Shape<std::optional<T>> : Shape<void> {
  static constexpr bool optional = true;
};
template <typename T, typename A>
struct Shape<std::vector<T, A>> : Shape<void> {
  static constexpr bool list = true;
};
template <typename T, typename C, typename A>
struct Shape<std::map<std::string, T, C, A>> : Shape<void> {
  static constexpr bool map = true;
};
template <typename... T>
struct Shape<std::variant<T...>> : Shape<void> {
  static constexpr bool variant = true;
};
template <typename>
inline constexpr bool kUnbound = false;

template <typename E>
std::vector<Schema::Choice> choices_of() {
  std::vector<Schema::Choice> choices;
  fffa_visit_enum(E{}, [&](E, const char* name, const char* doc) { choices.push_back({name, doc, {}}); });
  return choices;
}
template <typename... T>
std::vector<std::string> types_of(const std::variant<T...>*) {
  return {std::string(T::kType)...};
}

}  // namespace detail
}  // namespace fffa

#include "fffa/detail/config_read.h"
#include "fffa/detail/config_schema.h"
