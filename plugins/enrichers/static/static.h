// SPDX-License-Identifier: MIT
// The enricher `static`: fields and labels that are known beforehand, for all records or by interface.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "fffa/plugin.h"

namespace fffa::static_fields {

// What may be given, for all interfaces and for some.
struct Values {
  std::optional<std::string> aws_account, aws_vpc, aws_subnet, aws_instance, aws_az, aws_az_id, aws_region, aws_eni;
  std::optional<std::string> primary_ipv4, primary_ipv6;
  std::map<std::string, std::string> labels;
};
struct Config : Values {
  std::map<std::string, Values> interfaces;
};

#define FFFA_STATIC_VALUES                                                                                             \
  (aws_account, "account id, as text"), (aws_vpc, "VPC id"), (aws_subnet, "subnet id"), (aws_instance, "instance id"), \
      (aws_az, "availability zone, by name"), (aws_az_id, "availability zone, by id"), (aws_region, "region"),         \
      (aws_eni, "network interface id"), (primary_ipv4, "the interface's own IPv4 address"),                           \
      (primary_ipv6, "the interface's own IPv6 address"), (labels, "labels to set, by name")
FFFA_CONFIG(Values, FFFA_STATIC_VALUES)
FFFA_CONFIG(Config, FFFA_STATIC_VALUES, (interfaces, "the same by interface, by name or glob; the most specific wins"))
#undef FFFA_STATIC_VALUES

class Static final : public Enricher {
 public:
  Static(Config config, StageContext& context);
  static void check(const Config& config, Checker& checker);
  Result<void> enrich(Batch& batch) override;

 private:
  // Values ready to be copied; null and zero leave what is there.
  struct Fields {
    AwsIdentity aws;
    Address primary_ipv4{};
    Address primary_ipv6{};
    std::vector<Label> labels;
  };
  struct Rule {
    std::string pattern;
    Fields fields;
  };
  StageContext& context_;
  Fields general_;
  std::vector<Rule> rules_;  // the more specific ones later
  std::unordered_map<Text, Fields> by_interface_;

  Fields compile(const Values& values);
  static void lay_over(Fields& fields, const Fields& above);
  const Fields& fields_of(Text interface);
};

}  // namespace fffa::static_fields
