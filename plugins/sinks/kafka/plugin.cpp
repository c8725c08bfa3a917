// SPDX-License-Identifier: MIT
#include "fffa/plugin.h"

#include "kafka_sink.h"

FFFA_PLUGIN("kafka", "records to Apache Kafka, each acknowledged by all its replicas", fffa::kafka::Kafka,
            fffa::kafka::Config)
