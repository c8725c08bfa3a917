// SPDX-License-Identifier: MIT
// What the sink tells librdkafka.
#pragma once

#include "config.h"
#include "fffa_kafka/properties.h"

namespace fffa::kafka {

// The configuration of a producer. No I/O. What librdkafka does not take is complained about and left out.
ConfPtr make_conf(const Config& config, const Complain& complain);

}  // namespace fffa::kafka
