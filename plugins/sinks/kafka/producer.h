// SPDX-License-Identifier: MIT
// librdkafka's producer with its thread of callbacks.
#pragma once

#include <librdkafka/rdkafka.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>

#include "fffa/context.h"
#include "fffa_kafka/properties.h"

namespace fffa::kafka {

struct HeadersDestroy {
  void operator()(rd_kafka_headers_t* headers) const noexcept { rd_kafka_headers_destroy(headers); }
};
using HeadersPtr = std::unique_ptr<rd_kafka_headers_t, HeadersDestroy>;

// Called on the producer's thread, or on that of serve().
class ProducerEvents {
 public:
  // `headers`: the message's, if it had any.
  virtual void reported(void* token, rd_kafka_resp_err_t error, bool may_be_there, HeadersPtr headers) = 0;
  // Of connections, names, authentication: librdkafka goes on trying.
  virtual void troubled(rd_kafka_resp_err_t error, std::string text) = 0;

 protected:
  ~ProducerEvents() = default;
};

struct Message {
  rd_kafka_topic_t* topic = nullptr;
  std::string_view payload;  // stays where it is until it is reported
  std::string_view key;      // empty: none
  std::int64_t timestamp_ms = 0;
  HeadersPtr headers;     // come back with the report
  void* token = nullptr;  // comes back with the report
};

class Producer {
 public:
  // Throws Failure where librdkafka does not accept the configuration as a whole.
  Producer(ConfPtr conf, ProducerEvents& events, Logger& log, const Redactor& redact);
  ~Producer();
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  // What is not delivered by now is reported as purged, and then nothing any more. What was had from it stays.
  void stop();
  // Any thread. Not NO_ERROR: the message was not taken, and will not be reported; its headers are still there.
  rd_kafka_resp_err_t produce(Message& message);
  // Any thread. Why it takes nothing more, and reports what it had as failed; empty: it does. It may be asked before
  // librdkafka's own word of it has come.
  std::string fatal() const;
  // Any thread. nullptr: there are too many, or librdkafka does not take the name.
  rd_kafka_topic_t* topic(const std::string& name);
  // Brings the reports that are there, on the thread of the caller. Memory that produce() took is freed on the thread
  // that took it then, which costs half as much: while one thread calls this, the producer's own leaves it to it.
  void serve();
  // Whether any broker answers. Blocks for a second at most.
  bool reachable();
  // Asks the brokers whether `topic` is there by now. Blocks; the next produce() knows the answer.
  void look_for(rd_kafka_topic_t* topic);

 private:
  static constexpr std::size_t kMostTopics = 1000;

  ProducerEvents& events_;
  Logger& log_;
  const Redactor& redact_;
  rd_kafka_t* producer_ = nullptr;
  std::mutex topics_mutex_;
  std::unordered_map<std::string, rd_kafka_topic_t*> topics_;
  bool full_said_ = false;
  std::atomic<bool> stop_{false};
  std::atomic<bool> served_{false};  // of late
  std::thread thread_;

  void set_callbacks(rd_kafka_conf_t* conf);
  void failed(rd_kafka_resp_err_t error, const char* text);
};

}  // namespace fffa::kafka
