// SPDX-License-Identifier: MIT
// A client of librdkafka whose threads can do nothing that only root may.
#pragma once

#include "fffa_kafka/properties.h"

namespace fffa::kafka {

// Takes away every capability of the calling thread, for good.
void drop_capabilities() noexcept;

// Throws Failure where librdkafka cannot be set up with `conf`. Its threads, which speak with whoever answers, drop
// their capabilities when they start: stages are built before the host drops its own.
rd_kafka_t* make_client(rd_kafka_type_t type, ConfPtr conf, const Redactor& redact);

}  // namespace fffa::kafka
