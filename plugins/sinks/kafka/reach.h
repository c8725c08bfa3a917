// SPDX-License-Identifier: MIT
// Whether brokers answer while nothing is in the air, when no delivery report says that they do not: /healthz and the
// log say it. They are asked soon after librdkafka has complained, else now and then.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "fffa/context.h"
#include "producer.h"

namespace fffa::kafka {

class Reach {
 public:
  explicit Reach(StageContext& context) : context_(context) {}
  // Any thread. `text` is empty where librdkafka says nothing new.
  void complained(std::string text);
  // Every second. `delivered` so far: what was delivered needs no question.
  void tick(bool idle, std::uint64_t delivered, Producer& producer);

 private:
  StageContext& context_;
  std::mutex mutex_;
  std::string complaint_;  // since they answered
  bool doubt_ = false;     // a complaint that no question has followed
  bool asking_ = false;
  bool away_ = false;
  int unasked_ = 0;  // seconds
  std::uint64_t delivered_ = 0;

  void answered(bool there);
};

}  // namespace fffa::kafka
