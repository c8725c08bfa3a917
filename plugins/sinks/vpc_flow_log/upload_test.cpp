// SPDX-License-Identifier: MIT
// From the staging area to a store that answers as the test wants.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <utility>

#include "../../common/aws/http_server.h"
#include "../../common/test_files.h"
#include "fffa/testing/harness.h"
#include "vpc_flow_log.h"

namespace fffa::vpc_flow_log {
namespace {

using aws::testing::HttpServer;
using aws::testing::Request;
using aws::testing::Response;
using common::testing::files_below;
using common::testing::TemporaryFolder;
using common::testing::write_plain;
using fffa::testing::Harness;
using ::testing::_;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Not;
using ::testing::StartsWith;

constexpr TimeNs kSecond = 1'000'000'000;
constexpr const char* kName = "1_vpcflowlogs_us-east-1_fl-0_20260101T0000Z_00000001.log.gz";

Response reply(int status, std::string headers = {}) {
  return {status, "", std::move(headers) + "Content-Length: 0\r\n", {}, {}, false};
}
Response stored() {
  return reply(200, "ETag: \"e\"\r\n");
}

struct Upload : ::testing::Test {
  TemporaryFolder temporary;
  HttpServer store{[](const Request&) { return stored(); }};
  std::unique_ptr<Harness> harness;

  void SetUp() override {
    ::setenv("AWS_ACCESS_KEY_ID", "AKIA", 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", "very-secret", 1);
    for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) ::unsetenv(name);
  }
  std::filesystem::path staging() const { return temporary.path() / "staging"; }
  void start(const std::string& options = {}) {
    harness = Harness::of<VpcFlowLog, Config>("directory: " + staging().string() +
                                              "\nbucket: logs\nendpoint: " + store.url() + "\n" + options);
    harness->run_pending();
  }
  // A file that a run before sealed.
  void leave(const std::string& name, const std::string& folder = "AWSLogs/1") {
    std::filesystem::create_directories(staging() / folder);
    write_plain(staging() / folder / name, "content");
  }
  std::vector<std::string> waiting() const {
    auto names = files_below(staging());
    std::erase(names, ".fffa-upload.lock");
    return names;
  }
  Result<void> write(TimeNs second) {
    Batch batch;
    batch.watermark = fffa::testing::kTestStart + second * kSecond;
    FlowRecord r;
    r.flow = {{198, 51, 100, 24}, {10, 20, 1, 15}, 51514, 443, 6, 4};
    r.packets = 1;
    r.bytes = 40;
    r.first_seen = r.last_seen = batch.watermark - kSecond;
    batch.records.push_back(r);
    return harness->write(batch);
  }
  double metric(const char* series) const { return harness->context().captured_metrics().value(series); }
};

TEST_F(Upload, AFileGoesWhenItIsSealed) {
  start("prefix: a/b\n");
  ASSERT_TRUE(write(60).ok());
  harness->run_pending();
  EXPECT_THAT(store.requests(), IsEmpty()) << "it is written still";
  ASSERT_TRUE(write(360).ok());
  harness->run_pending();
  ASSERT_EQ(store.requests().size(), 1u);
  EXPECT_THAT(store.requests()[0].path,
              StartsWith("/logs/a/b/AWSLogs/unknown/vpcflowlogs/unknown/2026/01/01/unknown_"));
  EXPECT_THAT(waiting(), ElementsAre(HasSubstr(".part")));
  EXPECT_EQ(metric("fffa_s3_uploads_total{outcome=\"stored\"}"), 1);
  EXPECT_EQ(metric("fffa_s3_waiting_files"), 0);
}

TEST_F(Upload, WhatIsThereAtTheStartGoes) {
  leave(kName);
  start();
  EXPECT_EQ(store.requests().at(0).path, std::string("/logs/AWSLogs/1/") + kName);
  EXPECT_EQ(store.requests()[0].body, "content");
  EXPECT_THAT(waiting(), IsEmpty());
}

TEST_F(Upload, FilesWaitWhileTheStoreIsInTrouble) {
  store.set_handler([](const Request&) { return reply(503, "Retry-After: 120\r\n"); });
  leave(kName);
  leave("1_vpcflowlogs_us-east-1_fl-0_20260101T0000Z_00000002.log.gz");
  start();
  EXPECT_EQ(store.requests().size(), 1u) << "the other file would fare no better";
  EXPECT_THAT(harness->context().degraded_reason(), HasSubstr("status 503; 2 files, 14 bytes wait"));
  EXPECT_EQ(metric("fffa_s3_waiting_files"), 2);
  EXPECT_EQ(metric("fffa_s3_waiting_bytes"), 14);
  EXPECT_EQ(metric("fffa_s3_uploads_total{outcome=\"busy\"}"), 1);
  harness->advance(std::chrono::seconds(119));
  ASSERT_TRUE(write(60).ok() && write(360).ok());  // a sealed file more
  harness->run_pending();
  EXPECT_EQ(store.requests().size(), 1u) << "the server said when";
  store.set_handler([](const Request&) { return stored(); });
  harness->advance(std::chrono::seconds(2));
  harness->run_pending();
  EXPECT_EQ(metric("fffa_s3_uploads_total{outcome=\"stored\"}"), 3);
  EXPECT_EQ(harness->context().degraded_reason(), "");
  EXPECT_TRUE(harness->context().captured_log().contains("uploads again"));
  for (const auto& line : harness->context().captured_log().lines())
    EXPECT_THAT(line.message, Not(HasSubstr("secret")));
}

struct BackOff : Upload {
  // Seconds from now to a failing attempt, from that to the next, ...; to 10 ms.
  std::vector<double> pauses(std::size_t count) {
    std::vector<double> seconds;
    double waited = 0;
    for (double failed = busy(); seconds.size() < count && waited < 61; waited += 0.01) {
      if (const double now = busy(); now != failed) {
        failed = now;
        seconds.push_back(std::exchange(waited, 0));
      }
      harness->advance(std::chrono::milliseconds(10));
      harness->run_pending();
    }
    return seconds;
  }
  double busy() const { return metric("fffa_s3_uploads_total{outcome=\"busy\"}"); }
};

TEST_F(BackOff, GrowsUpToABoundWithJitter) {
  store.set_handler([](const Request&) { return reply(503); });
  leave(kName);
  start();
  const auto first = pauses(10);
  start();
  const auto second = pauses(10);
  ASSERT_EQ(first.size(), 10u);
  ASSERT_EQ(second.size(), 10u);
  double most = 0.5;
  for (std::size_t i = 0; i < first.size(); ++i, most = std::min(30.0, 2 * most)) {
    EXPECT_THAT(first[i], AllOf(Ge(most / 2 - 0.02), Le(most + 0.02))) << i;
    EXPECT_THAT(second[i], AllOf(Ge(most / 2 - 0.02), Le(most + 0.02))) << i;
  }
  EXPECT_NE(first, second) << "two processes that failed at once come back at different times";
}

TEST_F(BackOff, BeginsAnewAfterASuccess) {
  store.set_handler([](const Request&) { return reply(503); });
  leave(kName);
  start();
  EXPECT_EQ(pauses(5).size(), 5u);
  store.set_handler([](const Request&) { return stored(); });
  harness->advance(std::chrono::seconds(30));
  harness->run_pending();
  ASSERT_THAT(waiting(), IsEmpty());
  store.set_handler([](const Request&) { return reply(503); });
  leave(kName);
  EXPECT_THAT(pauses(2), ElementsAre(_, AllOf(Ge(0.23), Le(0.52)))) << "the first until it looks again";
}

TEST_F(Upload, AFileThatIsRefusedHoldsNoOtherUp) {
  store.set_handler(
      [](const Request& request) { return request.path.ends_with("00000001.log.gz") ? reply(400) : stored(); });
  leave(kName);
  leave("1_vpcflowlogs_us-east-1_fl-0_20260101T0000Z_00000002.log.gz");
  start();
  EXPECT_THAT(waiting(), ElementsAre(std::string("AWSLogs/1/") + kName));
  EXPECT_THAT(harness->context().degraded_reason(), HasSubstr("status 400"));
}

TEST_F(Upload, OnlySealedFilesOfOursGo) {
  leave(kName);
  leave("." + std::string(kName) + ".copy");
  leave("notes.txt");
  leave("1_vpcflowlogs_x.log.gz", ".hidden");
  leave("1_vpcflowlogs_x.log.gz", "1/2/3/4/5/6/7/8/9");
  write_plain(temporary.path() / "1_vpcflowlogs_secret.log.gz", "outside");
  std::filesystem::create_symlink(temporary.path() / "1_vpcflowlogs_secret.log.gz",
                                  staging() / "1_vpcflowlogs_l.log.gz");
  std::filesystem::create_directory_symlink(temporary.path(), staging() / "link");
  start();
  ASSERT_EQ(store.requests().size(), 1u);
  EXPECT_THAT(store.requests()[0].path, HasSubstr(kName));
}

TEST_F(Upload, FoldersThatHaveLongBeenEmptyGo) {
  std::filesystem::create_directories(staging() / "AWSLogs/old");
  std::filesystem::create_directories(staging() / "AWSLogs/new");
  const timespec long_ago[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (staging() / "AWSLogs/old").c_str(), long_ago, 0), 0);
  start();
  EXPECT_FALSE(std::filesystem::exists(staging() / "AWSLogs/old"));
  EXPECT_TRUE(std::filesystem::exists(staging() / "AWSLogs/new"));
}

TEST_F(Upload, AFullStagingAreaTakesNoMore) {
  store.set_handler([](const Request&) { return reply(503); });
  leave(kName);
  start("max_staging: 7B\n");
  const auto full = write(60);
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().disposition, Disposition::retry);
  EXPECT_THAT(full.error().message, HasSubstr("max_staging"));
  store.set_handler([](const Request&) { return stored(); });
  harness->advance(std::chrono::seconds(1));
  EXPECT_TRUE(write(60).ok());
}

TEST_F(Upload, WhatStaysIsSaid) {
  store.set_handler([](const Request&) { return reply(503); });
  start();
  ASSERT_TRUE(write(60).ok());
  ASSERT_TRUE(harness->close().ok());  // no time is left: close() does not wait
  EXPECT_TRUE(harness->context().captured_log().contains("1 file, "));
  EXPECT_TRUE(harness->context().captured_log().contains(" bytes stay in " + staging().string()));
  ASSERT_EQ(waiting().size(), 1u);
  store.set_handler([](const Request&) { return stored(); });
  start();
  EXPECT_THAT(waiting(), IsEmpty());
}

TEST_F(Upload, OneProcessHasTheLock) {
  std::filesystem::create_directories(staging());
  {
    Staging first(staging());
    ASSERT_TRUE(first.lock().ok());
    EXPECT_TRUE(first.lock().ok());
    leave(kName);
    start();
    EXPECT_THAT(store.requests(), IsEmpty());
    EXPECT_THAT(harness->context().degraded_reason(), HasSubstr("another process"));
  }
  harness->advance(std::chrono::seconds(1));
  EXPECT_EQ(store.requests().size(), 1u);
}

TEST_F(Upload, OptionsAreChecked) {
  const auto errors = [](const std::string& options) -> std::string {
    try {
      Harness::of<VpcFlowLog, Config>("directory: /nonexistent/x\n" + options);
    } catch (const std::exception& failure) {
      return failure.what();
    }
    return {};
  };
  EXPECT_THAT(errors("prefix: x\n"), HasSubstr("there is no `bucket`"));
  EXPECT_THAT(errors("bucket: s3://logs/x\n"), HasSubstr("bucket"));
  EXPECT_THAT(errors("bucket: logs\nprefix: /x\n"), HasSubstr("prefix"));
  for (const char* bad :
       {"logs.example", "ftp://x", "https://", "https://user:password@x", "https://x/path", "http://x?y"})
    EXPECT_THAT(errors(std::string("bucket: logs\nendpoint: \"") + bad + "\"\n"), HasSubstr("is a URL without a path"))
        << bad;
  EXPECT_THAT(errors("bucket: logs\nbucket_region: a.evil\n"), HasSubstr("bucket_region"));
  EXPECT_THAT(errors("addressing: path\n"), HasSubstr("there is no `bucket`"));
  EXPECT_THAT(errors("bucket: a.b\naddressing: virtual\n"), HasSubstr("no certificate fits"));
  for (const char* address : {"http://127.0.0.1:9000", "http://10.0.0.1", "http://[::1]:9000"})
    EXPECT_THAT(errors(std::string("bucket: logs\naddressing: virtual\nendpoint: \"") + address + "\"\n"),
                HasSubstr("cannot stand before an IP address"));
}

}  // namespace
}  // namespace fffa::vpc_flow_log
