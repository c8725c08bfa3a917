// SPDX-License-Identifier: MIT
// Records of Kafka's topics. The offset of a message is committed when every sink has its record.
//
// Everything happens on the source's thread, acknowledgements and librdkafka's calls included.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config.h"
#include "consumer.h"
#include "dead_letters.h"
#include "fffa/context.h"
#include "fffa/plugin.h"
#include "fffa/stage.h"
#include "partition.h"
#include "reader.h"
#include "trouble.h"

namespace fffa::kafka_source {

class Kafka final : public Source, public ConsumerEvents {
 public:
  static std::vector<Resource> resources(const Config& config);
  static constexpr bool reads_again = true;  // what is not committed
  static void check(const Config& config, Checker& checker);

  Kafka(Config config, StageContext& context);
  ~Kafka() override;
  Result<void> start() override;
  Result<void> run(Output& output) override;

 private:
  using Monotonic = std::chrono::nanoseconds;
  struct Part {  // of a batch
    std::shared_ptr<Partition> partition;
    Partition::Id span;
  };
  struct Waiting {  // the same, on its way to the sinks
    std::weak_ptr<Partition> partition;
    Partition::Id span;
  };

  Config config_;
  StageContext& context_;
  kafka::Redactor redact_;
  Reader reader_;
  Trouble trouble_;
  Output* output_ = nullptr;

  Partitions partitions_;
  std::shared_ptr<Partition> last_;                                       // the latest message's
  std::map<std::pair<std::string, std::int32_t>, std::int64_t> reached_;  // positions, of former assignments too
  const Partition* reached_of_ = nullptr;                                 // whose is reached_at_
  std::int64_t* reached_at_ = nullptr;
  Batch batch_;              // to be emitted
  std::vector<Part> parts_;  // where it is from
  std::uint64_t messages_in_batch_ = 0;
  Monotonic batch_since_{0};
  TimeNs watermark_ = 0;
  TimeNs told_ = 0;  // of watermark_
  std::uint64_t batches_ = 0;
  std::uint64_t emitting_ = 0;  // number of the batch that emit() has
  Monotonic acknowledged_at_{0};
  Monotonic blocked_since_{0};  // 0: there is room downstream
  bool paused_ = false;
  Monotonic next_tick_{0};
  Monotonic next_commit_{0};
  Monotonic revoked_at_{0};
  Monotonic rebuild_at_{0};
  std::string connection_;         // what librdkafka said last about it ...
  Monotonic connection_since_{0};  // ... and since when it has; 0: it works
  Monotonic malformed_said_{0};
  std::uint64_t malformed_unsaid_ = 0;

  Counter& messages_;
  std::array<Counter*, std::size(kMalformed)> malformed_{};
  Counter& reread_;
  Counter& given_over_;
  Counter& skipped_;
  Counter& lost_;
  Counter& assignments_;
  Gauge& lag_;
  Gauge& owned_;

  // Destroyed first.
  std::unique_ptr<DeadLetters> dead_letters_;
  std::unique_ptr<Consumer> consumer_;

  static constexpr std::size_t kMostRecords = 1024;  // in a batch

  // --- the loop
  void step();
  bool read();
  bool may_read();
  void block(bool blocked);
  void tick(Monotonic now);
  void rebuild(Monotonic now);
  void finish();
  void wait_for_acknowledgements(const Partitions& partitions);

  // --- messages
  void take(const rd_kafka_message_t& message);
  void take_malformed(const rd_kafka_message_t& message, const std::shared_ptr<Partition>& partition);
  void take_error(const rd_kafka_message_t& message);
  void join_batch(const std::shared_ptr<Partition>& partition, std::int64_t offset);
  std::shared_ptr<Partition> find(const char* topic, std::int32_t number);
  void note_end(Partition& partition, std::int64_t end);
  void note_position(const Partition& partition, std::int64_t offset);
  std::int64_t& reached_of(const Partition& partition);
  void heed_time();
  void flush();
  void acknowledged(std::uint64_t batch, const std::vector<Waiting>& parts, std::uint64_t messages, Outcome outcome);
  bool commit(const Partitions& partitions, bool wait);
  void given_over(const Partitions& partitions);
  void connected();

  // --- ConsumerEvents
  void assigned(const rd_kafka_topic_partition_list_t& partitions) override;
  void revoked(const rd_kafka_topic_partition_list_t& partitions, bool lost) override;
  void committed(rd_kafka_resp_err_t error, const rd_kafka_topic_partition_list_t* offsets) override;
  void troubled(rd_kafka_resp_err_t error, std::string text) override;
};

}  // namespace fffa::kafka_source
