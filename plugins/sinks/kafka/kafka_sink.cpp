// SPDX-License-Identifier: MIT
#include "kafka_sink.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "fffa_kafka/client.h"
#include "refusal.h"

namespace fffa::kafka {

using namespace std::chrono_literals;
namespace {

constexpr std::size_t kMostFlights = 256;  // of which the host keeps 64; more are batches that it gave up
constexpr std::size_t kAhead = 4;          // records that are prefetched before their turn
constexpr std::size_t kMostSpareChars = std::size_t{64} << 20;
constexpr int kSilentWithReason = 2;  // seconds
constexpr int kSilent = 10;
constexpr std::size_t kCommunityIdChars = 31;
constexpr std::int64_t kNsPerMs = 1'000'000;

TopicTemplate template_of(const Config& config) {
  auto made = TopicTemplate::parse(config.topic);
  if (!made) throw Failure(made.error());
  return std::move(*made);
}

std::string_view schema_of(Format format) {
  constexpr std::string_view kNames[] = {"fffa.v3.Flow+json", "fffa.v3.Flow+protobuf", "fffa.v3.Flow+ecs"};
  return kNames[static_cast<std::size_t>(format)];
}

std::unique_ptr<RecordFormat> make_format(Format format, const TextTable& texts) {
  switch (format) {
    case Format::protobuf: return make_protobuf_format(texts);
    case Format::ecs: return make_ecs_format(texts);
    default: return make_json_format(texts);
  }
}

// Another thread made it: what one waits for its cache lines is a good part of the time that it takes to format it.
void prefetch(const FlowRecord& record) {
  constexpr std::size_t kLine = 64;
  for (std::size_t at = 0; at < sizeof record; at += kLine)
    __builtin_prefetch(reinterpret_cast<const char*>(&record) + at);
}

}  // namespace

void Kafka::check(const Config& config, Checker& checker) {
  check_brokers(config.brokers, checker);
  check_secrets(config.librdkafka, checker);
  if (const auto topic = TopicTemplate::parse(config.topic); !topic) checker.error("topic", topic.error().message);
  if (config.dead_letter) {
    if (const auto wrong = wrong_topic(*config.dead_letter); !wrong.empty()) checker.error("dead_letter", wrong);
  }
  make_conf(config,
            [&checker](const std::string& option, const std::string& message) { checker.error(option, message); });
}

Kafka::Kafka(Config config, StageContext& context)
    : config_(std::move(config)),
      context_(context),
      redact_(config_.librdkafka),
      topic_(template_of(config_)),
      headers_(config_.headers, schema_of(config_.format), context.texts()),
      format_(make_format(config_.format, context.texts())),
      dead_lettered_(context.metrics().counter("fffa_kafka_dead_letter_records_total",
                                               "Records that went to the dead-letter topic")),
      reach_(context),
      doubtful_(context.metrics().counter("fffa_kafka_possible_duplicates_total",
                                          "Records that were sent again and may have been there already")) {
  for (std::size_t i = 0; i < refused_.size(); ++i)
    refused_[i] = &context.metrics().counter("fffa_kafka_refused_records_total", "Records that Kafka refused",
                                             {{"reason", refusal_name(static_cast<Refusal>(i))}});
  producer_ =
      std::make_unique<Producer>(make_conf(config_, [](const auto&, const auto&) {}), *this, context.log(), redact_);
  timer_ = context.every(1s, [this] { tick(); });
}

Kafka::~Kafka() {
  timer_.reset();
  closing_ = true;
  // What is in the air comes back as purged; its completions say "retry". Both stay until the threads of both have
  // ended, for each may be sending with the other.
  producer_->stop();
  if (single_) single_->stop();
  std::size_t twice = 0;
  for (const auto& flight : flights_) {
    // What was refused is perhaps given up, and not sent again.
    if (!flight->outcome.ok() && flight->outcome.error().disposition == Disposition::reject) continue;
    twice += static_cast<std::size_t>(std::ranges::count(flight->slots, RD_KAFKA_RESP_ERR_NO_ERROR, &Slot::error));
  }
  doubtful_.add(twice);
}

void Kafka::write(std::shared_ptr<const Batch> batch, Completion completion) {
  if (batch->empty()) return completion.done();
  if (again(batch, completion)) return;
  Flight& flight = begin(std::move(batch), std::move(completion));
  prepare(flight);
  send(flight);
  producer_->serve();
}

// A batch that the host was told to offer again: it may still be in the air, have arrived, or lack some records.
bool Kafka::again(const std::shared_ptr<const Batch>& batch, Completion& completion) {
  std::unique_lock lock(mutex_);
  const auto known = std::ranges::find_if(flights_, [&](const auto& flight) { return flight->is(*batch); });
  if (known == flights_.end()) return false;
  Flight& flight = **known;
  if (flight.landed && flight.outcome.ok()) {
    flights_.erase(known);
    lock.unlock();
    completion.done();
    return true;
  }
  flight.completion = std::move(completion);
  if (!flight.landed) return true;
  flight.landed = false;
  flight.batch = batch;
  lock.unlock();
  prepare(flight);
  send(flight);
  return true;
}

Flight& Kafka::begin(std::shared_ptr<const Batch> batch, Completion completion) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Flight> flight;
  if (spare_.empty()) {
    flight = std::make_unique<Flight>();
  } else {
    flight = std::move(spare_.back());
    spare_.pop_back();
    spare_chars_ -= flight->text.capacity();
  }
  never_used_ = std::min(never_used_, spare_.size());
  flight->identity = batch.get();
  flight->mark.emplace(*batch);
  flight->slots.resize(batch->size());
  std::ranges::for_each(flight->slots, &Slot::renew);
  flight->batch = std::move(batch);
  flight->completion = std::move(completion);
  flight->landed = false;
  if (flights_.size() >= kMostFlights) {
    const auto oldest = std::ranges::find_if(flights_, &Flight::landed, [](const auto& f) -> Flight& { return *f; });
    if (oldest != flights_.end()) flights_.erase(oldest);
  }
  flights_.push_back(std::move(flight));
  return *flights_.back();
}

// Text and topic of every record that is not delivered.
void Kafka::prepare(Flight& flight) {
  flight.text.clear();
  std::string name, last;
  std::vector<rd_kafka_topic_t*> asked;
  rd_kafka_topic_t* topic = nullptr;
  if (topic_.fixed()) topic = producer_->topic(config_.topic);
  std::uint32_t number = 0;
  const auto& records = flight.batch->records;
  for (const auto& record : records) {
    if (number + kAhead < records.size()) prefetch(records[number + kAhead]);
    Slot& slot = flight.slots[number];
    if (slot.error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      ++number;
      continue;
    }
    slot.flight = &flight;
    slot.record = number++;
    slot.way = Way::together;
    slot.offset = flight.text.size();
    format_->append(record, flight.text);
    if (config_.format != Format::protobuf) flight.text.pop_back();  // a message is no line
    slot.size = static_cast<std::uint32_t>(flight.text.size() - slot.offset);
    flight.text.resize(slot.offset + slot.size + kCommunityIdChars);
    slot.key_size = static_cast<std::uint8_t>(community_id(record.flow, flight.text.data() + slot.offset + slot.size));
    flight.text.resize(slot.offset + slot.size + slot.key_size);
    if (!topic_.fixed()) {
      topic_.expand(record, context_.texts(), name);
      if (topic == nullptr || name != last) topic = producer_->topic(last = name);
    }
    slot.topic = topic;
    const bool missing = refused(slot.error) && refusal_of(slot.error) != Refusal::too_large && topic != nullptr;
    if (missing && std::ranges::find(asked, topic) == asked.end()) asked.push_back(topic);
  }
  for (auto* const missing : asked) context_.background([this, missing] { producer_->look_for(missing); });
}

Producer& Kafka::single() {
  const std::lock_guard lock(mutex_);
  if (!single_) {
    auto conf = make_conf(config_, [](const auto&, const auto&) {});
    rd_kafka_conf_set(conf.get(), "batch.num.messages", "1", nullptr, 0);
    single_ = std::make_unique<Producer>(std::move(conf), *this, context_.log(), redact_);
  }
  return *single_;
}

// Every record that is not delivered, on the way that it has.
void Kafka::send(Flight& flight) {
  auto& slots = flight.slots;
  const auto missing = [](const Slot& slot) { return slot.error != RD_KAFKA_RESP_ERR_NO_ERROR; };
  flight.open = 1 + static_cast<std::size_t>(std::ranges::count_if(slots, missing));
  const TimeNs now = context_.clock().now();
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (i + kAhead < slots.size()) slots[i + kAhead].kept.prefetch();
    if (missing(slots[i])) send(flight, slots[i], now);
  }
  release(flight);
}

void Kafka::send(Flight& flight, Slot& slot, TimeNs now) {
  const FlowRecord& record = flight.batch->records[slot.record];
  Message message;
  Producer& producer = slot.way == Way::together ? *producer_ : single();
  message.topic = slot.topic;
  if (slot.way == Way::dead_letter) message.topic = producer.topic(*config_.dead_letter);
  if (slot.way == Way::alone) message.topic = producer.topic(rd_kafka_topic_name(slot.topic));
  message.payload = std::string_view(flight.text).substr(slot.offset, slot.size);
  message.key = std::string_view(flight.text).substr(slot.offset + slot.size, slot.key_size);
  // A broker refuses what is an hour ahead of it; a record that another fffa stamped may be.
  message.timestamp_ms = std::min(record.emitted, now) / kNsPerMs;
  message.token = &slot;
  auto error = RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION;
  if (message.topic != nullptr) {
    if (slot.way == Way::dead_letter) {
      const char* const topic = slot.topic == nullptr ? nullptr : rd_kafka_topic_name(slot.topic);
      message.headers = headers_.make_dead_letter(record, slot.kept, topic, rd_kafka_err2str(slot.refusal));
    } else {
      message.headers = headers_.make(record, slot.kept);
    }
    error = producer.produce(message);
  }
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  slot.kept.headers = std::move(message.headers);
  slot.error = error;
  // librdkafka's own limit is about this record alone.
  if (error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && slot.way == Way::together) slot.way = Way::alone;
  flight.open.fetch_sub(1, std::memory_order_relaxed);  // not the last: send() holds one
}

void Kafka::reported(void* token, rd_kafka_resp_err_t error, bool may_be_there, HeadersPtr headers) {
  Slot& slot = *static_cast<Slot*>(token);
  slot.kept.headers = std::move(headers);
  slot.error = error;
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    delivered_.fetch_add(1, std::memory_order_relaxed);
    if (slot.way == Way::dead_letter) dead_lettered_.add();
  } else if (may_be_there) {
    doubtful_.add();
  }
  release(*slot.flight);
}

void Kafka::release(Flight& flight) {
  if (flight.open.fetch_sub(1, std::memory_order_acq_rel) == 1) landed(flight);
}

void Kafka::landed(Flight& flight) {
  if (!closing_ && another_way(flight)) return send(flight);
  count_refused(flight);
  finish(flight);
}

// Chooses the next way of records that were refused; false if none has one.
bool Kafka::another_way(Flight& flight) {
  bool any = false;
  for (auto& slot : flight.slots) {
    if (!refused(slot.error)) continue;
    if (slot.way == Way::together && slot.error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
      slot.way = Way::alone;
      any = true;
    }
  }
  if (any || !config_.dead_letter) return any;
  for (auto& slot : flight.slots) {
    if (!refused(slot.error) || slot.way == Way::dead_letter) continue;
    slot.refusal = slot.error;
    slot.way = Way::dead_letter;
    any = true;
  }
  return any;
}

// Once a record, however often it is tried.
void Kafka::count_refused(Flight& flight) {
  for (auto& slot : flight.slots) {
    const auto why = slot.way == Way::dead_letter ? slot.refusal : slot.error;
    if (slot.counted || !refused(why)) continue;
    slot.counted = true;
    refused_[static_cast<std::size_t>(refusal_of(why))]->add();
  }
}

// What the host is told: what it can do something about first.
Result<void> Kafka::judge(const Flight& flight) const {
  const auto failed = [](const Slot& slot) { return slot.error != RD_KAFKA_RESP_ERR_NO_ERROR; };
  const auto first = std::ranges::find_if(flight.slots, failed);
  if (first == flight.slots.end()) return {};
  for (const auto* producer : {producer_.get(), single_.get()})
    if (const auto why = producer ? producer->fatal() : std::string(); !why.empty())
      return fail("the Kafka producer broke: " + why);
  if (closing_) return retry("stopped before the brokers reported");
  const auto waits = [&](const Slot& slot) { return failed(slot) && !refused(slot.error); };
  if (const auto slot = std::ranges::find_if(flight.slots, waits); slot != flight.slots.end())
    return retry(std::string("deliver to Kafka: ") + rd_kafka_err2str(slot->error));
  std::string where = first->topic == nullptr ? config_.topic : rd_kafka_topic_name(first->topic);
  if (first->way == Way::dead_letter) where = *config_.dead_letter;
  auto refusal = reject("Kafka refuses records for topic `" + where + "`: " + rd_kafka_err2str(first->error));
  for (const auto& slot : flight.slots) {
    if (!failed(slot)) continue;
    const FlowRecord& record = flight.batch->records[slot.record];
    ++refusal.refused.records;
    refusal.refused.packets += record.accounted_packets();
    refusal.refused.bytes += record.accounted_bytes();
  }
  return refusal;
}

void Kafka::finish(Flight& flight) {
  std::optional<Completion> completion;
  Result<void> outcome;
  {
    const std::lock_guard lock(mutex_);
    outcome = judge(flight);
    completion = std::exchange(flight.completion, std::nullopt);
    flight.batch.reset();
    flight.outcome = outcome;
    flight.landed = true;
    if (outcome.ok() && completion) {
      const auto at = std::ranges::find(flights_, &flight, &std::unique_ptr<Flight>::get);
      if (spare_chars_ + flight.text.capacity() <= kMostSpareChars) {
        spare_chars_ += flight.text.capacity();
        spare_.push_back(std::move(*at));
      }
      flights_.erase(at);
    } else {
      std::string().swap(flight.text);
    }
  }
  if (!completion) return;
  if (outcome.ok()) return completion->done();
  completion->error(outcome.error());
}

void Kafka::troubled(rd_kafka_resp_err_t error, std::string text) {
  const bool names_no_reason = error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
  reach_.complained(names_no_reason ? std::string() : text);
  const std::lock_guard lock(mutex_);
  // "1/1 brokers are down" says less than why.
  if (names_no_reason && !trouble_.empty()) return;
  trouble_ = std::move(text);
  trouble_at_ = delivered_.load(std::memory_order_relaxed);
}

void Kafka::tick() {
  tell_of_the_oldest();
  bool idle = false;
  std::vector<std::unique_ptr<Flight>> superfluous;  // freed when the lock is
  {
    const std::lock_guard lock(mutex_);
    const auto used = spare_.begin() + static_cast<std::ptrdiff_t>(never_used_);
    superfluous.assign(std::make_move_iterator(spare_.begin()), std::make_move_iterator(used));
    spare_.erase(spare_.begin(), used);
    never_used_ = spare_.size();
    for (const auto& flight : superfluous) spare_chars_ -= flight->text.capacity();
    idle = std::ranges::all_of(flights_, &Flight::landed, [](const auto& flight) -> Flight& { return *flight; });
  }
  reach_.tick(idle, delivered_.load(std::memory_order_relaxed), *producer_);
}

// Records wait in librdkafka however long brokers are away. The host learns of it by the oldest batch, which it is told
// to offer again: that shows in its log, its health and its metrics, and the records stay where they are.
void Kafka::tell_of_the_oldest() {
  std::optional<Completion> completion;
  Result<void> late;
  {
    const std::lock_guard lock(mutex_);
    const auto oldest = std::ranges::find_if(flights_, [](const auto& flight) { return !flight->landed; });
    const auto delivered = delivered_.load(std::memory_order_relaxed);
    if (oldest == flights_.end() || std::exchange(told_, delivered) != delivered) {
      silent_ = 0;
      return;
    }
    const bool said = !trouble_.empty() && trouble_at_ == delivered;
    if (++silent_ < (said ? kSilentWithReason : kSilent)) return;
    completion = std::exchange((*oldest)->completion, std::nullopt);
    late = retry("deliver to Kafka: " +
                 (said ? trouble_ : "no broker has answered yet; is there a topic `" + config_.topic + "`?"));
  }
  if (completion) completion->error(late.error());
}

}  // namespace fffa::kafka
