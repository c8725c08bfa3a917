// SPDX-License-Identifier: MIT
// What librdkafka is told, and what of it must never be shown.
#pragma once

#include <librdkafka/rdkafka.h>

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fffa/config_types.h"
#include "fffa/plugin.h"

namespace fffa::kafka {

struct ConfDestroy {
  void operator()(rd_kafka_conf_t* conf) const noexcept { rd_kafka_conf_destroy(conf); }
};
using ConfPtr = std::unique_ptr<rd_kafka_conf_t, ConfDestroy>;

// Any of them may hold a password: none is printed.
using Properties = std::map<std::string, Secret>;

// An option as Checker::error() takes it, and what is wrong with it.
using Complain = std::function<void(const std::string& option, const std::string& message)>;

// A property that is not a user's to set.
struct Refused {
  std::string_view property;
  std::string_view why;
};

// What librdkafka does not take is complained about and left out.
void set_property(rd_kafka_conf_t* conf, const std::string& option, const std::string& property,
                  const std::string& value, const Complain& complain);
// The same for the option `librdkafka`, but for what the stage sets itself. Properties that no stage leaves to a user
// are refused besides those of `refused`.
void set_properties(rd_kafka_conf_t* conf, const Properties& properties, std::span<const Refused> refused,
                    const Complain& complain);

// As librdkafka wants them: one:9092,two:9092.
std::string joined(const std::vector<std::string>& brokers);
void check_brokers(const std::vector<std::string>& brokers, Checker& checker);
// Passwords and keys are not written into the configuration, nor where `ps` shows them (--set).
void check_secrets(const Properties& properties, Checker& checker);

// Replaces the passwords and keys among the properties where they occur in a text of librdkafka's.
class Redactor {
 public:
  explicit Redactor(const Properties& properties);
  std::string operator()(std::string_view text) const;

 private:
  std::vector<std::string> secrets_;
};

// A text of librdkafka's without the counters and times that would make a new line of every try.
std::string settled(std::string text);

}  // namespace fffa::kafka
