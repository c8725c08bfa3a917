// SPDX-License-Identifier: MIT
// AWS's fields of a flow log record, in AWS's order, and what a format string means.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fffa/result.h"

namespace fffa::detail {

enum class VpcToken : std::uint8_t {
  unknown_value,  // a field that fffa accepts and prints as `-`
  version,
  account,
  interface,
  src_addr,
  dst_addr,
  src_port,
  dst_port,
  protocol,
  packets,
  bytes,
  start,
  end,
  action,
  log_status,
  vpc,
  subnet,
  instance,
  tcp_flags,
  type,
  pkt_src_addr,
  pkt_dst_addr,
  region,
  az_id,
  direction,
};

struct VpcField {
  std::string_view id;
  std::uint8_t version;
  VpcToken token;
};

const VpcField* find_vpc_field(std::string_view id) noexcept;

// A format string, understood.
struct VpcLayout {
  std::vector<VpcToken> tokens;  // never empty
  std::string header;            // the field ids, one space between
  std::uint8_t version = 2;      // the highest among the fields
  bool outer_addresses = false;  // srcaddr and dstaddr are the outer packet's: the inner ones have fields of their own
};

// Any white space separates tokens. An error says which token is wrong, and the nearest right one.
Result<VpcLayout> parse_log_format(std::string_view log_format);

}  // namespace fffa::detail
