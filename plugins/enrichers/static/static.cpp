// SPDX-License-Identifier: MIT
#include "static.h"

#include <arpa/inet.h>
#include <fnmatch.h>

#include <algorithm>
#include <tuple>

namespace fffa::static_fields {
namespace {

constexpr std::size_t kMaxInterfaces = 65536;  // names remembered; containers may come and go for years

Text AwsIdentity::*const kIdentity[] = {&AwsIdentity::account,  &AwsIdentity::vpc, &AwsIdentity::subnet,
                                        &AwsIdentity::instance, &AwsIdentity::az,  &AwsIdentity::az_id,
                                        &AwsIdentity::region,   &AwsIdentity::eni};
std::optional<std::string> Values::*const kValues[] = {&Values::aws_account,  &Values::aws_vpc, &Values::aws_subnet,
                                                       &Values::aws_instance, &Values::aws_az,  &Values::aws_az_id,
                                                       &Values::aws_region,   &Values::aws_eni};
static_assert(std::size(kIdentity) == std::size(kValues));

bool parse(int family, const std::optional<std::string>& text, Address& address) {
  address = {};
  return !text || inet_pton(family, text->c_str(), address.data()) == 1;
}

void lay_over_identity(AwsIdentity& identity, const AwsIdentity& above) noexcept {
  for (const auto member : kIdentity) {
    if (above.*member != Text::null) identity.*member = above.*member;
  }
}

// Names before globs, then by the number of characters that are no wildcard.
auto specificity(const std::string& pattern) {
  const bool name = pattern.find_first_of("*?[") == std::string::npos;
  const auto wild = std::count_if(pattern.begin(), pattern.end(), [](char c) { return c == '*' || c == '?'; });
  return std::tuple(name, static_cast<std::ptrdiff_t>(pattern.size()) - wild);
}

void check_values(const Values& values, const std::string& prefix, Checker& checker) {
  Address unused;
  if (!parse(AF_INET, values.primary_ipv4, unused)) {
    checker.error(prefix + "primary_ipv4", "`" + *values.primary_ipv4 + "` is no IPv4 address");
  }
  if (!parse(AF_INET6, values.primary_ipv6, unused)) {
    checker.error(prefix + "primary_ipv6", "`" + *values.primary_ipv6 + "` is no IPv6 address");
  }
  for (const auto& [name, value] : values.labels) {
    if (name.empty()) checker.error(prefix + "labels", "a label has no name");
  }
}

}  // namespace

Static::Static(Config config, StageContext& context) : context_(context), general_(compile(config)) {
  for (const auto& [pattern, values] : config.interfaces) rules_.push_back({pattern, compile(values)});
  std::stable_sort(rules_.begin(), rules_.end(),
                   [](const Rule& a, const Rule& b) { return specificity(a.pattern) < specificity(b.pattern); });
}

void Static::check(const Config& config, Checker& checker) {
  check_values(config, "", checker);
  for (const auto& [pattern, values] : config.interfaces) {
    check_values(values, "interfaces." + pattern + ".", checker);
    if (config.labels.size() + values.labels.size() > kMaxLabels) {
      checker.error("interfaces." + pattern, "a record has room for " + std::to_string(kMaxLabels) + " labels");
    }
  }
  if (config.labels.size() > kMaxLabels) {
    checker.error("labels", "a record has room for " + std::to_string(kMaxLabels) + " labels");
  }
}

Static::Fields Static::compile(const Values& values) {
  TextTable& texts = context_.texts();
  Fields fields;
  for (std::size_t i = 0; i < std::size(kValues); ++i) {
    if (const auto& value = values.*kValues[i]) fields.aws.*kIdentity[i] = texts.intern(*value);
  }
  static_cast<void>(parse(AF_INET, values.primary_ipv4, fields.primary_ipv4));
  static_cast<void>(parse(AF_INET6, values.primary_ipv6, fields.primary_ipv6));
  for (const auto& [name, value] : values.labels) fields.labels.push_back({texts.intern(name), texts.intern(value)});
  return fields;
}

void Static::lay_over(Fields& fields, const Fields& above) {
  lay_over_identity(fields.aws, above.aws);
  if (above.primary_ipv4 != Address{}) fields.primary_ipv4 = above.primary_ipv4;
  if (above.primary_ipv6 != Address{}) fields.primary_ipv6 = above.primary_ipv6;
  for (const auto& label : above.labels) {
    const auto same = std::find_if(fields.labels.begin(), fields.labels.end(),
                                   [&](const Label& known) { return known.name == label.name; });
    if (same == fields.labels.end()) {
      fields.labels.push_back(label);
    } else {
      same->value = label.value;
    }
  }
}

const Static::Fields& Static::fields_of(Text interface) {
  if (rules_.empty()) return general_;
  const auto known = by_interface_.find(interface);
  if (known != by_interface_.end()) return known->second;
  if (by_interface_.size() >= kMaxInterfaces) by_interface_.clear();
  const std::string name(context_.texts().view(interface));
  Fields fields = general_;
  for (const auto& rule : rules_) {
    if (fnmatch(rule.pattern.c_str(), name.c_str(), 0) == 0) lay_over(fields, rule.fields);
  }
  return by_interface_.emplace(interface, std::move(fields)).first->second;
}

Result<void> Static::enrich(Batch& batch) {
  const Fields* fields = nullptr;
  Text interface = Text::null;
  for (auto& record : batch.records) {
    if (fields == nullptr || record.interface != interface) {
      interface = record.interface;
      fields = &fields_of(interface);
    }
    lay_over_identity(record.aws, fields->aws);
    for (const auto& label : fields->labels) record.set_label(label.name, label.value);
  }
  for (auto& status : batch.interfaces) {
    const Fields& own = fields_of(status.interface);
    lay_over_identity(status.aws, own.aws);
    if (own.primary_ipv4 != Address{}) status.primary_ipv4 = own.primary_ipv4;
    if (own.primary_ipv6 != Address{}) status.primary_ipv6 = own.primary_ipv6;
  }
  return {};
}

}  // namespace fffa::static_fields
