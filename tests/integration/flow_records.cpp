// SPDX-License-Identifier: MIT
#include "flow_records.h"

#include <sstream>

namespace fffa::integration {
namespace {

using nlohmann::json;

std::string key_of(std::string_view proto, const Tuple& flow, std::string_view direction, std::string_view interface) {
  std::ostringstream text;
  text << proto << ' ' << flow.src << ' ' << flow.src_port << " > " << flow.dst << ' ' << flow.dst_port << ' '
       << direction << ' ' << interface;
  return text.str();
}

std::string key_of(const json& record) {
  const Tuple flow{record.at("src_ip"), record.at("src_port"), record.at("dst_ip"), record.at("dst_port")};
  return key_of(record.at("proto").get<std::string>(), flow, record.at("direction") == 0 ? "ingress" : "egress",
                record.at("interface").get<std::string>());
}

}  // namespace

std::uint64_t FlowRecords::sum(const char* field) const {
  std::uint64_t total = 0;
  for (const auto& record : records_) {
    if (const auto& value = record.at(field); !value.is_null()) total += value.get<std::uint64_t>();
  }
  return total;
}

json FlowRecords::last(const char* field) const {
  json found;
  for (const auto& record : records_) {
    if (const auto& value = record.at(field); !value.is_null()) found = value;
  }
  return found;
}

std::set<json> FlowRecords::values(const char* field) const {
  std::set<json> found;
  for (const auto& record : records_) {
    if (const auto& value = record.at(field); !value.is_null()) found.insert(value);
  }
  return found;
}

RunRecords::RunRecords(const std::string& lines) {
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) {
    auto record = json::parse(line);
    const std::string key = key_of(record);
    by_flow_[key].add(std::move(record));
  }
}

FlowRecords RunRecords::of(std::string_view proto, const Tuple& flow, std::string_view direction,
                           std::string_view interface) const {
  const auto found = by_flow_.find(key_of(proto, flow, direction, interface));
  return found == by_flow_.end() ? FlowRecords{} : found->second;
}

std::uint64_t RunRecords::sum(const char* field, std::string_view direction, std::string_view interface) const {
  const std::string end = std::string(" ") + std::string(direction) + " " + std::string(interface);
  std::uint64_t total = 0;
  for (const auto& [key, records] : by_flow_) {
    if (key.ends_with(end)) total += records.sum(field);
  }
  return total;
}

}  // namespace fffa::integration
