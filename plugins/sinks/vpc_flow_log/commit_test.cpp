// SPDX-License-Identifier: MIT
// When a batch counts as delivered: once its lines are on disk, many batches at a time, and not before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "../../common/test_files.h"
#include "fffa/testing/context.h"
#include "vpc_flow_log.h"

namespace {
int syncs = 0;          // of files
int syncs_to_fail = 0;  // of those to come
}  // namespace

// In place of the C library's, for this program.
extern "C" int fdatasync(int fd) {
  ++syncs;
  if (syncs_to_fail > 0 && syncs_to_fail-- > 0) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

namespace fffa::vpc_flow_log {
namespace {

using common::testing::files_below;
using common::testing::read_gzip;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr TimeNs kSecond = 1'000'000'000;

struct Answers {
  std::vector<std::string> all;  // in order; empty text: delivered
};

class Told final : public Completion::State {
 public:
  explicit Told(Answers& answers) : answers_(answers) {}
  void complete(Result<void> result) noexcept override {
    answers_.all.push_back(result.ok() ? std::string() : result.error().message);
  }

 private:
  Answers& answers_;
};

struct Commit : ::testing::Test {
  common::testing::TemporaryFolder temporary;
  fffa::testing::TestContext context;
  std::unique_ptr<VpcFlowLog> sink;
  Answers answers;
  std::uint64_t next = 0;

  void SetUp() override {
    std::signal(SIGXFSZ, SIG_IGN);
    start();
  }
  std::filesystem::path directory() const { return temporary.path() / "logs"; }
  void start() {
    sink.reset();
    Config config;
    config.directory = directory();
    sink = std::make_unique<VpcFlowLog>(config, context);
    syncs = syncs_to_fail = 0;
  }
  std::shared_ptr<const Batch> batch(std::size_t records, TimeNs second = 1) {
    Batch b;
    b.watermark = fffa::testing::kTestStart + second * kSecond;
    for (std::size_t i = 0; i < records; ++i, ++next) {
      FlowRecord r;
      r.flow = {{198, 51, 100, 24}, {10, 20, 1, 15}, static_cast<std::uint16_t>(next), 443, 6, 4};
      r.packets = 1;
      r.bytes = 40;
      r.first_seen = r.last_seen = b.watermark - kSecond;
      b.records.push_back(r);
    }
    return std::make_shared<const Batch>(std::move(b));
  }
  void write(const std::shared_ptr<const Batch>& batch) {
    sink->write(batch, Completion(std::make_unique<Told>(answers)));
  }
  // The source ports of all lines, by the number of times that they are there.
  std::vector<int> lines() const {
    std::vector<int> found(next);
    for (const auto& name : files_below(directory())) {
      std::istringstream text(read_gzip(directory() / name));
      std::string line;
      std::getline(text, line);
      while (std::getline(text, line)) {
        std::istringstream fields(line);
        std::string field;
        for (int i = 0; i < 6; ++i) fields >> field;
        ++found.at(static_cast<std::size_t>(std::stoi(field)));
      }
    }
    return found;
  }
  double commits() { return context.captured_metrics().value("fffa_vpc_commits_total"); }
};

TEST_F(Commit, ABatchIsDeliveredWithinASecond) {
  write(batch(10));
  EXPECT_THAT(answers.all, IsEmpty());
  EXPECT_EQ(syncs, 0);
  context.advance(std::chrono::seconds(1));
  EXPECT_THAT(answers.all, ElementsAre(""));
  EXPECT_EQ(syncs, 1);
  context.advance(std::chrono::seconds(60));
  EXPECT_EQ(syncs, 1) << "nothing new: nothing is synced";
}

TEST_F(Commit, ManyBatchesShareASync) {
  for (int i = 0; i < 320; ++i) write(batch(20));
  EXPECT_THAT(answers.all, SizeIs(320));
  EXPECT_EQ(syncs, 10);
  EXPECT_EQ(commits(), 10);
}

TEST_F(Commit, ManyRecordsDoNotWait) {
  write(batch(32767));
  EXPECT_THAT(answers.all, IsEmpty());
  write(batch(1));
  EXPECT_THAT(answers.all, ElementsAre("", ""));
  EXPECT_EQ(syncs, 1);
}

TEST_F(Commit, WhenAsked) {
  write(batch(10));
  sink->flush();
  EXPECT_THAT(answers.all, ElementsAre(""));
  write(batch(10));
  ASSERT_TRUE(sink->close().ok());
  EXPECT_THAT(answers.all, ElementsAre("", ""));
}

TEST_F(Commit, EmptyBatchesAreDeliveredToo) {
  write(batch(0));
  write(batch(0));
  context.advance(std::chrono::seconds(1));
  EXPECT_THAT(answers.all, ElementsAre("", ""));
  EXPECT_EQ(syncs, 0);
  EXPECT_EQ(commits(), 0);
}

// fdatasync() fails once: the kernel may have dropped what it could not write, so it is written once more.
TEST_F(Commit, WhatCouldNotBeSyncedIsWrittenAgain) {
  const auto first = batch(10), second = batch(10);
  write(first);
  sink->flush();
  write(second);
  syncs_to_fail = 1;
  sink->flush();
  ASSERT_THAT(answers.all, ElementsAre("", HasSubstr("sync ")));
  // the kernel forgets
  const auto part = directory() / files_below(directory()).at(0);
  const auto size = std::filesystem::file_size(part);
  std::filesystem::resize_file(part, size - 20);
  std::filesystem::resize_file(part, size);  // zeros
  write(second);
  EXPECT_THAT(answers.all, ElementsAre("", HasSubstr("sync "), ""));
  ASSERT_TRUE(sink->close().ok());
  EXPECT_EQ(lines(), std::vector<int>(20, 1));
}

// A full disk, as many batches come: each is offered again, and is there once in the end.
TEST_F(Commit, AFailureIsToldToEveryBatchAndNoneIsWrittenTwice) {
  std::vector<std::shared_ptr<const Batch>> batches;
  for (int i = 0; i < 40; ++i) batches.push_back(batch(5));
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit none{0, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &none);
  for (const auto& b : batches) write(b);
  context.advance(std::chrono::seconds(1));
  EXPECT_THAT(answers.all, ::testing::AllOf(SizeIs(40), ::testing::Each(HasSubstr("write "))));
  answers.all.clear();
  write(batches[7]);
  EXPECT_THAT(answers.all, SizeIs(1)) << "it is tried at once, and fails";
  ::setrlimit(RLIMIT_FSIZE, &before);
  answers.all.clear();
  write(batches[3]);
  EXPECT_THAT(answers.all, ElementsAre(""));
  for (std::size_t i = 0; i < batches.size(); ++i) {
    if (i != 3) write(batches[i]);
  }
  EXPECT_THAT(answers.all, ::testing::AllOf(SizeIs(40), ::testing::Each("")));
  ASSERT_TRUE(sink->close().ok());
  EXPECT_EQ(lines(), std::vector<int>(200, 1));
}

TEST_F(Commit, AFileIsSealedWithTheBatchThatEndsItsFiveMinutes) {
  write(batch(10, 299));
  EXPECT_THAT(answers.all, IsEmpty());
  write(batch(0, 300));
  EXPECT_THAT(answers.all, ElementsAre("", ""));
  EXPECT_THAT(files_below(directory()), ElementsAre(::testing::EndsWith(".log.gz")));
}

TEST_F(Commit, WhatCannotBeReclaimedIsTriedAgain) {
  write(batch(10));
  sink->flush();
  const auto part = directory() / files_below(directory()).at(0);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit none{std::filesystem::file_size(part), before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &none);  // the stream's end does not fit behind what is there
  start();
  EXPECT_TRUE(context.captured_log().contains("cannot seal what a killed run left: repair "));
  EXPECT_THAT(files_below(directory()), ElementsAre(::testing::EndsWith(".part")));
  ::setrlimit(RLIMIT_FSIZE, &before);
  context.advance(std::chrono::seconds(31));
  EXPECT_THAT(files_below(directory()), ElementsAre(::testing::EndsWith(".log.gz")));
  EXPECT_EQ(lines(), std::vector<int>(10, 1));
  context.advance(std::chrono::seconds(31));
  EXPECT_THAT(files_below(directory()), SizeIs(1));
}

}  // namespace
}  // namespace fffa::vpc_flow_log
