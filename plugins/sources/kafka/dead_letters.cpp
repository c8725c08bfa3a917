// SPDX-License-Identifier: MIT
#include "dead_letters.h"

#include <algorithm>

#include "fffa_kafka/client.h"

namespace fffa::kafka_source {

using namespace std::chrono_literals;
namespace {

constexpr auto kAgain = 10s;

std::string text_of(const void* data, std::size_t size) {
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
}

}  // namespace

DeadLetters::DeadLetters(const Config& config, StageContext& context, const kafka::Redactor& redact)
    : context_(context),
      redact_(redact),
      topic_(*config.dead_letter),
      sent_(context.metrics().counter("fffa_kafka_dead_letter_messages_total",
                                      "Messages that went to the dead-letter topic")) {
  auto conf = producer_conf(config);
  rd_kafka_conf_set_opaque(conf.get(), this);
  rd_kafka_conf_set_dr_msg_cb(conf.get(), [](rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
    static_cast<DeadLetters*>(self)->reported(*static_cast<Letter*>(message->_private), message->err);
  });
  rd_kafka_conf_set_error_cb(conf.get(), [](rd_kafka_t*, int, const char* text, void* opaque) {
    auto* const self = static_cast<DeadLetters*>(opaque);
    if (!self->letters_.empty()) self->trouble_ = kafka::settled(self->redact_(text));
  });
  rd_kafka_conf_set_log_cb(conf.get(), [](const rd_kafka_t*, int, const char*, const char*) {});
  producer_ = kafka::make_client(RD_KAFKA_PRODUCER, std::move(conf), redact_);
}

DeadLetters::~DeadLetters() {
  // Their messages were not acknowledged: they come again.
  rd_kafka_purge(producer_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_flush(producer_, 1000);
  rd_kafka_destroy(producer_);
}

void DeadLetters::send(const rd_kafka_message_t& message, std::string_view error,
                       const std::shared_ptr<Partition>& partition, Partition::Id span) {
  Letter& letter = letters_.emplace_back();
  letter.payload = text_of(message.payload, message.len);
  letter.key = text_of(message.key, message.key_len);
  letter.topic = partition->topic();
  letter.number = std::to_string(partition->number());
  letter.offset = std::to_string(message.offset);
  letter.error = error;
  letter.partition = partition;
  letter.span = span;
  bytes_ += letter.bytes();
  produce(letter);
}

void DeadLetters::produce(Letter& letter) {
  letter.waits = false;
  rd_kafka_headers_t* const headers = rd_kafka_headers_new(4);
  kafka::add_header(headers, "topic", letter.topic);
  kafka::add_header(headers, "partition", letter.number);
  kafka::add_header(headers, "offset", letter.offset);
  kafka::add_header(headers, "error", letter.error);
  const auto error = rd_kafka_producev(
      producer_, RD_KAFKA_V_TOPIC(topic_.c_str()), RD_KAFKA_V_VALUE(letter.payload.data(), letter.payload.size()),
      RD_KAFKA_V_KEY(letter.key.empty() ? nullptr : letter.key.data(), letter.key.size()), RD_KAFKA_V_HEADERS(headers),
      RD_KAFKA_V_OPAQUE(&letter), RD_KAFKA_V_END);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  rd_kafka_headers_destroy(headers);
  failed(letter, error);
}

void DeadLetters::reported(Letter& letter, rd_kafka_resp_err_t error) {
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return failed(letter, error);
  trouble_.clear();
  sent_.add();
  if (const auto partition = letter.partition.lock()) partition->acknowledge(letter.span);
  remove([&](const Letter& one) { return &one == &letter; });
}

template <typename Is>
void DeadLetters::remove(const Is& is) {
  letters_.remove_if([&](const Letter& one) {
    if (!is(one)) return false;
    bytes_ -= one.bytes();
    return true;
  });
}

void DeadLetters::failed(Letter& letter, rd_kafka_resp_err_t error) {
  // Whoever writes such a message must not hold its partition for ever: the headers tell where it is.
  if (error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && letter.bytes() != 0) {
    bytes_ -= letter.bytes();
    letter.payload.clear();
    letter.key.clear();
    letter.error += "; too large to come along";
    return produce(letter);
  }
  letter.waits = true;
  trouble_ = std::string("topic `") + topic_ + "`: " + rd_kafka_err2str(error);
}

void DeadLetters::serve(std::chrono::milliseconds wait) {
  rd_kafka_poll(producer_, static_cast<int>(wait.count()));
  // What nobody waits for any more: the partition's next owner sends it.
  remove([](const Letter& letter) { return letter.waits && letter.partition.expired(); });
  const auto now = context_.clock().monotonic();
  if (letters_.empty()) return trouble_.clear();  // which was about those
  if (now < again_) return;
  again_ = now + kAgain;
  for (auto& letter : letters_) {
    if (letter.waits) produce(letter);
  }
}

}  // namespace fffa::kafka_source
