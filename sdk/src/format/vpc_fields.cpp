// SPDX-License-Identifier: MIT
#include "format/vpc_fields.h"

#include <algorithm>
#include <iterator>

#include "fffa/config_node.h"
#include "fffa/format.h"

namespace fffa::detail {
namespace {

constexpr VpcField kVpcFields[] = {
    {"version", 2, VpcToken::version},
    {"account-id", 2, VpcToken::account},
    {"interface-id", 2, VpcToken::interface},
    {"srcaddr", 2, VpcToken::src_addr},
    {"dstaddr", 2, VpcToken::dst_addr},
    {"srcport", 2, VpcToken::src_port},
    {"dstport", 2, VpcToken::dst_port},
    {"protocol", 2, VpcToken::protocol},
    {"packets", 2, VpcToken::packets},
    {"bytes", 2, VpcToken::bytes},
    {"start", 2, VpcToken::start},
    {"end", 2, VpcToken::end},
    {"action", 2, VpcToken::action},
    {"log-status", 2, VpcToken::log_status},
    {"vpc-id", 3, VpcToken::vpc},
    {"subnet-id", 3, VpcToken::subnet},
    {"instance-id", 3, VpcToken::instance},
    {"tcp-flags", 3, VpcToken::tcp_flags},
    {"type", 3, VpcToken::type},
    {"pkt-srcaddr", 3, VpcToken::pkt_src_addr},
    {"pkt-dstaddr", 3, VpcToken::pkt_dst_addr},
    {"region", 4, VpcToken::region},
    {"az-id", 4, VpcToken::az_id},
    {"sublocation-type", 4, VpcToken::unknown_value},
    {"sublocation-id", 4, VpcToken::unknown_value},
    {"pkt-src-aws-service", 5, VpcToken::unknown_value},
    {"pkt-dst-aws-service", 5, VpcToken::unknown_value},
    {"flow-direction", 5, VpcToken::direction},
    {"traffic-path", 5, VpcToken::unknown_value},
    {"ecs-cluster-arn", 7, VpcToken::unknown_value},
    {"ecs-cluster-name", 7, VpcToken::unknown_value},
    {"ecs-container-instance-arn", 7, VpcToken::unknown_value},
    {"ecs-container-instance-id", 7, VpcToken::unknown_value},
    {"ecs-container-id", 7, VpcToken::unknown_value},
    {"ecs-second-container-id", 7, VpcToken::unknown_value},
    {"ecs-service-name", 7, VpcToken::unknown_value},
    {"ecs-task-definition-arn", 7, VpcToken::unknown_value},
    {"ecs-task-arn", 7, VpcToken::unknown_value},
    {"ecs-task-id", 7, VpcToken::unknown_value},
    {"reject-reason", 8, VpcToken::unknown_value},
    {"resource-id", 9, VpcToken::unknown_value},
    {"encryption-status", 10, VpcToken::unknown_value},
    {"instance-tag", 11, VpcToken::unknown_value},
    {"instance-tag-2", 11, VpcToken::unknown_value},
    {"interface-tag", 11, VpcToken::unknown_value},
    {"interface-tag-2", 11, VpcToken::unknown_value},
    {"asg-tag", 11, VpcToken::unknown_value},
    {"asg-tag-2", 11, VpcToken::unknown_value},
    {"interface-type", 11, VpcToken::unknown_value},
    {"next-hop-interface-id", 11, VpcToken::unknown_value},
    {"next-hop-subnet-id", 11, VpcToken::unknown_value},
    {"next-hop-az-id", 11, VpcToken::unknown_value},
    {"next-hop-vpc-id", 11, VpcToken::unknown_value},
    {"next-hop-interface-type", 11, VpcToken::unknown_value},
};

constexpr std::string_view kSpaces = " \t\r\n";

std::string suggestion(std::string_view id) {
  std::vector<std::string> known;
  std::ranges::transform(kVpcFields, std::back_inserter(known),
                         [](const VpcField& field) { return std::string(field.id); });
  const auto near = nearest(id.substr(0, 64), known);
  return near.empty() ? std::string{} : "; did you mean `${" + near + "}`?";
}

Result<const VpcField*> parse_token(std::string_view token) {
  const bool wrapped = token.size() > 3 && token.starts_with("${") && token.ends_with("}");
  const auto id = wrapped ? token.substr(2, token.size() - 3) : token;
  const auto* field = find_vpc_field(id);
  const auto shown = "`" + std::string(token.substr(0, 64)) + "`";
  if (!wrapped) {
    return fail("log format: " + shown + " is not of the form `${field-id}`" +
                (field != nullptr ? "; did you mean `${" + std::string(id) + "}`?" : suggestion(id)));
  }
  if (field == nullptr) return fail("log format: VPC Flow Logs have no field " + shown + suggestion(id));
  return field;
}

}  // namespace

const VpcField* find_vpc_field(std::string_view id) noexcept {
  const auto* found = std::ranges::find(kVpcFields, id, &VpcField::id);
  return found == std::end(kVpcFields) ? nullptr : found;
}

Result<VpcLayout> parse_log_format(std::string_view log_format) {
  VpcLayout layout;
  std::vector<const VpcField*> seen;
  while (true) {
    const auto begin = log_format.find_first_not_of(kSpaces);
    if (begin == std::string_view::npos) break;
    log_format.remove_prefix(begin);
    const auto token = log_format.substr(0, log_format.find_first_of(kSpaces));
    log_format.remove_prefix(token.size());
    auto parsed = parse_token(token);
    if (!parsed) return parsed.error();
    const VpcField* field = *parsed;
    if (std::ranges::find(seen, field) != seen.end()) {
      return fail("log format: `" + std::string(token) + "` appears twice");
    }
    seen.push_back(field);
    layout.tokens.push_back(field->token);
    if (!layout.header.empty()) layout.header += ' ';
    layout.header += field->id;
    layout.version = std::max(layout.version, field->version);
    layout.outer_addresses |= field->token == VpcToken::pkt_src_addr || field->token == VpcToken::pkt_dst_addr;
  }
  if (layout.tokens.empty()) return fail("log format: names no field; AWS's default begins `${version} ${account-id}`");
  return layout;
}

}  // namespace fffa::detail

namespace fffa {

bool is_vpc_field(std::string_view id) noexcept {
  return detail::find_vpc_field(id) != nullptr;
}

}  // namespace fffa
