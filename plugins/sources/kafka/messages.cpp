// SPDX-License-Identifier: MIT
// Messages on their way to the sinks and back as offsets, and the partitions that they are from.
#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "kafka_source.h"

namespace fffa::kafka_source {

using namespace std::chrono_literals;
namespace {

constexpr auto kMalformedSaid = 60s;
constexpr auto kRegroup = 10s;      // no commits for so long after a revocation, unless the group is complete before
constexpr auto kSameRound = 200ms;  // of the group: what it takes and what it gives
constexpr int kMostNamed = 20;      // partitions in one line of the log

std::string_view payload_of(const rd_kafka_message_t& message) {
  if (message.payload == nullptr) return {};
  return {static_cast<const char*>(message.payload), message.len};
}

// The header, if there is one.
std::optional<std::string_view> schema_of(const rd_kafka_message_t& message) {
  rd_kafka_headers_t* headers = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return std::nullopt;
  if (rd_kafka_header_get_last(headers, "schema", &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR || value == nullptr)
    return std::nullopt;
  return std::string_view(static_cast<const char*>(value), size);
}

std::string about_topic(const rd_kafka_message_t& message) {
  return message.rkt == nullptr ? "topics" : std::string("topic ") + rd_kafka_topic_name(message.rkt);
}

std::string range(const Partition& partition, std::int64_t begin, std::int64_t end) {
  return partition.name() + " from " + std::to_string(begin) + " to " + std::to_string(end);
}

// A line's worth of partitions.
class Names {
 public:
  void add(const std::string& name) {
    if (++count_ <= kMostNamed) (text_ += text_.empty() ? "" : ", ") += name;
  }
  std::string text() const {
    return count_ <= kMostNamed ? text_ : text_ + " and " + std::to_string(count_ - kMostNamed) + " more";
  }
  bool empty() const { return count_ == 0; }

 private:
  std::string text_;
  int count_ = 0;
};

}  // namespace

// ---- messages

void Kafka::take(const rd_kafka_message_t& message) {
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) return take_error(message);
  const auto partition = find(rd_kafka_topic_name(message.rkt), message.partition);
  if (!partition) return;  // it was taken away meanwhile
  if (connection_since_ != Monotonic{}) connected();
  if (trouble_.any()) trouble_.clear(about_topic(message));
  messages_.add();
  if (partition->position() == Partition::kNone) note_end(*partition, consumer_->end(*partition));
  note_position(*partition, message.offset);
  if (const FlowRecord* const record = reader_.read(payload_of(message), schema_of(message))) {
    join_batch(partition, message.offset);
    batch_.records.push_back(*record);
    ++messages_in_batch_;
    const TimeNs newest = std::max(record->last_seen, record->refused_last_seen);
    partition->heard(std::min(newest, context_.clock().now() + kAhead), context_.clock().monotonic());
  } else {
    take_malformed(message, partition);
  }
}

// Nobody can have read further.
void Kafka::note_end(Partition& partition, std::int64_t end) {
  if (end < 0) return;
  partition.ends(end);
  auto& reached = reached_of(partition);
  reached = std::min(reached, end);
}

void Kafka::note_position(const Partition& partition, std::int64_t offset) {
  auto& reached = reached_of(partition);
  const bool first = partition.position() == Partition::kNone;
  const auto expected = first ? partition.committed() : partition.position();
  const bool begins_again = first && offset < expected;
  if (begins_again) reached = offset;  // what was read was of another topic of this name
  if (offset < reached) reread_.add();
  reached = std::max(reached, offset + 1);
  if (begins_again)
    context_.log().warning(partition.name() + " begins again at " + std::to_string(offset) + ": there is no offset " +
                           std::to_string(expected) + ", where the group was");
  if (expected < 0 || offset <= expected) return;
  skipped_.add(static_cast<std::uint64_t>(offset - expected));
  if (first)
    context_.log().warning(partition.name() + " goes on at " + std::to_string(offset) + ": the messages from " +
                           std::to_string(expected) + " on were deleted before they were read");
}

// Adds the message to those that the batch's acknowledgement covers.
void Kafka::join_batch(const std::shared_ptr<Partition>& partition, std::int64_t offset) {
  if (parts_.empty()) batch_since_ = context_.clock().monotonic();
  const auto part = std::ranges::find(parts_.rbegin(), parts_.rend(), partition, &Part::partition);
  const auto open = part != parts_.rend() ? part->span : Partition::kNoSpan;
  const auto span = partition->add(offset, open);
  if (span != open) parts_.push_back({partition, span});
}

void Kafka::take_malformed(const rd_kafka_message_t& message, const std::shared_ptr<Partition>& partition) {
  const auto& why = reader_.why();
  const auto now = context_.clock().monotonic();
  malformed_[static_cast<std::size_t>(why.reason)]->add();
  ++malformed_unsaid_;
  partition->heard(0, now);
  if (malformed_said_ == Monotonic{} || now - malformed_said_ >= kMalformedSaid) {
    malformed_said_ = now;
    context_.log().warning("messages that are no records: " + std::to_string(std::exchange(malformed_unsaid_, 0)) +
                           ", the last " + partition->name() + " at " + std::to_string(message.offset) + ": " +
                           std::string(kMalformed[static_cast<std::size_t>(why.reason)]) + ": " + why.text +
                           (dead_letters_ ? ": sent to `" + *config_.dead_letter + "`" : ": passed over"));
  }
  if (!dead_letters_) return join_batch(partition, message.offset);
  const auto reason = std::string(kMalformed[static_cast<std::size_t>(why.reason)]) + ": " + why.text;
  dead_letters_->send(message, reason, partition, partition->add(message.offset));
}

void Kafka::take_error(const rd_kafka_message_t& message) {
  const std::string text = kafka::settled(redact_(rd_kafka_message_errstr(&message)));
  switch (message.err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
      if (const auto partition = find(rd_kafka_topic_name(message.rkt), message.partition)) {
        partition->at_end(context_.clock().monotonic());
        note_end(*partition, message.offset);
      }
      if (connection_since_ != Monotonic{}) connected();
      return trouble_.clear(about_topic(message));
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      return trouble_.set(about_topic(message), "read from Kafka: " + text, config_.topic ? "topic" : "topics");
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
      return trouble_.set("group", "join the group `" + config_.group + "`: " + text, "group");
    default: return troubled(message.err, text);
  }
}

std::shared_ptr<Partition> Kafka::find(const char* topic, std::int32_t number) {
  const auto is_it = [&](const auto& one) { return one && one->number() == number && one->topic() == topic; };
  if (is_it(last_)) return last_;
  const auto found = std::ranges::find_if(partitions_, is_it);
  return found == partitions_.end() ? nullptr : last_ = *found;
}

std::int64_t& Kafka::reached_of(const Partition& partition) {
  if (reached_of_ != &partition) {
    reached_of_ = &partition;
    reached_at_ = &reached_[{partition.topic(), partition.number()}];
  }
  return *reached_at_;
}

void Kafka::heed_time() {
  // What a broker that is away has cannot be known.
  if (connection_since_ != Monotonic{} || paused_) return;
  watermark_ = std::max(watermark_, watermark(partitions_, context_.clock().now(), context_.clock().monotonic()));
}

void Kafka::flush() {
  heed_time();
  if (parts_.empty() && watermark_ == told_) return;
  Batch out;
  out.records.reserve(batch_.records.size());
  std::swap(out.records, batch_.records);
  out.watermark = told_ = watermark_;
  std::vector<Waiting> waiting;
  waiting.reserve(parts_.size());
  for (const auto& part : parts_) waiting.push_back({part.partition, part.span});
  parts_.clear();
  emitting_ = ++batches_;
  output_->emit(std::move(out),
                [this, batch = batches_, parts = std::move(waiting), messages = std::exchange(messages_in_batch_, 0)](
                    Outcome outcome) { acknowledged(batch, parts, messages, outcome); });
  emitting_ = 0;
}

void Kafka::acknowledged(std::uint64_t batch, const std::vector<Waiting>& parts, std::uint64_t messages,
                         Outcome outcome) {
  // Held at the end of the run, or not even taken: the group's next member reads it again.
  if (outcome == Outcome::held || batch == emitting_) return;
  if (outcome == Outcome::lost) lost_.add(messages);
  acknowledged_at_ = context_.clock().monotonic();
  for (const auto& part : parts) {
    if (const auto partition = part.partition.lock()) partition->acknowledge(part.span);
  }
}

// ---- partitions

// False: it was waited for in vain.
bool Kafka::commit(const Partitions& partitions, bool wait) {
  Partitions due;
  std::ranges::copy_if(partitions, std::back_inserter(due), [](const auto& one) { return one->to_commit(); });
  return due.empty() || consumer_->commit(due, wait);
}

void Kafka::assigned(const rd_kafka_topic_partition_list_t& partitions) {
  block(false);  // all of them or none
  Names names;
  Names again;
  std::int64_t sum = 0;
  const auto now = context_.clock().monotonic();
  for (int i = 0; i < partitions.cnt; ++i) {
    const auto& one = partitions.elems[i];
    auto partition = std::make_shared<Partition>(one.topic, one.partition);
    partition->awake(now);
    auto& reached = reached_[{partition->topic(), partition->number()}];
    reached = std::max(reached, reached_by(one));
    if (one.offset >= 0) partition->commit(one.offset, reached_by(one));
    if (one.offset >= 0 && one.offset < reached) {
      sum += reached - one.offset;
      again.add(range(*partition, one.offset, reached));
    }
    names.add(partition->name() +
              (one.offset >= 0 ? " from " + std::to_string(one.offset) : " (nothing is committed)"));
    trouble_.clear("topic " + partition->topic());
    partitions_.push_back(std::move(partition));
  }
  if (now - revoked_at_ > kSameRound) next_commit_ = std::min(next_commit_, now + config_.commit_interval);
  assignments_.add(static_cast<std::uint64_t>(partitions.cnt));
  trouble_.clear("group");
  if (!names.empty()) trouble_.clear("topics");
  context_.log().info("assigned: " + (names.empty() ? "no partition" : names.text()));
  if (!again.empty())
    context_.log().warning("re-reads what is known to have been read and not committed: " + again.text() + ": " +
                           std::to_string(sum) + " messages, whose records may come twice");
}

void Kafka::revoked(const rd_kafka_topic_partition_list_t& partitions, bool lost) {
  Partitions gone;
  for (int i = 0; i < partitions.cnt; ++i) {
    if (auto partition = find(partitions.elems[i].topic, partitions.elems[i].partition))
      gone.push_back(std::move(partition));
  }
  last_.reset();
  reached_of_ = nullptr;
  if (!lost) {
    if (!output_->stopping()) {
      if (output_->ready()) flush();
      wait_for_acknowledgements(gone);
    }
    commit(gone, true);
    // The group forms anew now, and librdkafka 2.0 takes a commit that is refused meanwhile for the loss of everything.
    revoked_at_ = context_.clock().monotonic();
    next_commit_ = std::max(next_commit_, revoked_at_ + kRegroup);
  }
  block(false);
  given_over(gone);
  std::erase_if(partitions_, [&](const auto& one) { return std::ranges::find(gone, one) != gone.end(); });
}

// What the partitions' next owner reads again.
void Kafka::given_over(const Partitions& partitions) {
  Names names;
  std::int64_t sum = 0;
  for (const auto& partition : partitions) {
    const auto again = partition->uncommitted();
    if (again > 0) names.add(range(*partition, partition->position() - again, partition->position()));
    sum += again;
  }
  given_over_.add(static_cast<std::uint64_t>(sum));
  if (partitions.empty()) return;
  context_.log().info("gave up " + std::to_string(partitions.size()) + " partitions" +
                      (names.empty()
                           ? ": all that was read is committed"
                           : ": read and not committed, so that the next owner reads it again: " + names.text()));
}

void Kafka::committed(rd_kafka_resp_err_t error, const rd_kafka_topic_partition_list_t* offsets) {
  if (error == RD_KAFKA_RESP_ERR__NO_OFFSET || offsets == nullptr) return;
  for (int i = 0; i < offsets->cnt; ++i) {
    const auto& one = offsets->elems[i];
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = one.err;
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    const auto is_it = [&](const auto& known) {
      return known->number() == one.partition && known->topic() == one.topic;
    };
    const auto found = std::ranges::find_if(partitions_, is_it);
    if (found != partitions_.end() && one.offset >= 0) (*found)->commit(one.offset, reached_by(one));
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR && context_.log().enabled(LogLevel::debug))
      context_.log().debug("committed: " + std::string(one.topic) + "[" + std::to_string(one.partition) + "] " +
                           std::to_string(one.offset) + ", read to " + std::to_string(reached_by(one)));
  }
  switch (error) {
    case RD_KAFKA_RESP_ERR_NO_ERROR: return trouble_.clear("commit");
    // The group changes at the moment: it is said by what comes of it, and done again.
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
      return context_.log().debug(std::string("commit: ") + rd_kafka_err2str(error));
    default: trouble_.set("commit", std::string("commit offsets to Kafka: ") + rd_kafka_err2str(error), "group");
  }
}

void Kafka::troubled(rd_kafka_resp_err_t error, std::string text) {
  // "1/1 brokers are down" says less than why.
  if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && connection_since_ != Monotonic{}) return;
  if (error == RD_KAFKA_RESP_ERR__FATAL) return;  // fatal_error() says which
  connection_ = std::move(text);
  if (connection_since_ == Monotonic{}) connection_since_ = context_.clock().monotonic();
}

void Kafka::connected() {
  connection_since_ = {};
  trouble_.clear("connection");
}

}  // namespace fffa::kafka_source
