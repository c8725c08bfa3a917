// SPDX-License-Identifier: MIT
// What a record has in Elastic Common Schema, made at compile time from the field table and from two lists: the fields
// that have a name in ECS, and what ECS wants besides. Every other field is `fffa.` and its name.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "field_table.h"

namespace fffa::detail::ecs {

inline constexpr std::string_view kVersion = "8.11.0";

// How an index holds it, and so how it is printed: a number that is a keyword has quotes.
enum class Kind : std::uint8_t { keyword, number, boolean, ip, date, labels, list };

struct Member {
  std::string_view object;  // "source.nat"; empty: the record itself
  std::string_view name;
  Kind kind = Kind::keyword;
  Value (*get)(const FlowRecord&) = nullptr;
  std::string_view field{};  // of the table, where it is one's
  bool hex = false;
};

// A field that ECS has a name for; `get`, where ECS means another value.
struct Named {
  std::string_view field, object, name;
  Kind kind;
  std::optional<Value (*)(const FlowRecord&)> get = {};
};

constexpr bool has_ports(const FlowRecord& r) {
  return r.flow.protocol == 6 || r.flow.protocol == 17 || r.flow.protocol == 132;
}
constexpr bool icmp(const FlowRecord& r) {
  return r.flow.protocol == 1 || r.flow.protocol == 58;
}
constexpr std::string_view transport(const FlowRecord& r) {
  switch (r.flow.protocol) {
    case 1: return "icmp";
    case 6: return "tcp";
    case 17: return "udp";
    case 47: return "gre";
    case 50: return "esp";
    case 58: return "ipv6-icmp";
    case 132: return "sctp";
    default: return {};  // network.iana_number says it
  }
}
constexpr std::string_view direction(const FlowRecord& r) {
  constexpr std::string_view kNames[] = {"ingress", "egress", "unknown"};
  return kNames[static_cast<std::size_t>(r.direction)];
}
constexpr std::string_view network_type(const FlowRecord& r) {
  return r.flow.family == 4 ? "ipv4" : r.flow.family == 6 ? "ipv6" : "";
}
// A list is its JSON.
inline std::string_view event_type(const FlowRecord& r) {
  const bool ended = r.flow_end_reason != FlowEndReason::none;
  switch (r.has(Has::netfilter) ? r.netfilter_verdict : Verdict::none) {
    case Verdict::accept: return ended ? R"(["connection","allowed","end"])" : R"(["connection","allowed"])";
    case Verdict::drop:
    case Verdict::reject: return ended ? R"(["connection","denied","end"])" : R"(["connection","denied"])";
    default: return ended ? R"(["connection","end"])" : R"(["connection"])";
  }
}
constexpr Value interface_of(const FlowRecord& r, Direction direction) {
  return r.direction == direction ? handle(r.interface) : null_value();
}
constexpr Value ifindex_of(const FlowRecord& r, Direction direction) {
  return number_if(r.direction == direction && r.ifindex != 0, r.ifindex);
}

using enum Kind;

// clang-format off
inline constexpr auto kNamed = std::to_array<Named>({
    {"timestamp", "event", "created", date},
    {"first_seen", "event", "start", date},
    {"last_seen", "event", "end", date},
    {"duration_ms", "event", "duration", Kind::number, [](R r) { return detail::number(static_cast<std::uint64_t>(r.last_seen - r.first_seen)); }},
    {"sequence", "event", "sequence", Kind::number},
    {"flow_end_reason", "event", "reason", keyword},
    {"run_id", "agent", "ephemeral_id", keyword},
    {"host", "host", "name", keyword},
    {"proto", "network", "transport", keyword, [](R r) { return detail::name(transport(r)); }},
    {"direction", "network", "direction", keyword, [](R r) { return detail::name(direction(r)); }},
    {"packets", "network", "packets", Kind::number},
    {"bytes", "network", "bytes", Kind::number},
    {"community_id", "network", "community_id", keyword},
    {"vlan_id", "network.vlan", "id", keyword},
    {"pkt_src_ip", "source", "ip", ip},
    {"pkt_src_port", "source", "port", Kind::number, [](R r) { return number_if(has_ports(r), r.flow.src_port); }},
    {"pkt_dst_ip", "destination", "ip", ip},
    {"pkt_dst_port", "destination", "port", Kind::number, [](R r) { return number_if(has_ports(r), r.flow.dst_port); }},
    {"nat_src_ip", "source.nat", "ip", ip},
    {"nat_src_port", "source.nat", "port", Kind::number},
    {"nat_dst_ip", "destination.nat", "ip", ip},
    {"nat_dst_port", "destination.nat", "port", Kind::number},
    {"netfilter_chain", "rule", "ruleset", keyword},
    {"netfilter_rule_num", "rule", "id", keyword},
    {"netfilter_match_info", "rule", "description", keyword},
    {"aws_account", "cloud.account", "id", keyword},
    {"aws_instance", "cloud.instance", "id", keyword},
    {"aws_region", "cloud", "region", keyword},
    {"aws_az", "cloud", "availability_zone", keyword},
    {"labels", "", "labels", labels},
});

inline constexpr auto kBesides = std::to_array<Member>({
    {"", "@timestamp", date, [](R r) { return time_value(r.last_seen); }},
    {"agent", "type", keyword, [](R) { return detail::name("fffa"); }},
    {"cloud", "provider", keyword, [](R r) { return r.aws == AwsIdentity{} ? null_value() : detail::name("aws"); }},
    {"ecs", "version", keyword, [](R) { return detail::name(kVersion); }},
    {"event", "action", keyword, [](R) { return detail::name("network_flow"); }},
    {"event", "category", list, [](R) { return detail::name(R"(["network"])"); }},
    {"event", "dataset", keyword, [](R) { return detail::name("fffa.flow"); }},
    {"event", "kind", keyword, [](R) { return detail::name("event"); }},
    {"event", "module", keyword, [](R) { return detail::name("fffa"); }},
    {"event", "type", list, [](R r) { return detail::name(event_type(r)); }},
    {"fffa", "icmp_code", Kind::number, [](R r) { return number_if(icmp(r), r.flow.dst_port & 0xffu); }},
    {"fffa", "icmp_type", Kind::number, [](R r) { return number_if(icmp(r), r.flow.dst_port >> 8); }},
    {"network", "iana_number", keyword, [](R r) { return detail::number(r.flow.protocol); }},
    {"network", "type", keyword, [](R r) { return detail::name(network_type(r)); }},
    {"observer", "hostname", keyword, [](R r) { return handle(r.host); }},
    {"observer", "product", keyword, [](R) { return detail::name("fffa"); }},
    {"observer", "type", keyword, [](R) { return detail::name("sensor"); }},
    {"observer.egress.interface", "id", keyword, [](R r) { return ifindex_of(r, Direction::egress); }},
    {"observer.egress.interface", "name", keyword, [](R r) { return interface_of(r, Direction::egress); }},
    {"observer.ingress.interface", "id", keyword, [](R r) { return ifindex_of(r, Direction::ingress); }},
    {"observer.ingress.interface", "name", keyword, [](R r) { return interface_of(r, Direction::ingress); }},
    {"source", "bytes", Kind::number, [](R r) { return detail::number(r.bytes); }},
    {"source", "packets", Kind::number, [](R r) { return detail::number(r.packets); }},
});
// clang-format on

constexpr Kind kind_of(FieldType type) {
  switch (type) {
    case FieldType::boolean: return Kind::boolean;
    case FieldType::integer: return Kind::number;
    case FieldType::address: return ip;
    case FieldType::time: return date;
    default: return keyword;
  }
}

constexpr Member member_of(const Field& field) {
  const auto* const named = std::ranges::find(kNamed, field.name, &Named::field);
  if (named == kNamed.end())
    return {"fffa", field.name, kind_of(field.type), field.get, field.name, field.type == FieldType::hex};
  return {named->object, named->name, named->kind, named->get.value_or(field.get), field.name};
}

// An object before what begins with it and a dot, and all of it together.
constexpr bool before(const Member& a, const Member& b) {
  const auto low_dot = [](char one, char other) { return (one == '.' ? '\0' : one) < (other == '.' ? '\0' : other); };
  if (a.object == b.object) return a.name < b.name;
  return std::ranges::lexicographical_compare(a.object, b.object, low_dot);
}

inline constexpr auto kMembers = [] {
  std::array<Member, kFields.size() + kBesides.size()> all{};
  auto* const end = std::ranges::transform(kFields, all.begin(), member_of).out;
  std::ranges::copy(kBesides, end);
  std::ranges::sort(all, before);
  return all;
}();

static_assert(std::ranges::all_of(kNamed,
                                  [](const Named& named) {
                                    return std::ranges::count(kFields, named.field, &Field::name) == 1 &&
                                           std::ranges::count(kNamed, named.field, &Named::field) == 1;
                                  }),
              "a name in ECS is of one field of the table, and of one that is there");
static_assert(std::ranges::adjacent_find(kMembers, [](const Member& a, const Member& b) { return !before(a, b); }) ==
                  kMembers.end(),
              "two values have one name");
static_assert(std::ranges::none_of(kMembers,
                                   [](const Member& value) {
                                     return std::ranges::any_of(kMembers, [&value](const Member& other) {
                                       if (value.object.empty()) return other.object == value.name;
                                       return other.object.size() == value.object.size() + 1 + value.name.size() &&
                                              other.object.starts_with(value.object) &&
                                              other.object[value.object.size()] == '.' &&
                                              other.object.ends_with(value.name);
                                     });
                                   }),
              "a name is of a value or of an object");

}  // namespace fffa::detail::ecs
