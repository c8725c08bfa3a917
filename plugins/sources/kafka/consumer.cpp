// SPDX-License-Identifier: MIT
#include "consumer.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <future>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "fffa_kafka/client.h"

namespace fffa::kafka_source {
namespace {

constexpr int kCommittedMs = 5000;
constexpr int kCommitMs = 5000;
constexpr auto kDestroyLimit = std::chrono::seconds(3);
constexpr int kSyslogWarning = 4;
constexpr std::uint64_t kOne = 1;

constexpr kafka::Refused kRefused[] = {
    {"group.id", "the option `group` says it"},
    {"enable.auto.commit", "an offset is committed when its message was delivered"},
    {"enable.auto.offset.store", "an offset is committed when its message was delivered"},
    {"auto.commit.interval.ms", "the option `commit_interval` says it"},
    {"enable.partition.eof", "time goes on by it"},
    {"transactional.id", "this source makes no transactions"},
    {"enable.idempotence", "a dead letter may come twice"},
    {"acks", "a dead letter is there when every replica in sync has it"},
    {"request.required.acks", "a dead letter is there when every replica in sync has it"},
};
// Of one kind of client only.
constexpr std::string_view kConsumers[] = {
    "fetch.",      "queued.",           "session.",   "heartbeat.", "partition.assignment.", "group.",
    "max.poll.",   "auto.offset.reset", "isolation.", "check.crcs", "allow.auto.create",     "topic.metadata.refresh",
    "coordinator."};

ListPtr list_of(const Partitions& partitions) {
  ListPtr list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (const auto& partition : partitions)
    rd_kafka_topic_partition_list_add(list.get(), partition->topic().c_str(), partition->number());
  return list;
}

void set_metadata(rd_kafka_topic_partition_t& offset, const std::string& text) {
  offset.metadata = rd_kafka_mem_malloc(nullptr, text.size());  // freed with the list
  std::memcpy(offset.metadata, text.data(), text.size());
  offset.metadata_size = text.size();
}

}  // namespace

std::int64_t reached_by(const rd_kafka_topic_partition_t& offset) noexcept {
  return reached_in({static_cast<const char*>(offset.metadata), offset.metadata_size});
}

kafka::ConfPtr consumer_conf(const Config& config, const kafka::Complain& complain) {
  kafka::ConfPtr conf(rd_kafka_conf_new());
  const std::pair<const char*, std::string> kOurs[] = {
      {"bootstrap.servers", kafka::joined(config.brokers)},
      {"client.id", "fffa"},
      {"client.software.name", "fffa"},
      {"group.id", config.group},
      {"enable.auto.commit", "false"},
      {"enable.auto.offset.store", "false"},
      {"enable.partition.eof", "true"},
      // A new group begins with what is there: nothing is passed over untold.
      {"auto.offset.reset", "earliest"},
      // Who joins or leaves moves as few partitions as possible: what was not committed of one that moves is read
      // twice.
      {"partition.assignment.strategy", "cooperative-sticky"},
      // New topics and partitions are seen within this.
      {"topic.metadata.refresh.interval.ms", "10000"},
      {"queued.max.messages.kbytes", "16384"},
      // A broker that hangs is noticed within this.
      {"socket.timeout.ms", "10000"},
  };
  for (const auto& [property, value] : kOurs) kafka::set_property(conf.get(), "group", property, value, complain);
  kafka::set_properties(conf.get(), config.librdkafka, kRefused, complain);
  const auto reset = config.librdkafka.find("auto.offset.reset");
  if (reset != config.librdkafka.end() && reset->second.reveal() == "error")
    complain("librdkafka.auto.offset.reset", "`error` ends the reading of a partition: `earliest` or `latest`");
  return conf;
}

kafka::ConfPtr producer_conf(const Config& config) {
  kafka::ConfPtr conf(rd_kafka_conf_new());
  const auto ignore = [](const auto&, const auto&) {};
  const std::pair<const char*, std::string> kOurs[] = {{"bootstrap.servers", kafka::joined(config.brokers)},
                                                       {"client.id", "fffa"},
                                                       {"client.software.name", "fffa"},
                                                       // A letter may come twice. An idempotent producer may break
                                                       // for good, and the offsets would stay where they are.
                                                       {"enable.idempotence", "false"},
                                                       // So that what is refused for its size is one letter, and not
                                                       // what was together.
                                                       {"batch.size", "100000"},
                                                       {"message.timeout.ms", "0"}};
  for (const auto& [property, value] : kOurs) kafka::set_property(conf.get(), "brokers", property, value, ignore);
  kafka::Properties shared;
  for (const auto& [property, value] : config.librdkafka) {
    const auto begins = [&property = property](std::string_view prefix) { return property.starts_with(prefix); };
    if (std::ranges::none_of(kConsumers, begins)) shared.emplace(property, value);
  }
  kafka::set_properties(conf.get(), shared, kRefused, ignore);
  return conf;
}

Consumer::Consumer(const Config& config, ConsumerEvents& events, Logger& log, const kafka::Redactor& redact)
    : link_(std::make_shared<Link>()), events_(events), log_(log), redact_(redact) {
  link_->consumer = this;
  auto conf = consumer_conf(config, [](const auto&, const auto&) {});
  set_callbacks(conf.get());
  consumer_ = kafka::make_client(RD_KAFKA_CONSUMER, std::move(conf), redact_);
  fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd_ < 0) {
    const auto error = system_error("make an eventfd");
    rd_kafka_destroy(consumer_);
    throw Failure(error);
  }
  rd_kafka_poll_set_consumer(consumer_);
  queue_ = rd_kafka_queue_get_consumer(consumer_);
  rd_kafka_queue_io_event_enable(queue_, fd_, &kOne, sizeof kOne);
}

Consumer::~Consumer() {
  note_membership();
  rd_kafka_queue_io_event_enable(queue_, -1, nullptr, 0);
  rd_kafka_queue_destroy(queue_);
  {
    const std::lock_guard lock(link_->mutex);
    link_->consumer = nullptr;
  }
  destroy();
  ::close(fd_);
}

// It waits for answers that are under way: where a broker hangs, for as long as a session may last. And where a topic
// was deleted that it had read, librdkafka 2.0 never ends.
void Consumer::destroy() {
  if (would_abort_)
    return log_.debug("librdkafka is left behind: it has joined the group and waits for its first assignment");
  // Otherwise it would wait for a rebalance that nobody hears of.
  const auto end = [consumer = consumer_] { rd_kafka_destroy_flags(consumer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE); };
  const auto done = std::make_shared<std::promise<void>>();
  const auto ended = done->get_future();
  try {
    std::thread([end, done, link = link_] {
      end();
      done->set_value();
    }).detach();
  } catch (const std::system_error&) {  // no more threads
    return end();
  }
  if (ended.wait_for(kDestroyLimit) != std::future_status::ready)
    log_.warning("librdkafka does not end, for a broker does not answer or a topic is gone: it is left behind");
}

void Consumer::set_callbacks(rd_kafka_conf_t* conf) {
  rd_kafka_conf_set_opaque(conf, link_.get());
  rd_kafka_conf_set_rebalance_cb(
      conf, [](rd_kafka_t*, rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t* partitions, void* link) {
        if (auto* const self = static_cast<Link*>(link)->consumer) self->rebalance(error, partitions);
      });
  rd_kafka_conf_set_offset_commit_cb(
      conf, [](rd_kafka_t*, rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t* offsets, void* link) {
        if (auto* const self = static_cast<Link*>(link)->consumer) self->events_.committed(error, offsets);
      });
  rd_kafka_conf_set_error_cb(conf, [](rd_kafka_t*, int error, const char* text, void* link) {
    auto* const self = static_cast<Link*>(link)->consumer;
    if (self == nullptr) return;
    self->events_.troubled(static_cast<rd_kafka_resp_err_t>(error), kafka::settled(self->redact_(text)));
  });
  // The only one that comes on threads of its own.
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t* client, int level, const char*, const char* text) {
    auto* const link = static_cast<Link*>(rd_kafka_opaque(client));
    const std::lock_guard lock(link->mutex);
    if (link->consumer == nullptr) return;
    // Its warnings repeat what error_cb says.
    const auto ours = level < kSyslogWarning ? LogLevel::info : LogLevel::debug;
    auto& log = link->consumer->log_;
    if (log.enabled(ours)) log.log(ours, "librdkafka: " + link->consumer->redact_(text));
  });
}

Result<void> Consumer::subscribe(const std::vector<std::string>& topics) {
  const ListPtr list(rd_kafka_topic_partition_list_new(static_cast<int>(topics.size())));
  for (const auto& topic : topics) rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
  const auto error = rd_kafka_subscribe(consumer_, list.get());
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  return fail(std::string("subscribe to the topics: ") + rd_kafka_err2str(error));
}

MessagePtr Consumer::poll() {
  return MessagePtr(rd_kafka_consumer_poll(consumer_, 0));
}

void Consumer::rest() {
  std::uint64_t count = 0;
  static_cast<void>(::read(fd_, &count, sizeof count));
}

void Consumer::pause(const Partitions& partitions, bool paused) {
  if (partitions.empty()) return;
  const auto list = list_of(partitions);
  if (paused) {
    rd_kafka_pause_partitions(consumer_, list.get());
  } else {
    rd_kafka_resume_partitions(consumer_, list.get());
  }
}

bool Consumer::commit(const Partitions& partitions, bool wait) {
  const auto list = list_of(partitions);
  for (int i = 0; i < list->cnt; ++i) {
    const auto& partition = *partitions[static_cast<std::size_t>(i)];
    list->elems[i].offset = partition.safe();
    set_metadata(list->elems[i], metadata_of(partition.reached()));
  }
  if (!wait) {
    const auto error = rd_kafka_commit(consumer_, list.get(), 1);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) events_.committed(error, list.get());
    return true;
  }
  // A queue of its own: the synchronous call waits for a broker that is away.
  rd_kafka_queue_t* const queue = rd_kafka_queue_new(consumer_);
  const auto told = [](rd_kafka_t*, rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t* offsets, void* self) {
    static_cast<Consumer*>(self)->events_.committed(error, offsets);
  };
  const auto error = rd_kafka_commit_queue(consumer_, list.get(), queue, told, this);
  const bool answered = error != RD_KAFKA_RESP_ERR_NO_ERROR || rd_kafka_queue_poll_callback(queue, kCommitMs) > 0;
  rd_kafka_queue_destroy(queue);
  return answered;
}

std::int64_t Consumer::end(const Partition& partition) const {
  return extent(partition).end;
}

std::int64_t Consumer::lag(const Partition& partition) const {
  const auto [begin, end] = extent(partition);
  const auto at = std::max(partition.safe(), partition.committed());
  return std::max<std::int64_t>(0, end - std::max({at, begin, std::int64_t{0}}));
}

Consumer::Extent Consumer::extent(const Partition& partition) const {
  Extent found{-1, -1};
  const auto error = rd_kafka_get_watermark_offsets(consumer_, partition.topic().c_str(), partition.number(),
                                                    &found.begin, &found.end);
  return error == RD_KAFKA_RESP_ERR_NO_ERROR ? found : Extent{-1, -1};
}

bool Consumer::answers(std::chrono::milliseconds limit) const {
  const rd_kafka_metadata_t* metadata = nullptr;
  const auto error = rd_kafka_metadata(consumer_, 0, nullptr, &metadata, static_cast<int>(limit.count()));
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_metadata_destroy(metadata);
  return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

std::string Consumer::fatal_error() const {
  std::array<char, 512> text{};
  if (rd_kafka_fatal_error(consumer_, text.data(), text.size()) == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  return redact_(text.data());
}

void Consumer::close() {
  note_membership();
  rd_kafka_consumer_close(consumer_);
}

// librdkafka before 2.3 aborts the process when a member is destroyed that has joined a group and had no assignment
// yet (confluentinc/librdkafka#4312).
void Consumer::note_membership() {
  constexpr int kMended = 0x02030000;
  if (rd_kafka_version() >= kMended || assigned_) return;
  char* const id = rd_kafka_memberid(consumer_);
  would_abort_ = would_abort_ || (id != nullptr && *id != '\0');
  rd_kafka_mem_free(consumer_, id);
}

void Consumer::rebalance(rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t* partitions) {
  switch (error) {
    case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS: {
      assigned_ = true;
      would_abort_ = false;
      // Only to say where it begins: the copy keeps librdkafka's own list as it is.
      const ListPtr known(rd_kafka_topic_partition_list_copy(partitions));
      if (partitions->cnt > 0) static_cast<void>(rd_kafka_committed(consumer_, known.get(), kCommittedMs));
      events_.assigned(*known);
      return assign(partitions, true);
    }
    case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS:
      events_.revoked(*partitions, rd_kafka_assignment_lost(consumer_) != 0);
      return assign(partitions, false);
    default: rd_kafka_assign(consumer_, nullptr);
  }
}

void Consumer::assign(rd_kafka_topic_partition_list_t* partitions, bool more) {
  rd_kafka_error_t* error = nullptr;
  if (std::strcmp(rd_kafka_rebalance_protocol(consumer_), "COOPERATIVE") == 0) {
    error = more ? rd_kafka_incremental_assign(consumer_, partitions)
                 : rd_kafka_incremental_unassign(consumer_, partitions);
  } else {
    rd_kafka_assign(consumer_, more ? partitions : nullptr);
  }
  if (error == nullptr) return;
  log_.error(std::string("change the assigned partitions: ") + rd_kafka_error_string(error));
  rd_kafka_error_destroy(error);
}

}  // namespace fffa::kafka_source
