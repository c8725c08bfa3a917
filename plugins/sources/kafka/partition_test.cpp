// SPDX-License-Identifier: MIT
#include "partition.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace fffa::kafka_source {
namespace {

using namespace std::chrono_literals;

TEST(Offsets, NothingIsSafeBeforeItIsAcknowledged) {
  Partition partition("flows", 3);
  EXPECT_EQ(partition.safe(), Partition::kNone);
  EXPECT_FALSE(partition.to_commit());
  const auto span = partition.add(100);
  EXPECT_EQ(partition.add(101, span), span);
  EXPECT_EQ(partition.position(), 102);
  EXPECT_EQ(partition.safe(), 100);
  EXPECT_EQ(partition.uncommitted(), 2);
  partition.acknowledge(span);
  EXPECT_TRUE(partition.acknowledged());
  EXPECT_EQ(partition.safe(), 102);
  EXPECT_TRUE(partition.to_commit());
  EXPECT_EQ(partition.uncommitted(), 2) << "Kafka does not know yet";
  partition.commit(102, 102);
  EXPECT_FALSE(partition.to_commit());
  EXPECT_EQ(partition.uncommitted(), 0);
}

TEST(Offsets, KafkaIsToldHowFarThePartitionWasReadThoughNothingIsDelivered) {
  Partition partition("flows", 0);
  partition.commit(100, Partition::kNone);
  const auto span = partition.add(100);
  EXPECT_TRUE(partition.to_commit());
  EXPECT_EQ(partition.safe(), 100);
  EXPECT_EQ(partition.reached(), 101);
  partition.commit(100, 101);
  EXPECT_FALSE(partition.to_commit()) << "nothing new";
  partition.add(101, span);
  EXPECT_TRUE(partition.to_commit());
}

TEST(Offsets, WhatAFormerOwnerHadReadStaysKnown) {
  Partition partition("flows", 0);
  partition.commit(100, 200);
  partition.acknowledge(partition.add(100));
  EXPECT_TRUE(partition.to_commit());
  EXPECT_EQ(partition.safe(), 101);
  EXPECT_EQ(partition.reached(), 200);
  partition.commit(101, 200);
  EXPECT_FALSE(partition.to_commit());
}

TEST(Offsets, WhatCannotHaveBeenReadIsForgotten) {
  Partition partition("flows", 0);
  partition.commit(100, 200);
  partition.ends(200);
  EXPECT_EQ(partition.reached(), 200);
  partition.add(100);
  partition.ends(101);
  EXPECT_EQ(partition.reached(), 101);
  EXPECT_TRUE(partition.to_commit());
}

TEST(Offsets, HowFarIsInTheMetadataOfWhatIsCommitted) {
  for (const std::int64_t reached : {std::int64_t{0}, std::int64_t{17}, kFurthest})
    EXPECT_EQ(reached_in(metadata_of(reached)), reached);
  for (const auto* other : {"", "17", "fffa read to ", "fffa read to -1", "fffa read to 1x",
                            "fffa read to 9223372036854775807", "fffa read to 9223372036854775808"})
    EXPECT_EQ(reached_in(other), Partition::kNone) << other;
}

TEST(Offsets, OnlyAContiguousBeginningIsSafe) {
  Partition partition("flows", 0);
  const auto first = partition.add(0), second = partition.add(1), third = partition.add(2);
  partition.acknowledge(third);
  EXPECT_EQ(partition.safe(), 0);
  partition.acknowledge(first);
  EXPECT_EQ(partition.safe(), 1);
  partition.acknowledge(second);
  EXPECT_EQ(partition.safe(), 3);
}

TEST(Offsets, ASpanGrowsOnlyWhileItIsTheNewest) {
  Partition partition("flows", 0);
  const auto first = partition.add(0);
  const auto letter = partition.add(1);  // on a way of its own
  const auto second = partition.add(2, first);
  EXPECT_NE(second, first);
  EXPECT_EQ(partition.add(3, second), second);
  partition.acknowledge(first);
  partition.acknowledge(second);
  EXPECT_EQ(partition.safe(), 1) << "the letter has not arrived";
  partition.acknowledge(letter);
  EXPECT_EQ(partition.safe(), 4);
  EXPECT_NE(partition.add(4, second), second) << "what is acknowledged takes nothing more";
  EXPECT_EQ(partition.safe(), 4);
}

TEST(Offsets, GapsAreNoMessages) {
  Partition partition("flows", 0);
  const auto span = partition.add(10);
  EXPECT_EQ(partition.add(20, span), span);
  partition.acknowledge(span);
  EXPECT_EQ(partition.safe(), 21);
}

TEST(Offsets, ATopicMadeAnewBeginsAgain) {
  Partition partition("flows", 0);
  partition.commit(500, 600);
  const auto span = partition.add(0);
  EXPECT_EQ(partition.uncommitted(), 1);
  EXPECT_EQ(partition.reached(), 1);
  partition.acknowledge(span);
  EXPECT_TRUE(partition.to_commit()) << "else the group would go on at 500 when that is reached";
  partition.commit(partition.safe(), partition.reached());
  EXPECT_FALSE(partition.to_commit());
  EXPECT_EQ(partition.uncommitted(), 0);
}

TEST(Offsets, TwiceAcknowledgedOrUnknownChangesNothing) {
  Partition partition("flows", 0);
  const auto first = partition.add(0), second = partition.add(1);
  partition.acknowledge(first);
  partition.acknowledge(first);
  partition.acknowledge(Partition::kNoSpan);
  partition.acknowledge(second + 1);
  EXPECT_EQ(partition.safe(), 1);
}

// As the source keeps them: an acknowledgement has a weak_ptr.
TEST(Offsets, AnotherAssignmentOfThePartitionIsAnotherObject) {
  auto before = std::make_shared<Partition>("flows", 0);
  const std::weak_ptr<Partition> waiting = before;
  const auto span = before->add(100);
  before.reset();  // revoked
  const auto after = std::make_shared<Partition>("flows", 0);
  EXPECT_EQ(after->add(90), span) << "the number alone would not tell them apart";
  EXPECT_TRUE(waiting.expired());
  EXPECT_EQ(after->safe(), 90);
}

TEST(Offsets, WhateverTheOrderTheSafeOffsetIsTheFirstGap) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    Partition partition("flows", 0);
    std::vector<std::pair<Partition::Id, std::int64_t>> open;
    std::int64_t offset = 0;
    for (int i = 0; i < 100; ++i) {
      if (open.empty() || random() % 3 != 0) {
        open.emplace_back(partition.add(offset), offset);
        ++offset;
      } else {
        const auto at = open.begin() + static_cast<std::ptrdiff_t>(random() % open.size());
        partition.acknowledge(at->first);
        open.erase(at);
      }
      const auto least = std::ranges::min_element(open, {}, [](const auto& one) { return one.second; });
      const auto gap = open.empty() ? offset : least->second;
      ASSERT_EQ(partition.safe(), gap);
    }
  }
}

constexpr TimeNs kSecond = 1'000'000'000, kWall = 1'000'000 * kSecond;

class Time : public ::testing::Test {
 protected:
  Partitions partitions{std::make_shared<Partition>("a", 0), std::make_shared<Partition>("a", 1)};
  std::chrono::nanoseconds now = 100s;
  TimeNs mark() const { return watermark(partitions, kWall, now); }
};

TEST_F(Time, TheSlowestPartitionHoldsIt) {
  EXPECT_EQ(mark(), 0);
  partitions[0]->heard(500 * kSecond, now);
  EXPECT_EQ(mark(), 0) << "the other one has not said anything";
  partitions[1]->heard(300 * kSecond, now);
  EXPECT_EQ(mark(), 300 * kSecond);
  partitions[1]->heard(200 * kSecond, now);
  EXPECT_EQ(mark(), 300 * kSecond) << "it does not go back";
}

TEST_F(Time, AnIdleOneDoesNot) {
  partitions[0]->heard(500 * kSecond, now);
  partitions[1]->at_end(now);
  now += 9s;
  EXPECT_EQ(mark(), 0);
  now += 1s;
  EXPECT_EQ(mark(), 500 * kSecond);
  partitions[1]->heard(400 * kSecond, now);
  EXPECT_EQ(mark(), 400 * kSecond);
}

TEST_F(Time, OneThatIsSilentAndNotAtItsEndHoldsIt) {
  partitions[0]->heard(500 * kSecond, now);
  partitions[1]->heard(300 * kSecond, now);
  now += 60s;
  EXPECT_EQ(mark(), 300 * kSecond);
  partitions[1]->at_end(now);
  EXPECT_EQ(mark(), 500 * kSecond);
  partitions[1]->awake(now);
  EXPECT_EQ(mark(), 300 * kSecond);
}

TEST_F(Time, OneWithoutRecordsIsIdleHoweverManyMessagesComeThatAreNone) {
  partitions[0]->heard(500 * kSecond, now);
  partitions[1]->at_end(now);
  for (int i = 0; i < 10; ++i) {
    now += 1s;
    partitions[1]->heard(0, now);
    EXPECT_EQ(mark(), 0) << "a record may follow";
    partitions[1]->at_end(now);
  }
  EXPECT_EQ(mark(), 500 * kSecond);
}

TEST_F(Time, WhereAllAreIdleItFollowsTheClock) {
  for (const auto& partition : partitions) partition->at_end(now);
  now += 10s;
  EXPECT_EQ(mark(), kWall - 10 * kSecond);
}

TEST_F(Time, AHostOfTheFutureDoesNotTakeItThere) {
  for (const auto& partition : partitions) partition->heard(2 * kWall, now);
  EXPECT_EQ(mark(), kWall + kAhead);
}

TEST_F(Time, WithoutPartitionsItIsNotKnown) {
  partitions.clear();
  EXPECT_EQ(mark(), 0);
}

}  // namespace
}  // namespace fffa::kafka_source
