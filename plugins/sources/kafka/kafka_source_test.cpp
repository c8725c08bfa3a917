// SPDX-License-Identifier: MIT
// The source against librdkafka's own brokers. tests/kafka has the real one.
#include "kafka_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
// after it
#include <librdkafka/rdkafka_mock.h>

#include <thread>

#include "fffa/testing/harness.h"
#include "fffa/testing/records.h"

namespace fffa::kafka_source {
namespace {

using namespace std::chrono_literals;
using fffa::testing::Harness;
using fffa::testing::kTestStart;
using ::testing::HasSubstr;

constexpr StageType kType = stage_type<Kafka, Config>("kafka", "under test");

std::string refusal(const std::string& yaml) {
  const auto made = Harness::make(kType, yaml);
  return made.ok() ? "" : made.error().message;
}

TEST(Options, WhatIsWrongIsNamedWithItsPlace) {
  EXPECT_EQ(refusal("{brokers: ['a:1'], topics: [t], group: g}"), "");
  EXPECT_EQ(refusal("{brokers: ['a:1'], topic: t, group: g, format: json}"), "");
  EXPECT_THAT(refusal("{brokers: [], topic: t, group: g}"), HasSubstr("brokers: must not be empty"));
  EXPECT_EQ(refusal("{brokers: ['[2001:db8::1]:9092', 'kafka_1.example:65535'], topic: t, group: g}"), "");
  for (const char* broker : {"a", "a:", "a:0", "a:-1", "a:65536", "a:9o92", ":9092", "::1:9092", "http://a:9092/",
                             "SSL://a:9092", "user:secret@a:9092", "a:1,b:2", "a b:1"})
    EXPECT_THAT(refusal("{brokers: ['" + std::string(broker) + "'], topic: t, group: g}"),
                HasSubstr("brokers[0]: expected one HOST:PORT"))
        << broker;
  EXPECT_THAT(refusal("{brokers: ['a:1'], group: g}"), HasSubstr("topics: either"));
  EXPECT_THAT(refusal("{brokers: ['a:1'], topic: t, topics: [t], group: g}"), HasSubstr("topics: either"));
  EXPECT_THAT(refusal("{brokers: ['a:1'], topics: [t, 'no topic'], group: g}"), HasSubstr("topics[1]"));
  EXPECT_THAT(refusal("{brokers: ['a:1'], topics: ['^all.*'], group: g}"), HasSubstr("topics[0]"));
  EXPECT_THAT(refusal("{brokers: ['a:1'], topics: [t, u, t], group: g}"), HasSubstr("topics[2]: is there twice"));
  EXPECT_THAT(refusal("{brokers: ['a:1'], topic: t}"), HasSubstr("group"));
  EXPECT_THAT(refusal("{brokers: ['a:1'], topic: t, group: ''}"), HasSubstr("group"));
  EXPECT_THAT(refusal("{brokers: ['a:1'], topic: t, group: g, dead_letter: t}"), HasSubstr("dead_letter: is a topic"));
}

TEST(Options, WhatWouldBreakTheGuaranteeIsNotTheUsers) {
  for (const auto* property :
       {"group.id", "enable.auto.commit", "enable.auto.offset.store", "enable.partition.eof", "acks",
        "request.required.acks", "enable.idempotence", "bootstrap.servers", "plugin.library.paths"}) {
    EXPECT_THAT(refusal("{brokers: ['a:1'], topic: t, group: g, librdkafka: {" + std::string(property) + ": true}}"),
                HasSubstr(std::string("librdkafka.") + property))
        << property;
  }
  EXPECT_EQ(refusal("{brokers: ['a:1'], topic: t, group: g, librdkafka: {auto.offset.reset: latest}}"), "");
  EXPECT_THAT(refusal("{brokers: ['a:1'], topic: t, group: g, librdkafka: {auto.offset.reset: error}}"),
              HasSubstr("librdkafka.auto.offset.reset"));
  const auto secret = refusal("{brokers: ['a:1'], topic: t, group: g, librdkafka: {session.timeout.ms: hunter2}}");
  EXPECT_THAT(secret, HasSubstr("librdkafka.session.timeout.ms"));
  EXPECT_THAT(secret, ::testing::Not(HasSubstr("hunter2")));
}

class KafkaSource : public ::testing::Test {
 public:
  ~KafkaSource() override {
    harness_.reset();
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(host_);
  }

 protected:
  KafkaSource() {
    std::array<char, 256> error{};
    host_ = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), error.data(), error.size());
    cluster_ = rd_kafka_mock_cluster_new(host_, 1);
    rd_kafka_mock_topic_create(cluster_, "flows", 1, 1);
    set_up("");
  }

  void set_up(const std::string& more) {
    harness_ =
        Harness::of<Kafka, Config>("{brokers: ['" + brokers() + "'], topic: flows, group: g, format: json, " + more +
                                   "librdkafka: {fetch.wait.max.ms: 10, reconnect.backoff.max.ms: 200, "
                                   "partition.assignment.strategy: range}}");
  }
  void produce(std::size_t records) {
    auto& context = harness_->context();
    const auto format = make_json_format(context.texts());
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < records; ++i) {
      auto record = fffa::testing::sample_record(context, static_cast<std::uint32_t>(i), kTestStart, kTestStart + 1000);
      record.host = context.host();
      format->append(record, texts.emplace_back());
    }
    produce(texts);
  }
  void produce(const std::vector<std::string>& messages) {
    auto* const conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers().c_str(), nullptr, 0);
    rd_kafka_conf_set(conf, "message.max.bytes", "3000000", nullptr, 0);
    auto* const producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0);
    for (const auto& text : messages)
      rd_kafka_producev(producer, RD_KAFKA_V_TOPIC("flows"),
                        RD_KAFKA_V_VALUE(const_cast<char*>(text.data()), text.size()),
                        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    rd_kafka_flush(producer, 10000);
    rd_kafka_destroy(producer);
  }
  // Runs the source until it has put out all of them.
  std::size_t run(Outcome outcome) {
    const auto result = harness_->run({.stop_after_batches = 1, .give_up = 20s, .outcome = outcome, .on_wait = [] {
                                         std::this_thread::sleep_for(1ms);
                                       }});
    EXPECT_TRUE(result.ok()) << result.error().message;
    std::size_t records = 0;
    for (const auto& emitted : harness_->emitted()) records += emitted.batch.size();
    return records;
  }
  // What the group has committed; negative: nothing.
  std::int64_t committed() {
    return as_the_group([](rd_kafka_t* consumer, auto* list) { return rd_kafka_committed(consumer, list, 10000); });
  }
  void commit(std::int64_t offset, const std::string& metadata = "-") {
    as_the_group([&](rd_kafka_t* consumer, auto* list) {
      list->elems[0].offset = offset;
      list->elems[0].metadata = rd_kafka_mem_malloc(nullptr, metadata.size());
      list->elems[0].metadata_size = metadata.copy(static_cast<char*>(list->elems[0].metadata), metadata.size());
      return rd_kafka_commit(consumer, list, 0);
    });
  }
  double metric(const std::string& name) { return harness_->context().captured_metrics().value(name); }

  std::unique_ptr<Harness> harness_;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;

 private:
  template <typename Call>
  std::int64_t as_the_group(const Call& call) {
    auto* const conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers().c_str(), nullptr, 0);
    rd_kafka_conf_set(conf, "group.id", "g", nullptr, 0);
    auto* const consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, nullptr, 0);
    const ListPtr list(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(list.get(), "flows", 0);
    EXPECT_EQ(call(consumer, list.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(consumer);
    return list->elems[0].offset;
  }
  std::string brokers() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }

  rd_kafka_t* host_ = nullptr;
};

TEST_F(KafkaSource, WhatIsDeliveredIsCommitted) {
  produce(10);
  EXPECT_EQ(run(Outcome::delivered), 10U);
  EXPECT_EQ(committed(), 10);
  EXPECT_EQ(metric("fffa_kafka_messages_total"), 10);
  EXPECT_EQ(metric("fffa_kafka_uncommitted_messages_total"), 0);
}

TEST_F(KafkaSource, WhatAConditionLeftOutIsCommitted) {
  produce(10);
  EXPECT_EQ(run(Outcome::filtered), 10U);
  EXPECT_EQ(committed(), 10);
}

TEST_F(KafkaSource, WhatWasGivenUpIsCommittedAndCounted) {
  produce(10);
  EXPECT_EQ(run(Outcome::lost), 10U);
  EXPECT_EQ(committed(), 10);
  EXPECT_EQ(metric("fffa_kafka_lost_messages_total"), 10);
}

TEST_F(KafkaSource, WhatIsHeldIsNotCommitted) {
  produce(10);
  EXPECT_EQ(run(Outcome::held), 10U);
  EXPECT_EQ(committed(), 0);
  EXPECT_EQ(metric("fffa_kafka_uncommitted_messages_total"), 10);
  EXPECT_TRUE(harness_->context().captured_log().contains("flows[0] from 0 to 10"));
}

TEST_F(KafkaSource, WhatAFormerOwnerHadReadAndNotCommittedIsSaidAndCounted) {
  produce(10);
  commit(2, "fffa read to 7");
  EXPECT_EQ(run(Outcome::delivered), 8U);
  EXPECT_EQ(metric("fffa_kafka_reread_messages_total"), 5);
  EXPECT_TRUE(harness_->context().captured_log().contains("flows[0] from 2 to 7: 5 messages, whose records may come"));
}

TEST_F(KafkaSource, WhatAFormerOwnerCannotHaveReadIsNotCounted) {
  produce(10);
  commit(2, "fffa read to 1000000");
  EXPECT_EQ(run(Outcome::delivered), 8U);
  EXPECT_EQ(metric("fffa_kafka_reread_messages_total"), 8) << "no more than there are";
}

TEST_F(KafkaSource, ATopicThatWasMadeAnewIsNotReadAgain) {
  produce(10);
  commit(1000, "fffa read to 2000");
  EXPECT_EQ(run(Outcome::delivered), 10U);
  EXPECT_EQ(metric("fffa_kafka_reread_messages_total"), 0);
}

TEST_F(KafkaSource, AFloodOfDeadLettersThatNobodyTakesIsBoundedAndKeepsNoRecord) {
  rd_kafka_mock_topic_set_error(cluster_, "dead", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  set_up("dead_letter: dead, ");
  produce(1);
  produce(std::vector<std::string>(5000, "no record"));
  EXPECT_EQ(run(Outcome::delivered), 1U);
  EXPECT_EQ(metric("fffa_kafka_messages_total"), 1001);
  EXPECT_EQ(committed(), 1);
}

TEST_F(KafkaSource, ADeadLetterThatIsTooLargeGoesWithoutItsMessage) {
  set_up("dead_letter: dead, ");
  produce({std::string(1'500'000, 'x')});
  produce(1);
  EXPECT_EQ(run(Outcome::delivered), 1U);
  EXPECT_EQ(metric("fffa_kafka_dead_letter_messages_total"), 1);
  EXPECT_EQ(committed(), 2);
}

TEST_F(KafkaSource, ATopicMadeAnewIsReadFromItsBeginning) {
  produce(10);
  commit(500);
  EXPECT_EQ(run(Outcome::delivered), 10U);
  EXPECT_EQ(committed(), 10);
  EXPECT_EQ(metric("fffa_kafka_uncommitted_messages_total"), 0);
}

}  // namespace
}  // namespace fffa::kafka_source
