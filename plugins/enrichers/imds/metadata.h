// SPDX-License-Identifier: MIT
// What the metadata service says about this instance, checked: nothing that does not look as it should gets through.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fffa/record.h"
#include "fffa_aws/imds_client.h"

namespace fffa::imds {

using aws::Client;
using aws::Reply;

// One network interface of the instance. Empty: not set.
struct Eni {
  std::string mac;  // "0e:49:61:0f:c3:11"
  std::string id, account, vpc, subnet;
  Address primary_ipv4{};
  Address primary_ipv6{};
};

struct Instance {
  std::string account, id, region, az, az_id;
  std::vector<Eni> enis;
};

struct Fetched {
  Reply::Kind kind = Reply::Kind::unreachable;
  Instance instance;  // ok
  std::string error;  // otherwise
};

// Asks for everything. Absent items are empty; the first request that fails ends it, so that a dead service costs one
// timeout.
Fetched fetch(Client& client);

}  // namespace fffa::imds
