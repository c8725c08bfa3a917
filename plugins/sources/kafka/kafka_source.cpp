// SPDX-License-Identifier: MIT
// The loop and what is done from time to time. Messages and partitions: messages.cpp.
#include "kafka_source.h"

#include <algorithm>
#include <thread>

#include "fffa_kafka/topic_name.h"

namespace fffa::kafka_source {

using namespace std::chrono_literals;
namespace {

constexpr auto kTick = 1s;
constexpr auto kLinger = 100ms;       // how long a batch waits to be filled
constexpr auto kBlocked = 10ms;       // between looks whether there is room downstream
constexpr auto kBlockedLong = 1s;     // without room: no more is fetched
constexpr auto kBlockedPoll = 100ms;  // between polls then, to stay in the group
constexpr auto kRebuild = 10s;        // after an error that librdkafka does not go on from
constexpr auto kConnectionLate = 2s;  // a connection that comes back at once is not worth a word
constexpr auto kProbe = 500ms;
constexpr auto kQuick = 300ms;  // without an acknowledgement: there will be none soon
constexpr auto kQuickLimit = 3s;
constexpr int kLettersAtEnd = 30;  // x 100 ms

}  // namespace

std::vector<Resource> Kafka::resources(const Config& config) {
  return {{"Kafka consumer group", config.group + " at " + kafka::joined(config.brokers)}};
}

void Kafka::check(const Config& config, Checker& checker) {
  kafka::check_brokers(config.brokers, checker);
  kafka::check_secrets(config.librdkafka, checker);
  if (config.topics.empty() == !config.topic) checker.error("topics", "either `topics` or `topic` says what is read");
  if (config.topic) {
    if (const auto wrong = kafka::wrong_topic(*config.topic); !wrong.empty()) checker.error("topic", wrong);
  }
  for (std::size_t i = 0; i < config.topics.size(); ++i) {
    const auto wrong = kafka::wrong_topic(config.topics[i]);
    const bool twice = std::ranges::count(config.topics, config.topics[i]) > 1;
    if (!wrong.empty()) checker.error("topics[" + std::to_string(i) + "]", wrong);
    if (twice) checker.error("topics[" + std::to_string(i) + "]", "is there twice, which librdkafka does not take");
  }
  if (config.group.empty()) checker.error("group", "a group has a name");
  if (config.dead_letter) {
    const auto topics = topics_of(config);
    if (const auto wrong = kafka::wrong_topic(*config.dead_letter); !wrong.empty())
      checker.error("dead_letter", wrong);
    else if (std::ranges::find(topics, *config.dead_letter) != topics.end())
      checker.error("dead_letter", "is a topic that is read: what goes there would come back");
  }
  consumer_conf(config,
                [&checker](const std::string& option, const std::string& message) { checker.error(option, message); });
}

Kafka::Kafka(Config config, StageContext& context)
    : config_(std::move(config)),
      context_(context),
      redact_(config_.librdkafka),
      reader_(config_.format, context.texts()),
      trouble_(context),
      messages_(context.metrics().counter("fffa_kafka_messages_total", "Messages read")),
      reread_(context.metrics().counter("fffa_kafka_reread_messages_total",
                                        "Messages that are known to have been read before, by former owners of their "
                                        "partition too, and were not committed: their records may come twice")),
      given_over_(context.metrics().counter("fffa_kafka_uncommitted_messages_total",
                                            "Messages read and not committed when their partition was taken away or "
                                            "the source ended: they are read again")),
      skipped_(context.metrics().counter("fffa_kafka_skipped_offsets_total",
                                         "Offsets without a message: deleted before they were read, compacted away, "
                                         "or marks of transactions")),
      lost_(context.metrics().counter("fffa_kafka_lost_messages_total",
                                      "Messages committed though their record was given up downstream")),
      assignments_(context.metrics().counter("fffa_kafka_assigned_partitions_total", "Partitions that became ours")),
      lag_(context.metrics().gauge("fffa_kafka_lag_messages", "Messages in our partitions that are not delivered yet")),
      owned_(context.metrics().gauge("fffa_kafka_partitions", "Partitions that are ours")) {
  for (std::size_t i = 0; i < malformed_.size(); ++i)
    malformed_[i] = &context.metrics().counter("fffa_kafka_malformed_messages_total", "Messages that are no record",
                                               {{"reason", kMalformed[i]}});
}

Kafka::~Kafka() = default;

Result<void> Kafka::start() {
  if (config_.dead_letter) dead_letters_ = std::make_unique<DeadLetters>(config_, context_, redact_);
  consumer_ = std::make_unique<Consumer>(config_, *this, context_.log(), redact_);
  return {};
}

Result<void> Kafka::run(Output& output) {
  output_ = &output;
  if (auto subscribed = consumer_->subscribe(topics_of(config_)); !subscribed) return subscribed;
  while (!output.stopping()) step();
  finish();
  return {};
}

void Kafka::step() {
  const auto now = context_.clock().monotonic();
  if (now >= next_tick_) tick(now);
  if (!consumer_) return static_cast<void>(output_->wait(kTick));
  if (dead_letters_ && !dead_letters_->empty()) dead_letters_->serve();
  const bool room = may_read();
  if (!room && blocked_since_ == Monotonic{}) blocked_since_ = now;
  if (!room && now - blocked_since_ < kBlockedLong) return static_cast<void>(output_->wait(kBlocked));
  block(!room);
  consumer_->rest();
  const bool more = read();
  const bool late = !parts_.empty() && now - batch_since_ >= kLinger;
  // Dead letters that nobody takes keep no record.
  if (output_->ready() && (late || batch_.size() >= kMostRecords)) flush();
  if (!room) return static_cast<void>(output_->wait(kBlockedPoll));
  if (!more) output_->wait(parts_.empty() ? kTick : kLinger, consumer_->fd());
}

bool Kafka::may_read() {
  return output_->ready() && (!dead_letters_ || !dead_letters_->crowded());
}

// Without room nothing more is fetched, and polling goes on: the group does not take us for dead.
void Kafka::block(bool blocked) {
  if (!blocked) blocked_since_ = {};
  if (paused_ == blocked) return;
  paused_ = blocked;
  consumer_->pause(partitions_, blocked);
  if (blocked) return;
  for (const auto& partition : partitions_) partition->awake(context_.clock().monotonic());
}

// False: there is nothing more for now.
bool Kafka::read() {
  std::size_t taken = 0;  // what is no record too: else a flood of it would keep all other work waiting
  do {
    const auto message = consumer_->poll();
    if (!message) return false;
    take(*message);
  } while (++taken < kMostRecords && batch_.size() < kMostRecords && parts_.size() < kMostRecords &&
           (!dead_letters_ || !dead_letters_->crowded()));
  return true;
}

void Kafka::tick(Monotonic now) {
  next_tick_ = now + kTick;
  if (!consumer_) return rebuild(now);
  if (const auto broken = consumer_->fatal_error(); !broken.empty()) {
    trouble_.set("consumer", "the Kafka consumer broke: " + broken, "librdkafka");
    consumer_.reset();
    given_over(partitions_);
    partitions_.clear();
    last_.reset();
    reached_of_ = nullptr;
    rebuild_at_ = now + kRebuild;
    return;
  }
  if (connection_since_ != Monotonic{} && now - connection_since_ >= kConnectionLate) {
    if (consumer_->answers(kProbe)) {
      connected();
    } else {
      trouble_.set("connection", "read from Kafka: " + connection_, "librdkafka");
    }
  }
  if (dead_letters_) {
    if (dead_letters_->trouble().empty())
      trouble_.clear("dead letters");
    else
      trouble_.set("dead letters", "send dead letters to Kafka: " + dead_letters_->trouble(), "dead_letter");
  }
  if (now >= next_commit_) {
    next_commit_ = now + config_.commit_interval;
    commit(partitions_, false);
  }
  std::int64_t lag = 0;
  for (const auto& partition : partitions_) lag += consumer_->lag(*partition);
  lag_.set(static_cast<double>(lag));
  owned_.set(static_cast<double>(partitions_.size()));
  // Time goes on without records, too.
  if (parts_.empty() && output_->ready()) flush();
}

void Kafka::rebuild(Monotonic now) {
  if (now < rebuild_at_) return;
  rebuild_at_ = now + kRebuild;
  try {
    consumer_ = std::make_unique<Consumer>(config_, *this, context_.log(), redact_);
    if (const auto subscribed = consumer_->subscribe(topics_of(config_)); subscribed)
      return trouble_.clear("consumer");
    else
      trouble_.set("consumer", subscribed.error().message, "topics");
  } catch (const Failure& failure) {
    trouble_.set("consumer", failure.error().message, "librdkafka");
  }
  consumer_.reset();
}

void Kafka::finish() {
  if (!consumer_) return;
  consumer_->pause(partitions_, true);
  flush();
  for (int i = 0; dead_letters_ && !dead_letters_->empty() && i < kLettersAtEnd; ++i) dead_letters_->serve(100ms);
  // A reload does not wait for windows to close: what they hold is read again.
  if (!output_->settle()) wait_for_acknowledgements(partitions_);
  // One broker of several that is away is no reason to leave what was delivered uncommitted.
  const bool there = connection_since_ == Monotonic{} || consumer_->answers(kProbe);
  const bool answered = there && commit(partitions_, true);
  if (answered) return consumer_->close();
  context_.log().warning("stopped without Kafka: what was delivered and not committed is read again");
  given_over(partitions_);
}

// For those that come soon. Output::wait() and settle() call them back.
void Kafka::wait_for_acknowledgements(const Partitions& partitions) {
  const auto begin = context_.clock().monotonic();
  acknowledged_at_ = std::max(acknowledged_at_, begin);
  const auto all = [&] {
    return std::ranges::all_of(partitions, [](const auto& partition) { return partition->acknowledged(); });
  };
  while (!all()) {
    const auto now = context_.clock().monotonic();
    if (now - begin > kQuickLimit || now - acknowledged_at_ > kQuick) return;
    if (dead_letters_) dead_letters_->serve();
    if (!output_->wait(kBlocked)) std::this_thread::sleep_for(kBlocked);
  }
}

}  // namespace fffa::kafka_source
