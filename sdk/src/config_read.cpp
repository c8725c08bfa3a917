// SPDX-License-Identifier: MIT
// Reading values for bindings: every complaint is made here.
#include <algorithm>
#include <charconv>

#include "config_text.h"
#include "fffa/config.h"

namespace fffa::detail {

namespace {

bool complain(const Place& at, std::string message, std::string hint = {}) {
  at.diagnostics.add({at.node.at, at.path, std::move(message), std::move(hint)});
  return false;
}

// What stands there, fit to be shown.
std::string got(const ConfigNode& node) {
  switch (node.kind) {
    case ConfigNode::Kind::null: return "nothing";
    case ConfigNode::Kind::list: return "a list";
    case ConfigNode::Kind::map: return "a mapping";
    case ConfigNode::Kind::scalar: break;
  }
  return node.secret ? "a substituted value, which is not shown" : "`" + shown(node.value) + "`";
}

bool expected(const Place& at, std::string_view what, std::string hint = {}) {
  if (at.node.kind == ConfigNode::Kind::null && hint.empty()) hint = "leave the key out to have the default";
  return complain(at, "expected " + std::string(what) + ", got " + got(at.node), std::move(hint));
}

bool is_scalar(const Place& at) {
  return at.node.kind == ConfigNode::Kind::scalar;
}

// `number` in the unit of the attributes; `show` prints a bound.
template <typename Show>
bool within(const Place& at, double number, Show show) {
  const auto& minimum = at.attributes.minimum;
  const auto& maximum = at.attributes.maximum;
  if ((!minimum || number >= *minimum) && (!maximum || number <= *maximum)) return true;
  std::string range;
  if (minimum && maximum)
    range = "from " + show(*minimum) + " to " + show(*maximum);
  else
    range = minimum ? "at least " + show(*minimum) : "at most " + show(*maximum);
  return complain(at, "must be " + range + ", got " + got(at.node));
}

bool text_given(const Place& at, bool secret = false) {
  if (at.node.kind == ConfigNode::Kind::scalar) {
    if (!at.node.value.empty() || at.attributes.may_be_empty) return true;
    return complain(at, "must not be empty");
  }
  return expected(at, secret ? "a secret text" : "text");
}

struct Integer {
  bool negative = false;
  std::uint64_t magnitude = 0;
};
enum class Parsed { good, overflow, malformed };

Parsed parse_integer(std::string_view text, Integer& value) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) value.negative = text[0] == '-', text.remove_prefix(1);
  int base = 10;
  if (text.starts_with("0x"))
    base = 16, text.remove_prefix(2);
  else if (text.size() > 1 && text[0] == '0')
    return Parsed::malformed;  // octal or not: nobody knows
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value.magnitude, base);
  if (text.empty() || end != text.data() + text.size()) return Parsed::malformed;
  return error == std::errc::result_out_of_range ? Parsed::overflow
         : error == std::errc{}                  ? Parsed::good
                                                 : Parsed::malformed;
}

std::string bound_text(double bound) {
  return bound < 0 ? text_of(static_cast<std::int64_t>(bound)) : text_of(static_cast<std::uint64_t>(bound));
}

// The range that both the type and the attributes allow.
bool out_of_range(const Place& at, std::int64_t minimum, std::uint64_t maximum) {
  const auto& attributes = at.attributes;
  const std::string low = attributes.minimum ? bound_text(*attributes.minimum) : text_of(minimum);
  const std::string high = attributes.maximum ? bound_text(*attributes.maximum) : text_of(maximum);
  return complain(at, "must be from " + low + " to " + high + ", got " + got(at.node));
}

bool integer_given(const Place& at, std::int64_t minimum, std::uint64_t maximum, Integer& value) {
  const Parsed parsed = is_scalar(at) ? parse_integer(at.node.value, value) : Parsed::malformed;
  if (parsed == Parsed::malformed) {
    const bool zeros = is_scalar(at) && at.node.value.starts_with('0') &&
                       at.node.value.find_first_not_of("0123456789") == std::string::npos;
    return expected(at, "an integer", zeros ? "write it without leading zeros" : "");
  }
  const bool fits = value.negative ? value.magnitude <= std::uint64_t{0} - static_cast<std::uint64_t>(minimum)
                                   : value.magnitude <= maximum;
  const double number = static_cast<double>(value.magnitude) * (value.negative ? -1 : 1);
  const auto& attributes = at.attributes;
  if (parsed == Parsed::overflow || !fits || (attributes.minimum && number < *attributes.minimum) ||
      (attributes.maximum && number > *attributes.maximum))
    return out_of_range(at, minimum, maximum);
  return true;
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string did_you_mean(const std::string& word, const std::vector<std::string>& names, const char* otherwise) {
  const std::string near = nearest(word, names);
  if (!near.empty()) return "did you mean `" + near + "`?";
  return names.empty() ? std::string{} : otherwise + list_of(names);
}

int choose(const Place& at, const ConfigNode& node, const std::string& path, const std::vector<std::string>& names) {
  const Place there{node, path, at.attributes, at.diagnostics};
  if (node.kind == ConfigNode::Kind::scalar) {
    const auto found = std::find(names.begin(), names.end(), node.value);
    if (found != names.end()) return static_cast<int>(found - names.begin());
  }
  const bool show = node.kind == ConfigNode::Kind::scalar && !node.secret;
  const std::string near = show ? nearest(node.value, names) : "";
  expected(there, "one of " + list_of(names), near.empty() ? "" : "did you mean `" + near + "`?");
  return -1;
}

}  // namespace

bool read_scalar(const Place& at, bool& value) {
  const std::string& text = at.node.value;
  if (is_scalar(at) && (text == "true" || text == "false")) return value = text == "true", true;
  return expected(at, "true or false");
}

bool read_scalar(const Place& at, double& value) {
  const std::string& text = at.node.value;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool finite = value - value == 0;
  if (!is_scalar(at) || error != std::errc{} || end != text.data() + text.size() || !finite)
    return expected(at, "a number");
  return within(at, value, [](double bound) { return text_of(bound); });
}

bool read_scalar(const Place& at, std::string& value) {
  if (!text_given(at)) return false;
  value = at.node.value;
  return true;
}

bool read_scalar(const Place& at, std::filesystem::path& value) {
  if (!text_given(at)) return false;
  if (at.node.value.find('\0') != std::string::npos) return complain(at, "a path cannot hold a zero byte");
  value = at.node.value;
  return true;
}

bool read_scalar(const Place& at, Secret& value) {
  if (!text_given(at, true)) return false;
  const bool literal = at.node.literal && !at.node.value.empty();
  if (literal && !at.attributes.may_be_literal) return complain(at, Secret::kLiteral, Secret::kInstead);
  value = Secret(at.node.value, literal);
  return true;
}

bool read_scalar(const Place& at, std::chrono::nanoseconds& value) {
  std::string hint;
  if (!is_scalar(at) || !parse_duration(at.node.value, value, hint))
    return expected(at, "a duration such as 60s", at.node.secret ? "" : hint);
  return within(at, bound_of(value), [](double seconds) {
    return text_of(std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9)));
  });
}

bool read_scalar(const Place& at, ByteSize& value) {
  std::string hint;
  if (!is_scalar(at) || !parse_size(at.node.value, value, hint))
    return expected(at, "a size such as 75MB or 16MiB", at.node.secret ? "" : hint);
  return within(at, bound_of(value), [](double bytes) { return text_of(ByteSize{static_cast<std::uint64_t>(bytes)}); });
}

bool read_signed(const Place& at, std::int64_t minimum, std::int64_t maximum, std::int64_t& value) {
  Integer integer;
  if (!integer_given(at, minimum, static_cast<std::uint64_t>(maximum), integer)) return false;
  value = static_cast<std::int64_t>(integer.negative ? std::uint64_t{0} - integer.magnitude : integer.magnitude);
  return true;
}

bool read_unsigned(const Place& at, std::uint64_t maximum, std::uint64_t& value) {
  Integer integer;
  if (!integer_given(at, 0, maximum, integer)) return false;
  value = integer.magnitude;
  return true;
}

int read_choice(const Place& at, const std::vector<std::string>& names) {
  return choose(at, at.node, at.path, names);
}

int read_alternative(const Place& at, const std::vector<std::string>& names) {
  if (!expect_map(at)) return -1;
  const ConfigNode* type = at.node.find("type");
  if (type) return choose(at, *type, element_path(at.path, std::string("type")), names);
  complain(at, "`type` is missing", "one of " + list_of(names));
  return -1;
}

bool expect_list(const Place& at) {
  if (at.node.kind != ConfigNode::Kind::list) {
    const bool hint = is_scalar(at) && !at.node.secret && !at.node.value.empty();
    return expected(at, "a list", hint ? "write [" + shown(at.node.value) + "]" : "");
  }
  if (at.node.items.empty() && at.attributes.required) return complain(at, "must not be empty");
  return true;
}

bool expect_map(const Place& at) {
  constexpr auto kMapping = "a mapping (`key: value` lines)";
  if (at.attributes.may_be_literal && is_scalar(at)) return complain(at, std::string("expected ") + kMapping);
  if (at.node.kind != ConfigNode::Kind::map) return expected(at, kMapping);
  if (at.node.entries.empty() && at.attributes.required) return complain(at, "must not be empty");
  return true;
}

bool runs_together(const Place& at, const ConfigNode::Entry& entry) {
  if (entry.value.kind != ConfigNode::Kind::null || entry.key.find_first_of(":=") == std::string::npos) return false;
  complain({entry.value, at.path, at.attributes, at.diagnostics}, "a name with `:` or `=` in it has no value",
           "name: value, with a space");
  return true;
}

std::string element_path(const std::string& path, std::size_t index) {
  return path + "[" + std::to_string(index) + "]";
}
std::string element_path(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

namespace {

bool refuse_unknown(const Place& at, const std::vector<Member>& members, bool tagged) {
  std::vector<std::string> names;
  names.reserve(members.size());
  for (const auto& member : members) names.emplace_back(member.name);
  bool good = true;
  for (const auto& entry : at.node.entries) {
    if (std::find(names.begin(), names.end(), entry.key) != names.end() || (tagged && entry.key == "type")) continue;
    at.diagnostics.add({entry.key_at, element_path(at.path, entry.key), "unknown option `" + shown(entry.key) + "`",
                        did_you_mean(entry.key, names, "there are: ")});
    good = false;
  }
  return good;
}

}  // namespace

bool read_members(const Place& at, const std::vector<Member>& members, bool tagged) {
  // A mapping with nothing in it is written as nothing: all defaults.
  if (at.node.kind != ConfigNode::Kind::null && !expect_map(at)) return false;
  bool good = refuse_unknown(at, members, tagged);
  for (const auto& member : members) {
    const std::string path = element_path(at.path, std::string(member.name));
    if (const ConfigNode* node = at.node.find(member.name)) {
      good = member.read(Place{*node, path, member.attributes, at.diagnostics}, member.value) && good;
    } else if (member.must_be_given) {
      at.diagnostics.add({at.node.at, path, "`" + std::string(member.name) + "` is missing", std::string(member.doc)});
      good = false;
    }
  }
  return good;
}

}  // namespace fffa::detail
