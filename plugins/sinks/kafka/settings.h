// SPDX-License-Identifier: MIT
// What librdkafka is told, and what of it must never be shown.
#pragma once

#include <librdkafka/rdkafka.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config.h"

namespace fffa::kafka {

struct ConfDestroy {
  void operator()(rd_kafka_conf_t* conf) const noexcept { rd_kafka_conf_destroy(conf); }
};
using ConfPtr = std::unique_ptr<rd_kafka_conf_t, ConfDestroy>;

// An option as Checker::error() takes it, and what is wrong with it.
using Complain = std::function<void(const std::string& option, const std::string& message)>;

// The configuration of a producer. No I/O. What librdkafka does not take is complained about and left out.
ConfPtr make_conf(const Config& config, const Complain& complain);

// Replaces the passwords and keys of a configuration where they occur in a text of librdkafka's.
class Redactor {
 public:
  explicit Redactor(const Config& config);
  std::string operator()(std::string_view text) const;

 private:
  std::vector<std::string> secrets_;
};

}  // namespace fffa::kafka
