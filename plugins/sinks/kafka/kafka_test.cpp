// SPDX-License-Identifier: MIT
// The sink against librdkafka's own brokers, which answer as they are told. tests/kafka has the real one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
// after it
#include <librdkafka/rdkafka_mock.h>

#include <condition_variable>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "fffa/testing/harness.h"
#include "fffa/testing/records.h"
#include "kafka_sink.h"

namespace fffa::kafka {
namespace {

using namespace std::chrono_literals;
using fffa::testing::Harness;
using fffa::testing::kTestStart;
using fffa::testing::sample_batch;
using fffa::testing::TestContext;
using ::testing::HasSubstr;

constexpr std::int16_t kProduce = 0, kInitProducerId = 22;

struct Seen {  // a message, as a consumer gets it
  std::string key, payload;
  std::map<std::string, std::string> headers;
};

std::map<std::string, std::string> headers_of(const rd_kafka_message_t* message) {
  std::map<std::string, std::string> all;
  rd_kafka_headers_t* headers = nullptr;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return all;
  for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i)
    EXPECT_TRUE(all.try_emplace(name, std::string(static_cast<const char*>(value), size)).second) << "twice: " << name;
  return all;
}

class Brokers {
 public:
  Brokers() {
    std::array<char, 256> error{};
    host_ = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), error.data(), error.size());
    cluster_ = rd_kafka_mock_cluster_new(host_, 1);
    rd_kafka_mock_topic_create(cluster_, "flows", 4, 1);
    rd_kafka_mock_topic_create(cluster_, "dead", 1, 1);
  }
  Brokers(const Brokers&) = delete;
  Brokers& operator=(const Brokers&) = delete;
  ~Brokers() {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(host_);
  }
  std::string address() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }
  void down() { rd_kafka_mock_broker_set_down(cluster_, 1); }
  void up() { rd_kafka_mock_broker_set_up(cluster_, 1); }
  void answer(std::int16_t request, std::vector<rd_kafka_resp_err_t> errors) {
    rd_kafka_mock_push_request_errors_array(cluster_, request, errors.size(), errors.data());
  }
  void answer_rightly(std::int16_t request) { rd_kafka_mock_clear_request_errors(cluster_, request); }
  // One answer, with a delay.
  void answer_late(std::int16_t request, rd_kafka_resp_err_t error, int ms) {
    rd_kafka_mock_broker_push_request_error_rtts(cluster_, 1, request, 1, error, ms);
  }
  std::vector<Seen> read(const std::string& topic, std::size_t count);
  // Of the records there, each once: read until there are `count`.
  std::set<std::string> sequences(const std::string& topic, std::size_t count) {
    std::set<std::string> all;
    for (std::size_t more = count; all.size() < count && more < 20 * count; more += count) {
      const auto there = read(topic, more);
      for (const auto& message : there) all.insert(message.headers.at("sequence"));
      if (there.size() < more) break;
    }
    return all;
  }

 private:
  rd_kafka_t* host_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

std::vector<Seen> Brokers::read(const std::string& topic, std::size_t count) {
  auto* const conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", address().c_str(), nullptr, 0);
  rd_kafka_conf_set(conf, "group.id", "test", nullptr, 0);
  rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", nullptr, 0);
  auto* const consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, nullptr, 0);
  auto* const partitions = rd_kafka_topic_partition_list_new(4);
  for (int i = 0; i < (topic == "flows" ? 4 : 1); ++i)
    rd_kafka_topic_partition_list_add(partitions, topic.c_str(), i)->offset = RD_KAFKA_OFFSET_BEGINNING;
  rd_kafka_assign(consumer, partitions);
  rd_kafka_topic_partition_list_destroy(partitions);
  std::vector<Seen> all;
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (all.size() < count && std::chrono::steady_clock::now() < deadline) {
    auto* const message = rd_kafka_consumer_poll(consumer, 100);
    if (message == nullptr) continue;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
      all.push_back({std::string(static_cast<const char*>(message->key), message->key_len),
                     std::string(static_cast<const char*>(message->payload), message->len), headers_of(message)});
    rd_kafka_message_destroy(message);
  }
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
  return all;
}

// What became of a batch.
struct Told {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Result<void>> result;
};
class Watched final : public Completion::State {
 public:
  explicit Watched(std::shared_ptr<Told> told) : told_(std::move(told)) {}
  void complete(Result<void> result) noexcept override {
    const std::lock_guard lock(told_->mutex);
    told_->result = std::move(result);
    told_->changed.notify_all();
  }

 private:
  std::shared_ptr<Told> told_;
};

class KafkaSink : public ::testing::Test {
 protected:
  // `options`: lines of YAML besides brokers and topic.
  void start(const std::string& options = {}, const std::string& properties = {}) {
    static constexpr StageType kType = stage_type<Kafka, Config>("kafka", "under test");
    const std::string yaml = "brokers: ['" + brokers_.address() + "']\ntopic: flows\n" + options +
                             "\nlibrdkafka: {retry.backoff.ms: 10, reconnect.backoff.max.ms: 200" + properties + "}\n";
    sink_.reset();
    const auto node = fffa::testing::parse_config(yaml);
    ASSERT_TRUE(node.ok()) << node.error().message;
    auto made = kType.create(*node, context_);
    ASSERT_TRUE(made.ok()) << made.error().message;
    sink_ = std::move(*made);
  }
  std::shared_ptr<Told> offer(const std::shared_ptr<const Batch>& batch) {
    auto told = std::make_shared<Told>();
    static_cast<AsyncSink&>(*sink_).write(batch, Completion(std::make_unique<Watched>(told)));
    return told;
  }
  // What the sink says of it, within 10 s; its timer ticks meanwhile.
  Result<void> outcome(const std::shared_ptr<Told>& told) {
    for (int i = 0; i < 100; ++i) {
      {
        std::unique_lock lock(told->mutex);
        if (told->changed.wait_for(lock, 100ms, [&] { return told->result.has_value(); })) return *told->result;
      }
      context_.advance(100ms);
    }
    return fail("nothing was said");
  }
  // Within 10 s, in which the sink's timer ticks and its background work is done.
  bool wait_for(const std::function<bool()>& there) {
    for (int i = 0; i < 100 && !there(); ++i) {
      std::this_thread::sleep_for(100ms);
      context_.advance(200ms);
      context_.run_pending();
    }
    return there();
  }
  Result<void> write(const std::shared_ptr<const Batch>& batch) { return outcome(offer(batch)); }
  Result<void> write_until_taken(const std::shared_ptr<const Batch>& batch) {
    Result<void> result = fail("not tried");
    for (int i = 0; i < 20 && !result.ok(); ++i) {
      result = write(batch);
      context_.run_pending();
    }
    return result;
  }
  std::shared_ptr<const Batch> batch(std::size_t records) {
    auto made = sample_batch(context_, records, kTestStart);
    for (auto& record : made.records) record.sequence = ++sequence_;
    return std::make_shared<const Batch>(std::move(made));
  }
  double metric(const std::string& series) { return context_.captured_metrics().value(series); }

  Brokers brokers_;
  TestContext context_;
  std::unique_ptr<Stage> sink_;
  std::uint64_t sequence_ = 0;
};

TEST_F(KafkaSink, RecordsArriveAsJsonKeyedByCommunityId) {
  start();
  const auto sent = batch(100);
  ASSERT_TRUE(write(sent).ok());
  const auto json = make_json_format(context_.texts());
  std::vector<std::pair<std::string, std::string>> expected;
  for (const auto& record : *sent) {
    std::string line;
    json->append(record, line);
    line.pop_back();
    char key[31];
    expected.emplace_back(std::string(key, community_id(record.flow, key)), line);
  }
  std::vector<std::pair<std::string, std::string>> there;
  for (auto& message : brokers_.read("flows", 100)) there.emplace_back(message.key, message.payload);
  std::ranges::sort(there);
  std::ranges::sort(expected);
  EXPECT_TRUE(there == expected);
}

TEST_F(KafkaSink, ProtobufToo) {
  start("format: protobuf\ncompression: none");
  const auto sent = batch(3);
  ASSERT_TRUE(write(sent).ok());
  std::string first;
  make_protobuf_format(context_.texts())->append(sent->records[0], first);
  EXPECT_THAT(brokers_.read("flows", 3), ::testing::Contains(::testing::Field(&Seen::payload, first)));
}

// Headers are used again by later batches, which may be of another host.
TEST_F(KafkaSink, HeadersAreTheRecords) {
  start("headers: [sequence, schema, host]");
  for (const auto* host : {"one", "one", "other"}) {
    auto sent = *batch(30);
    for (auto& record : sent.records) record.host = context_.texts().intern(host);
    ASSERT_TRUE(write(std::make_shared<const Batch>(std::move(sent))).ok());
  }
  const auto there = brokers_.read("flows", 90);
  ASSERT_EQ(there.size(), 90u);
  for (const auto& message : there) {
    const auto record = nlohmann::json::parse(message.payload);
    const std::map<std::string, std::string> expected = {
        {"host", record["host"]}, {"sequence", record["sequence"].dump()}, {"schema", "fffa.v3.Flow+json"}};
    EXPECT_EQ(message.headers, expected);
  }
}

TEST_F(KafkaSink, NoHeaders) {
  start("headers: []");
  ASSERT_TRUE(write(batch(3)).ok());
  for (const auto& message : brokers_.read("flows", 3)) EXPECT_TRUE(message.headers.empty());
}

TEST_F(KafkaSink, ManyBatchesAreInTheAirAtOnce) {
  start("", ", linger.ms: 300");
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::shared_ptr<Told>> told;
  for (int i = 0; i < 20; ++i) told.push_back(offer(batch(10)));
  for (const auto& each : told) EXPECT_TRUE(outcome(each).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
  EXPECT_EQ(brokers_.read("flows", 200).size(), 200u);
}

TEST_F(KafkaSink, AnEmptyBatchIsDone) {
  start();
  EXPECT_TRUE(write(batch(0)).ok());
}

TEST_F(KafkaSink, ErrorsThatPassAreNotSeen) {
  start();
  brokers_.answer(kProduce, {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS});
  EXPECT_TRUE(write(batch(10)).ok());
  EXPECT_EQ(brokers_.read("flows", 10).size(), 10u);
}

// The records wait in librdkafka; the host is told to ask again, and gets its answer when they have arrived, once.
TEST_F(KafkaSink, BrokersAway) {
  start();
  ASSERT_TRUE(write(batch(1)).ok());
  brokers_.down();
  const auto sent = batch(50);
  const auto failed = write(sent);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().disposition, Disposition::retry);
  EXPECT_THAT(failed.error().message, HasSubstr("deliver to Kafka: "));
  brokers_.up();
  EXPECT_TRUE(write_until_taken(sent).ok());
  EXPECT_EQ(brokers_.read("flows", 51).size(), 51u);
}

// Nobody offers records: health says it all the same, and that it is over.
TEST_F(KafkaSink, BrokersAwayWhileIdle) {
  start();
  ASSERT_TRUE(write(batch(1)).ok());
  brokers_.down();
  EXPECT_TRUE(wait_for([&] { return !context_.degraded_reason().empty(); }));
  EXPECT_THAT(context_.degraded_reason(), HasSubstr("no broker answers: "));
  brokers_.up();
  EXPECT_TRUE(wait_for([&] { return context_.degraded_reason().empty(); }));
}

// The broker takes them and its answer comes too late: sent again, they may be there twice, and none is missing.
TEST_F(KafkaSink, AnswersThatComeTooLate) {
  start("", ", socket.timeout.ms: 300, message.send.max.retries: 100");
  for (int i = 0; i < 3; ++i) brokers_.answer_late(kProduce, RD_KAFKA_RESP_ERR_NO_ERROR, 900);
  const auto sent = batch(50);
  ASSERT_TRUE(write_until_taken(sent).ok());
  EXPECT_EQ(brokers_.sequences("flows", 50).size(), 50u);
}

TEST_F(KafkaSink, TimedOutAtTheBroker) {
  start();
  brokers_.answer(kProduce, std::vector(6, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT));
  ASSERT_TRUE(write_until_taken(batch(50)).ok());
  EXPECT_EQ(brokers_.sequences("flows", 50).size(), 50u);
}

// Either librdkafka begins a new series by itself, or it breaks, and the host makes the sink anew.
TEST_F(KafkaSink, OutOfOrderLosesNothing) {
  start();
  ASSERT_TRUE(write(batch(10)).ok());
  for (const auto error : {RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
                           RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH}) {
    brokers_.answer(kProduce, std::vector(4, error));
    const auto sent = batch(40);
    auto result = write(sent);
    if (!result.ok() && result.error().disposition == Disposition::fatal) {
      EXPECT_THAT(result.error().message, HasSubstr("the Kafka producer broke"));
      brokers_.answer_rightly(kProduce);
      start();
      result = write_until_taken(sent);
    } else if (!result.ok()) {
      result = write_until_taken(sent);
    }
    EXPECT_TRUE(result.ok()) << rd_kafka_err2str(error) << ": " << result.error().message;
  }
  EXPECT_EQ(brokers_.sequences("flows", 130).size(), 130u);
}

TEST_F(KafkaSink, WhatIsRefusedIsSaidAndCountedOnce) {
  start();
  brokers_.answer(kProduce, std::vector(4, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED));
  const auto sent = batch(40);
  const auto refusal = write(sent);
  ASSERT_FALSE(refusal.ok());
  EXPECT_EQ(refusal.error().disposition, Disposition::reject);
  EXPECT_THAT(refusal.error().message, HasSubstr("topic `flows`: Broker: Topic authorization failed"));
  EXPECT_EQ(metric("fffa_kafka_refused_records_total{reason=\"authorization\"}"), 40);
  // Allowed by now: only what is missing is sent.
  ASSERT_TRUE(write_until_taken(sent).ok());
  EXPECT_EQ(brokers_.read("flows", 40).size(), 40u);
  EXPECT_EQ(metric("fffa_kafka_refused_records_total{reason=\"authorization\"}"), 40);
}

TEST_F(KafkaSink, OneThatIsTooLargeDoesNotTakeOthersWithIt) {
  start("dead_letter: dead");
  brokers_.answer(kProduce, std::vector(4, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE));
  ASSERT_TRUE(write(batch(40)).ok());
  EXPECT_EQ(brokers_.read("flows", 40).size(), 40u);
  EXPECT_EQ(metric("fffa_kafka_refused_records_total{reason=\"too_large\"}"), 0);
}

TEST_F(KafkaSink, DeadLetters) {
  start("dead_letter: dead");
  brokers_.answer(kProduce, std::vector(4, RD_KAFKA_RESP_ERR_INVALID_RECORD));
  ASSERT_TRUE(write(batch(40)).ok());
  const auto there = brokers_.read("dead", 40);
  EXPECT_EQ(there.size(), 40u);
  for (const auto& message : there) {
    EXPECT_EQ(message.headers.size(), 6u);
    EXPECT_EQ(message.headers.at("topic"), "flows");
    EXPECT_NE(message.headers.at("error"), "");
  }
  EXPECT_EQ(metric("fffa_kafka_dead_letter_records_total"), 40);
  EXPECT_EQ(metric("fffa_kafka_refused_records_total{reason=\"other\"}"), 40);
}

TEST_F(KafkaSink, LibrdkafkasOwnLimitIsARefusal) {
  start("", ", message.max.bytes: 1000");
  const auto refusal = write(batch(2));
  ASSERT_FALSE(refusal.ok());
  EXPECT_EQ(refusal.error().disposition, Disposition::reject);
  EXPECT_EQ(metric("fffa_kafka_refused_records_total{reason=\"too_large\"}"), 2);
}

TEST_F(KafkaSink, AFatalErrorAsksForANewProducer) {
  brokers_.answer(kInitProducerId, {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED});
  start();
  const auto sent = batch(20);
  const auto result = write(sent);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().disposition, Disposition::fatal);
  EXPECT_THAT(result.error().message, HasSubstr("the Kafka producer broke"));
  start();
  EXPECT_TRUE(write(sent).ok());
}

TEST_F(KafkaSink, DestroyedItLetsGoOfWhatIsInTheAir) {
  start();
  brokers_.down();
  const auto told = offer(batch(1000));
  const auto begin = std::chrono::steady_clock::now();
  sink_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
  const auto result = outcome(told);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().disposition, Disposition::retry);
}

TEST(KafkaOptions, AreChecked) {
  const auto start = [](const std::string& yaml) { return Harness::of<Kafka, Config>(yaml); };
  EXPECT_ANY_THROW(start("topic: flows"));
  EXPECT_ANY_THROW(start("brokers: []\ntopic: flows"));
  EXPECT_ANY_THROW(start("brokers: ['a:1,b:1']\ntopic: flows"));
  EXPECT_ANY_THROW(start("brokers: ['a:1']\ntopic: 'x/y'"));
  EXPECT_ANY_THROW(start("brokers: ['a:1']\ntopic: flows\nlibrdkafka: {acks: 1}"));
  EXPECT_ANY_THROW(start("brokers: ['a:1']\ntopic: flows\ndead_letter: '${host}'"));
}

}  // namespace
}  // namespace fffa::kafka
