// SPDX-License-Identifier: MIT
// A client of librdkafka whose threads have none of root's capabilities but to read files: keys and certificates.
#pragma once

#include <string_view>

#include "fffa_kafka/properties.h"

namespace fffa::kafka {

// Takes every other capability of the calling thread, for good.
void keep_only_reading() noexcept;

// Throws Failure where librdkafka cannot be set up with `conf`. Its threads, which speak with whoever answers, would
// have what this one has: stages are built before the host drops its capabilities.
rd_kafka_t* make_client(rd_kafka_type_t type, ConfPtr conf, const Redactor& redact);

void add_header(rd_kafka_headers_t* headers, std::string_view name, std::string_view value);

}  // namespace fffa::kafka
