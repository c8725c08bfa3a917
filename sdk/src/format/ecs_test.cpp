// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "../../../tests/bench/formats/sample.h"
#include "fffa/format.h"
#include "format/ecs_members.h"

namespace fffa {
namespace {

using Json = nlohmann::ordered_json;
using detail::ecs::Kind;
using detail::ecs::kMembers;

const std::string kTemplate = FFFA_SIEM_FOLDER "/ecs-index-template.json";

std::string line_of(const TextTable& texts, const FlowRecord& record) {
  std::string out;
  make_ecs_format(texts)->append(record, out);
  return out;
}
Json parsed(const TextTable& texts, const FlowRecord& record) {
  return Json::parse(line_of(texts, record));
}

// Every value that a record can have, but for those of one direction or protocol only.
FlowRecord full(TextTable& texts, Direction direction) {
  FlowRecord r = bench::sample(texts, 7, true);
  r.direction = direction;
  r.encapsulation = Encapsulation::geneve;
  r.outer = {{10, 0, 0, 1}, {10, 0, 0, 2}, 6081, 6081, 17, 4};
  r.vni = 77;
  for (const auto has : {Has::gwlb_endpoint, Has::gwlb_attachment, Has::gwlb_cookie, Has::vlan}) r.set(has);
  r.vlan_id = 12;
  r.flow_end_reason = FlowEndReason::end_of_flow;
  r.set_label(texts.intern("team"), texts.intern("net"));
  return r;
}
FlowRecord ping() {
  FlowRecord r;
  r.flow = {{10, 0, 0, 1}, {10, 0, 0, 2}, 0, 8 << 8 | 3, 1, 4};
  return r;
}

// "source.ip" and so on, each with its value; lists and labels as they are.
void collect(const Json& node, const std::string& path, std::map<std::string, Json>& leaves) {
  for (const auto& [name, value] : node.items()) {
    std::string here = path;
    (here += path.empty() ? "" : ".") += name;
    if (value.is_object() && here != "labels") {
      EXPECT_FALSE(value.empty()) << here;
      collect(value, here, leaves);
    } else {
      EXPECT_TRUE(leaves.try_emplace(here, value).second) << here;
    }
  }
}
std::map<std::string, Json> leaves(const TextTable& texts, const FlowRecord& record) {
  std::map<std::string, Json> all;
  collect(parsed(texts, record), "", all);
  return all;
}

std::string_view mapping_of(Kind kind) {
  switch (kind) {
    case Kind::number: return "long";
    case Kind::boolean: return "boolean";
    case Kind::ip: return "ip";
    case Kind::date: return "date";
    case Kind::labels: return "object";
    default: return "keyword";
  }
}
std::string template_text() {
  Json properties = Json::object();
  for (const auto& member : kMembers) {
    Json* into = &properties;
    for (std::string_view rest = member.object; !rest.empty();) {
      const auto end = std::min(rest.find('.'), rest.size());
      into = &(*into)[std::string(rest.substr(0, end))]["properties"];
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    auto& mapping = (*into)[std::string(member.name)];
    mapping["type"] = mapping_of(member.kind);
    // A rule's text may be longer than a keyword can be.
    if (member.object == "rule" && member.name == "description") mapping["ignore_above"] = 1024;
  }
  const Json labels = {{"path_match", "labels.*"},
                       {"match_mapping_type", "string"},
                       {"mapping", {{"type", "keyword"}, {"ignore_above", 1024}}}};
  Json text;
  text["index_patterns"] = {"fffa-ecs-*"};
  text["priority"] = 200;
  text["template"]["settings"]["index"]["mapping"]["total_fields"]["limit"] = 500;
  // A label that looks like a date would else make all of its name be dates.
  text["template"]["mappings"]["date_detection"] = false;
  text["template"]["mappings"]["dynamic_templates"] = Json::array({Json{{"labels", labels}}});
  text["template"]["mappings"]["properties"] = properties;
  return text.dump(1) + "\n";
}
std::string type_in(const Json& mappings, const std::string& path) {
  const Json* node = &mappings;
  std::istringstream parts(path);
  for (std::string part; std::getline(parts, part, '.');) {
    if (!node->contains("properties") || !(*node)["properties"].contains(part)) return "none";
    node = &(*node)["properties"][part];
  }
  return node->value("type", "object of others");
}

// Whether an index takes it, and as what it was meant.
bool suits(const Json& value, const std::string& type) {
  static const std::regex kDate(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)");
  if (value.is_array()) return std::ranges::all_of(value, [&](const Json& each) { return suits(each, type); });
  if (type == "long") return value.is_number_integer();
  if (type == "boolean") return value.is_boolean();
  if (type == "object") return value.is_object();
  if (!value.is_string()) return false;
  const auto text = value.get<std::string>();
  std::array<unsigned char, 16> address{};
  if (type == "ip")
    return inet_pton(AF_INET, text.c_str(), address.data()) == 1 ||
           inet_pton(AF_INET6, text.c_str(), address.data()) == 1;
  if (type == "date") return std::regex_match(text, kDate);
  return type == "keyword";
}

TEST(Ecs, GoldenUdpRecord) {
  TextTable texts;
  FlowRecord r;
  r.flow = {{192, 0, 2, 1}, {198, 51, 100, 7}, 5353, 53, 17, 4};
  r.host = texts.intern("edge-1");
  r.run_id = texts.intern("8c5a2f6e-4b8e-4a57-9d6c-0f7a1b2c3d4e");
  r.sequence = 42;
  r.interface = texts.intern("eth0");
  r.ifindex = 2;
  r.direction = Direction::egress;
  r.packets = 1;
  r.bytes = 76;
  r.first_seen = 1'767'225'605'000'000'000;
  r.last_seen = 1'767'225'605'123'456'789;
  r.emitted = 1'767'225'610'000'000'000;
  r.initiator = true;
  EXPECT_EQ(
      line_of(texts, r),
      R"({"@timestamp":"2026-01-01T00:00:05.123456Z","agent":{"ephemeral_id":"8c5a2f6e-4b8e-4a57-9d6c-0f7a1b2c3d4e","type":"fffa"},)"
      R"("destination":{"ip":"198.51.100.7","port":53},"ecs":{"version":"8.11.0"},"event":{"action":"network_flow",)"
      R"("category":["network"],"created":"2026-01-01T00:00:10.000000Z","dataset":"fffa.flow","duration":123456789,)"
      R"("end":"2026-01-01T00:00:05.123456Z","kind":"event","module":"fffa","sequence":42,"start":"2026-01-01T00:00:05.000000Z",)"
      R"("type":["connection"]},"fffa":{"cumulative":false,"dst_ip":"198.51.100.7","dst_port":53,"encapsulated":false,"ifindex":2,)"
      R"("incomplete":false,"initiator":true,"interface":"eth0","src_ip":"192.0.2.1","src_port":5353,"version":"3"},)"
      R"("host":{"name":"edge-1"},"network":{"bytes":76,"community_id":"1:5615i5H/0OxJeBIRD7EHdytj7/M=","direction":"egress",)"
      R"("iana_number":"17","packets":1,"transport":"udp","type":"ipv4"},"observer":{"hostname":"edge-1","product":"fffa",)"
      R"("type":"sensor","egress":{"interface":{"id":"2","name":"eth0"}}},"source":{"bytes":76,"ip":"192.0.2.1","packets":1,"port":5353}})"
      "\n");
}

TEST(Ecs, AnEmptyRecordIsAnObject) {
  const TextTable texts;
  const auto all = leaves(texts, FlowRecord{});
  EXPECT_FALSE(all.contains("source.ip"));
  EXPECT_FALSE(all.contains("@timestamp"));
  EXPECT_EQ(all.at("network.direction"), "unknown");
}

TEST(Ecs, VerdictsAndEndsAreInTheType) {
  TextTable texts;
  FlowRecord r = full(texts, Direction::ingress);
  EXPECT_EQ(parsed(texts, r)["event"]["type"], Json::parse(R"(["connection","allowed","end"])"));
  r.netfilter_verdict = Verdict::reject;
  r.flow_end_reason = FlowEndReason::none;
  EXPECT_EQ(parsed(texts, r)["event"]["type"], Json::parse(R"(["connection","denied"])"));
}

TEST(Ecs, AnIcmpFlowHasNoPorts) {
  const TextTable texts;
  const auto all = leaves(texts, ping());
  EXPECT_FALSE(all.contains("source.port"));
  EXPECT_FALSE(all.contains("destination.port"));
  EXPECT_EQ(all.at("fffa.icmp_type"), 8);
  EXPECT_EQ(all.at("fffa.icmp_code"), 3);
  EXPECT_EQ(all.at("network.transport"), "icmp");
}

TEST(Ecs, TextCannotBreakTheObject) {
  TextTable texts;
  FlowRecord r = full(texts, Direction::egress);
  const std::string evil = "\",\"source\":{\"ip\":\"1.2.3.4\"}\n\x01";
  r.interface = texts.intern(evil);
  r.netfilter_match_info = texts.intern(std::string(100'000, '"'));
  const auto line = line_of(texts, r);
  EXPECT_EQ(std::ranges::count(line, '\n'), 1);
  const auto all = leaves(texts, r);
  EXPECT_EQ(all.at("observer.egress.interface.name"), evil);
  EXPECT_EQ(all.at("rule.description").get<std::string>().size(), 100'000u);
}

TEST(Ecs, TheTemplateIsTheTables) {
  if (std::getenv("FFFA_WRITE_ECS") != nullptr) std::ofstream(kTemplate) << template_text();
  std::ifstream file(kTemplate);
  const std::string there{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(there, template_text()) << "FFFA_WRITE_ECS=1 " << ::testing::internal::GetArgvs()[0] << " writes it anew";
}

TEST(Ecs, EveryValueHasItsPlaceInTheTemplate) {
  std::ifstream file(kTemplate);
  const Json mappings = Json::parse(file)["template"]["mappings"];
  TextTable texts;
  std::set<std::string> seen;
  for (const auto& record : {full(texts, Direction::ingress), full(texts, Direction::egress), ping()}) {
    for (const auto& [path, value] : leaves(texts, record)) {
      EXPECT_TRUE(suits(value, type_in(mappings, path))) << path << ": " << value << " as " << type_in(mappings, path);
      seen.insert(path);
    }
  }
  for (const auto& member : kMembers) {
    std::string path(member.object);
    (path += path.empty() ? "" : ".") += member.name;
    EXPECT_TRUE(seen.contains(path)) << path << " is never there";
  }
}

}  // namespace
}  // namespace fffa
