// SPDX-License-Identifier: MIT
#include "filter/literals.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "config/yaml.h"

namespace fffa::core {
namespace {

using Problem = std::optional<LiteralProblem>;

// A number in digits, or 0x and hex digits. False if it is none, or does not fit into 64 bits.
bool read_number(std::string_view text, int base, std::uint64_t& number) noexcept {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc{} && end == text.data() + text.size();
}

// The names that a field can have, found by asking it for each; none: any text.
std::vector<std::string> names_of(const Field& field) {
  std::vector<std::string> names;
  FlowRecord record;
  record.present = ~0u;
  for (unsigned code = 0; code < 256; ++code) {
    const auto byte = static_cast<std::uint8_t>(code);
    record.flow.protocol = record.tcp_flags = byte;
    record.conn_state = static_cast<ConnState>(byte);
    record.netfilter_verdict = static_cast<Verdict>(byte);
    record.netfilter_hook = static_cast<NetfilterHook>(byte);
    record.flow_end_reason = static_cast<FlowEndReason>(byte);
    const Value value = field.get(record);
    const bool same = !names.empty() && names.back() == value.name;  // of a field that does not depend on these
    if (value.kind == Value::Kind::name && !same) names.emplace_back(value.name);
  }
  return names;
}

std::string list_of(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 16;  // protocols have 256
  std::string list;
  for (std::size_t i = 0; i < std::min(names.size(), kMost); ++i) list += (i == 0 ? "" : ", ") + names[i];
  return list + (names.size() > kMost ? ", ..." : "");
}

Problem add_text(Test& test, const Token& token) {
  const auto names = names_of(*test.field);
  if (!names.empty() && std::find(names.begin(), names.end(), token.text) == names.end()) {
    const std::string near = nearest(token.text, names);
    return LiteralProblem{"`" + std::string(test.field->name) + "` is never " + shown_text(token.text),
                          near.empty() ? "it is one of " + list_of(names) : "did you mean `" + near + "`?"};
  }
  if (names.empty() && token.kind == Token::Kind::word && find_field(token.text) != nullptr)
    return LiteralProblem{"a field is compared with values, not with another field",
                          "the text needs quotes: '" + std::string(token.text) + "'"};
  test.texts.emplace_back(token.text);
  return std::nullopt;
}

// Names in any order, as the record prints them: in one.
Problem add_flags(Test& test, const Token& token) {
  FlowRecord record;
  record.present = ~0u;
  std::uint8_t bits = 0;
  for (std::string_view rest = token.text; !rest.empty() && token.text != "NONE";) {
    const std::string_view name = rest.substr(0, rest.find('|'));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    unsigned bit = 1;
    for (; bit < 256; bit <<= 1) {
      record.tcp_flags = static_cast<std::uint8_t>(bit);
      if (test.field->get(record).name == name) break;
    }
    if (bit == 256)
      return LiteralProblem{shown_text(name) + " is no TCP flag",
                            "SYN, ACK, FIN, RST, PSH, URG, ECE, CWR, joined by |; or NONE"};
    bits = static_cast<std::uint8_t>(bits | bit);
  }
  record.tcp_flags = bits;
  test.texts.emplace_back(test.field->get(record).name);
  return std::nullopt;
}

Problem add_number(Test& test, const Token& token) {
  Number number;
  std::string_view digits = token.text;
  number.negative = digits.starts_with('-');
  if (number.negative) digits.remove_prefix(1);
  const bool hex = digits.starts_with("0x");
  if (hex) digits.remove_prefix(2);
  bool good = read_number(digits, hex ? 16 : 10, number.bits);
  if (number.negative) {
    good = good && number.bits <= std::uint64_t{1} << 63;
    number.bits = ~number.bits + 1;
    number.negative = number.bits != 0;
  }
  if (test.field->name == "direction" && (token.text == "ingress" || token.text == "egress")) {
    good = true;
    number.bits = static_cast<std::uint64_t>(token.text == "ingress" ? Direction::ingress : Direction::egress);
  }
  if (!good) {
    const std::string unit = test.field->unit.empty() ? "" : " of " + std::string(test.field->unit);
    return LiteralProblem{"expected a whole number" + unit + ", got " + shown_text(token.text), ""};
  }
  test.numbers.push_back(number);
  return std::nullopt;
}

// Ids as they are printed: vpce-0..., or the hex digits alone.
Problem add_hex(Test& test, const Token& token) {
  std::string_view digits = token.text;
  for (const std::string_view lead : {"vpce-0", "0x"})
    if (digits.starts_with(lead)) digits.remove_prefix(lead.size());
  Number number;
  if (!read_number(digits, 16, number.bits))
    return LiteralProblem{"expected hex digits, got " + shown_text(token.text), std::string(test.field->doc)};
  test.numbers.push_back(number);
  return std::nullopt;
}

Problem add_boolean(Test& test, const Token& token) {
  if (token.kind != Token::Kind::word || (token.text != "true" && token.text != "false"))
    return LiteralProblem{"expected true or false, got " + shown_text(token.text), ""};
  test.numbers.push_back({false, token.text == "true"});
  return std::nullopt;
}

std::string address_text(const Prefix& prefix) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(prefix.family == 4 ? AF_INET : AF_INET6, prefix.address.data(), text, sizeof text);
  return text;
}

// Clears what is not of the network.
void mask(Prefix& prefix) noexcept {
  for (unsigned bit = prefix.bits; bit < 8 * prefix.address.size(); ++bit)
    prefix.address[bit / 8] &= static_cast<std::uint8_t>(~(0x80u >> bit % 8));
}

Problem add_address(Test& test, const Token& token, bool may_be_prefix) {
  const std::size_t slash = token.text.find('/');
  const std::string address(token.text.substr(0, slash));
  const unsigned longest = address.find(':') == std::string::npos ? 32 : 128;
  Prefix prefix{{}, static_cast<std::uint8_t>(longest == 32 ? 4 : 6), longest};
  std::uint64_t bits = longest;
  const bool good = inet_pton(longest == 32 ? AF_INET : AF_INET6, address.c_str(), prefix.address.data()) == 1 &&
                    address.find('\0') == std::string::npos &&
                    (slash == std::string_view::npos || read_number(token.text.substr(slash + 1), 10, bits)) &&
                    bits <= longest;
  if (!good) {
    return LiteralProblem{
        "expected an address" + std::string(may_be_prefix ? " or prefix" : "") + ", got " + shown_text(token.text),
        "as in 192.0.2.1, 2001:db8::1" + std::string(may_be_prefix ? ", 10.0.0.0/8" : "")};
  }
  if (slash != std::string_view::npos && !may_be_prefix)
    return LiteralProblem{"an address is not equal to a whole prefix",
                          "write `" + std::string(test.field->name) + " in " + std::string(token.text) + "`"};
  prefix.bits = static_cast<unsigned>(bits);
  const Address given = prefix.address;
  mask(prefix);
  if (prefix.address != given) {
    return LiteralProblem{shown_text(token.text) + " has bits set behind the prefix",
                          "the network is " + address_text(prefix) + "/" + std::to_string(prefix.bits)};
  }
  test.prefixes.push_back(prefix);
  return std::nullopt;
}

}  // namespace

std::optional<LiteralProblem> add_literal(Test& test, const Token& token, bool prefix) {
  switch (test.field->type) {
    case FieldType::boolean: return add_boolean(test, token);
    case FieldType::integer: return add_number(test, token);
    case FieldType::text: return add_text(test, token);
    case FieldType::flags: return add_flags(test, token);
    case FieldType::address: return add_address(test, token, prefix);
    case FieldType::hex: return add_hex(test, token);
    case FieldType::time:
    case FieldType::computed: break;
  }
  return std::nullopt;  // refused before
}

std::string_view type_words(FieldType type) noexcept {
  switch (type) {
    case FieldType::boolean: return "true or false";
    case FieldType::integer: return "a whole number";
    case FieldType::text: return "text";
    case FieldType::flags: return "a set of flags";
    case FieldType::address: return "an address";
    case FieldType::hex: return "an id";
    case FieldType::time: return "a time";
    case FieldType::computed: break;
  }
  return "made while printing";
}

}  // namespace fffa::core
