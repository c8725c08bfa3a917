// SPDX-License-Identifier: MIT
#include "producer.h"

#include <array>
#include <chrono>
#include <utility>

#include "fffa_kafka/client.h"

namespace fffa::kafka {

using namespace std::chrono_literals;
namespace {

constexpr int kPollMs = 100;
constexpr int kMetadataMs = 5000;
constexpr int kReachableMs = 1000;
constexpr auto kLeaveItTo = 2ms;
constexpr auto kPurgeLimit = 5s;
constexpr int kSyslogWarning = 4;

}  // namespace

Producer::Producer(ConfPtr conf, ProducerEvents& events, Logger& log, const Redactor& redact)
    : events_(events), log_(log), redact_(redact) {
  set_callbacks(conf.get());
  producer_ = make_client(RD_KAFKA_PRODUCER, std::move(conf), redact_);
  thread_ = std::thread([this] {
    keep_only_reading();
    while (!stop_.load(std::memory_order_relaxed)) {
      if (served_.exchange(false, std::memory_order_relaxed)) {
        std::this_thread::sleep_for(kLeaveItTo);
      } else {
        rd_kafka_poll(producer_, kPollMs);
      }
    }
  });
}

void Producer::stop() {
  if (!thread_.joinable()) return;
  rd_kafka_purge(producer_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
  const auto deadline = std::chrono::steady_clock::now() + kPurgeLimit;
  while (rd_kafka_outq_len(producer_) > 0 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(1ms);
  stop_ = true;
  thread_.join();
}

Producer::~Producer() {
  stop();
  for (const auto& [name, topic] : topics_) rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(producer_);
}

void Producer::set_callbacks(rd_kafka_conf_t* conf) {
  rd_kafka_conf_set_opaque(conf, this);
  rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
    const bool may_be_there = message->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
                              rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED;
    rd_kafka_headers_t* headers = nullptr;
    rd_kafka_message_detach_headers(const_cast<rd_kafka_message_t*>(message), &headers);
    static_cast<Producer*>(self)->events_.reported(message->_private, message->err, may_be_there, HeadersPtr(headers));
  });
  rd_kafka_conf_set_error_cb(conf, [](rd_kafka_t*, int error, const char* text, void* self) {
    static_cast<Producer*>(self)->failed(static_cast<rd_kafka_resp_err_t>(error), text);
  });
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t* producer, int level, const char*, const char* text) {
    auto* const self = static_cast<Producer*>(rd_kafka_opaque(producer));
    // Its warnings repeat what error_cb says.
    const auto ours = level < kSyslogWarning ? LogLevel::info : LogLevel::debug;
    if (self->log_.enabled(ours)) self->log_.log(ours, "librdkafka: " + self->redact_(text));
  });
}

void Producer::failed(rd_kafka_resp_err_t error, const char* text) {
  if (error != RD_KAFKA_RESP_ERR__FATAL) return events_.troubled(error, settled(redact_(text)));
  // Everything comes back now instead of one by one.
  rd_kafka_purge(producer_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

std::string Producer::fatal() const {
  std::array<char, 512> reason{};
  rd_kafka_fatal_error(producer_, reason.data(), reason.size());
  return redact_(reason.data());
}

rd_kafka_resp_err_t Producer::produce(Message& message) {
  std::array<rd_kafka_vu_t, 7> all{};
  std::size_t count = 0;
  const auto next = [&](rd_kafka_vtype_t type) -> auto& {
    all[count].vtype = type;
    return all[count++].u;
  };
  next(RD_KAFKA_VTYPE_RKT).rkt = message.topic;
  auto& value = next(RD_KAFKA_VTYPE_VALUE).mem;
  value.ptr = const_cast<char*>(message.payload.data());
  value.size = message.payload.size();
  if (!message.key.empty()) {
    auto& key = next(RD_KAFKA_VTYPE_KEY).mem;
    key.ptr = const_cast<char*>(message.key.data());
    key.size = message.key.size();
  }
  if (message.headers != nullptr) next(RD_KAFKA_VTYPE_HEADERS).headers = message.headers.get();
  next(RD_KAFKA_VTYPE_TIMESTAMP).i64 = message.timestamp_ms;
  next(RD_KAFKA_VTYPE_OPAQUE).ptr = message.token;
  rd_kafka_error_t* const error = rd_kafka_produceva(producer_, all.data(), count);
  if (error == nullptr) {
    static_cast<void>(message.headers.release());  // librdkafka's now
    return RD_KAFKA_RESP_ERR_NO_ERROR;
  }
  const auto code = rd_kafka_error_code(error);
  rd_kafka_error_destroy(error);
  return code;
}

void Producer::serve() {
  served_.store(true, std::memory_order_relaxed);
  rd_kafka_poll(producer_, 0);
}

rd_kafka_topic_t* Producer::topic(const std::string& name) {
  const std::lock_guard lock(topics_mutex_);
  if (const auto known = topics_.find(name); known != topics_.end()) return known->second;
  if (topics_.size() >= kMostTopics) {
    if (!std::exchange(full_said_, true))
      log_.error("records name more than " + std::to_string(kMostTopics) +
                 " topics: those of further ones are refused");
    return nullptr;
  }
  rd_kafka_topic_t* const made = rd_kafka_topic_new(producer_, name.c_str(), nullptr);
  if (made != nullptr) topics_.emplace(name, made);
  return made;
}

bool Producer::reachable() {
  const rd_kafka_metadata_t* metadata = nullptr;
  if (rd_kafka_metadata(producer_, 0, nullptr, &metadata, kReachableMs) != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
  rd_kafka_metadata_destroy(metadata);
  return true;
}

void Producer::look_for(rd_kafka_topic_t* topic) {
  const rd_kafka_metadata_t* metadata = nullptr;
  if (rd_kafka_metadata(producer_, 0, topic, &metadata, kMetadataMs) == RD_KAFKA_RESP_ERR_NO_ERROR)
    rd_kafka_metadata_destroy(metadata);
}

}  // namespace fffa::kafka
