// SPDX-License-Identifier: MIT
// librdkafka's consumer, as a member of its group. Everything is called, and calls back, on the source's thread.
#pragma once

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "config.h"
#include "fffa/context.h"
#include "partition.h"

namespace fffa::kafka_source {

struct MessageDestroy {
  void operator()(rd_kafka_message_t* message) const noexcept { rd_kafka_message_destroy(message); }
};
using MessagePtr = std::unique_ptr<rd_kafka_message_t, MessageDestroy>;

struct ListDestroy {
  void operator()(rd_kafka_topic_partition_list_t* list) const noexcept { rd_kafka_topic_partition_list_destroy(list); }
};
using ListPtr = std::unique_ptr<rd_kafka_topic_partition_list_t, ListDestroy>;

// What a consumer tells, inside poll(), commit() and close().
class ConsumerEvents {
 public:
  // These are ours from now on; `offset` is where Kafka says that the group is, negative: nowhere yet; reached_by()
  // says up to where it had read.
  virtual void assigned(const rd_kafka_topic_partition_list_t& partitions) = 0;
  // These will be another's when this returns. `lost`: they may be already, and nothing can be committed.
  virtual void revoked(const rd_kafka_topic_partition_list_t& partitions, bool lost) = 0;
  virtual void committed(rd_kafka_resp_err_t error, const rd_kafka_topic_partition_list_t* offsets) = 0;
  // Of connections, names, authentication: librdkafka goes on trying.
  virtual void troubled(rd_kafka_resp_err_t error, std::string text) = 0;

 protected:
  ~ConsumerEvents() = default;
};

// What a committed offset, or one that is, says of Partition::reached().
std::int64_t reached_by(const rd_kafka_topic_partition_t& offset) noexcept;

// The configuration of a consumer; of a producer for dead letters. No I/O. What librdkafka does not take is complained
// about and left out.
kafka::ConfPtr consumer_conf(const Config& config, const kafka::Complain& complain);
kafka::ConfPtr producer_conf(const Config& config);

class Consumer {
 public:
  // Throws Failure where librdkafka does not accept the configuration as a whole.
  Consumer(const Config& config, ConsumerEvents& events, Logger& log, const kafka::Redactor& redact);
  // Leaves the group without a word where close() was not called. A librdkafka that does not end is left behind.
  ~Consumer();
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  Result<void> subscribe(const std::vector<std::string>& topics);
  // The next message or error, or nullptr. Never waits.
  MessagePtr poll();
  // Readable when poll() may have something.
  int fd() const noexcept { return fd_; }
  void rest();  // empties fd(), before poll() is asked for all there is
  void pause(const Partitions& partitions, bool paused);
  // Commits the safe() of these, with their reached(). committed() comes within poll(), or, where it is waited for,
  // within this call. False: it did not within 5 s.
  bool commit(const Partitions& partitions, bool wait);
  // Behind its last message, as far as is known without asking: it is where one was read. Negative: it is not.
  std::int64_t end(const Partition& partition) const;
  // Messages that wait, as far as is known without asking; 0 where it is not.
  std::int64_t lag(const Partition& partition) const;
  // True if a broker answers.
  bool answers(std::chrono::milliseconds limit) const;
  std::string fatal_error() const;  // empty: it lives
  void close();                     // leaves the group, once: revoked() comes first

 private:
  // What librdkafka calls: it may outlive the consumer.
  struct Link {
    std::mutex mutex;
    Consumer* consumer = nullptr;
  };
  struct Extent {
    std::int64_t begin, end;
  };

  std::shared_ptr<Link> link_;
  ConsumerEvents& events_;
  Logger& log_;
  const kafka::Redactor& redact_;
  int fd_ = -1;
  rd_kafka_t* consumer_ = nullptr;
  rd_kafka_queue_t* queue_ = nullptr;
  bool assigned_ = false;     // once at least
  bool would_abort_ = false;  // destroyed

  Extent extent(const Partition& partition) const;
  void set_callbacks(rd_kafka_conf_t* conf);
  void note_membership();
  void destroy();
  void rebalance(rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t* partitions);
  void assign(rd_kafka_topic_partition_list_t* partitions, bool more);
};

}  // namespace fffa::kafka_source
