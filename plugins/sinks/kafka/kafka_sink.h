// SPDX-License-Identifier: MIT
// Records to Kafka. A batch is complete when the brokers have reported on each of its records.
//
// Threads: the host's calls write() and the timer. Reports come on it or on a producer's own, which then sends again
// what needs another way. `mutex_` guards the list of flights, not what is in the air.
#pragma once

#include <array>
#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "config.h"
#include "fffa/context.h"
#include "fffa/plugin.h"
#include "fffa/stage.h"
#include "flight.h"
#include "headers.h"
#include "producer.h"
#include "reach.h"
#include "settings.h"
#include "topic.h"

namespace fffa::kafka {

class Kafka final : public AsyncSink, public ProducerEvents {
 public:
  static void check(const Config& config, Checker& checker);

  Kafka(Config config, StageContext& context);
  ~Kafka() override;
  void write(std::shared_ptr<const Batch> batch, Completion completion) override;

 private:
  using Flights = std::list<std::unique_ptr<Flight>>;
  static constexpr std::size_t kRefusals = 4;  // reasons that are counted apart

  Config config_;
  StageContext& context_;
  Redactor redact_;
  TopicTemplate topic_;
  HeaderMaker headers_;
  std::unique_ptr<RecordFormat> format_;
  std::array<Counter*, kRefusals> refused_{};
  Counter& dead_lettered_;
  Reach reach_;
  Counter& doubtful_;

  std::mutex mutex_;
  Flights flights_;                             // in the order in which they came
  std::vector<std::unique_ptr<Flight>> spare_;  // their memory is used again, that of the last first
  std::size_t spare_chars_ = 0;                 // of their text
  std::size_t never_used_ = 0;                  // of them, since the tick before
  std::string trouble_;                         // what librdkafka said last ...
  std::uint64_t trouble_at_ = 0;                // ... when so many were delivered
  int silent_ = 0;                              // seconds without a delivery
  std::uint64_t told_ = 0;                      // of delivered_
  std::atomic<std::uint64_t> delivered_{0};
  std::atomic<bool> closing_{false};

  // The thread of the first makes the second.
  std::unique_ptr<Producer> producer_;
  std::unique_ptr<Producer> single_;  // one record a request; made when it is needed first
  std::unique_ptr<Timer> timer_;

  // --- ProducerEvents
  void reported(void* token, rd_kafka_resp_err_t error, bool may_be_there, HeadersPtr headers) override;
  void troubled(rd_kafka_resp_err_t error, std::string text) override;

  // --- on the host's thread
  bool again(const std::shared_ptr<const Batch>& batch, Completion& completion);
  Flight& begin(std::shared_ptr<const Batch> batch, Completion completion);
  void prepare(Flight& flight);
  void tick();
  void tell_of_the_oldest();

  // --- on any
  Producer& single();
  void send(Flight& flight);
  void send(Flight& flight, Slot& slot, TimeNs now);
  void release(Flight& flight);
  void landed(Flight& flight);
  bool another_way(Flight& flight);
  void count_refused(Flight& flight);
  Result<void> judge(const Flight& flight) const;
  void finish(Flight& flight);
};

}  // namespace fffa::kafka
