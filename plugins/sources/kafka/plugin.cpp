// SPDX-License-Identifier: MIT
#include "kafka_source.h"

using fffa::kafka_source::Config;
using fffa::kafka_source::Kafka;
FFFA_PLUGIN("kafka", "records of Apache Kafka's topics, as a member of a consumer group", Kafka, Config)
