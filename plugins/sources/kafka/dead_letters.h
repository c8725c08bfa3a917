// SPDX-License-Identifier: MIT
// Messages that are no record, on their way to another topic.
#pragma once

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "consumer.h"
#include "fffa/context.h"
#include "partition.h"

namespace fffa::kafka_source {

// All calls from one thread.
class DeadLetters {
 public:
  // Throws Failure where librdkafka does not accept the configuration as a whole.
  DeadLetters(const Config& config, StageContext& context, const kafka::Redactor& redact);
  ~DeadLetters();
  DeadLetters(const DeadLetters&) = delete;
  DeadLetters& operator=(const DeadLetters&) = delete;

  // `span` of `partition` is acknowledged when the brokers have reported. The message is copied.
  void send(const rd_kafka_message_t& message, std::string_view error, const std::shared_ptr<Partition>& partition,
            Partition::Id span);
  // Takes the reports that are there, for at most so long; sends again what was refused, every 10 s.
  void serve(std::chrono::milliseconds wait = {});
  bool crowded() const noexcept { return letters_.size() >= kMost || bytes_ >= kMostBytes; }
  bool empty() const noexcept { return letters_.empty(); }
  const std::string& trouble() const noexcept { return trouble_; }  // why they do not get there; empty: they do

 private:
  static constexpr std::size_t kMost = 1000;
  static constexpr std::size_t kMostBytes = std::size_t{16} << 20;
  struct Letter {
    std::string payload, key, topic, offset, number, error;
    std::weak_ptr<Partition> partition;
    Partition::Id span = 0;
    bool waits = false;  // to be sent again
    std::size_t bytes() const noexcept { return payload.size() + key.size(); }
  };

  StageContext& context_;
  const kafka::Redactor& redact_;
  std::string topic_;
  Counter& sent_;
  rd_kafka_t* producer_ = nullptr;
  std::list<Letter> letters_;
  std::size_t bytes_ = 0;  // of them
  std::chrono::nanoseconds again_{0};
  std::string trouble_;

  void produce(Letter& letter);
  void reported(Letter& letter, rd_kafka_resp_err_t error);
  void failed(Letter& letter, rd_kafka_resp_err_t error);
  template <typename Is>
  void remove(const Is& is);
};

}  // namespace fffa::kafka_source
