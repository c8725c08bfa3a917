// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "../../common/test_files.h"
#include "fffa/testing/harness.h"
#include "file_sink.h"

namespace fffa::file {
namespace {

using common::testing::files_below;
using common::testing::read_gzip;
using common::testing::read_plain;
using fffa::testing::Harness;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr TimeNs kSecond = 1'000'000'000;
constexpr TimeNs kStart = TimeNs{1'767'225'600} * kSecond;  // 2026-01-01 00:00:00

struct Files {
  common::testing::TemporaryFolder temporary;
  std::unique_ptr<Harness> harness;

  explicit Files(const std::string& options = {}, const std::string& name = "flows.json") { start(options, name); }
  void start(const std::string& options, const std::string& name = "flows.json") {
    harness = Harness::of<File, Config>("path: " + (temporary.path() / name).string() + "\n" + options);
  }
  std::vector<std::string> names() const { return files_below(temporary.path()); }
  std::string read(const std::string& name) const { return read_plain(temporary.path() / name); }
};

Batch batch(TimeNs start, std::size_t records = 1) {
  Batch b;
  b.window = {start, start + 60 * kSecond};
  b.watermark = b.window.end;
  b.records.resize(records);
  for (std::size_t i = 0; i < records; ++i) {
    auto& r = b.records[i];
    r.flow = {{10, 0, 0, 1}, {10, 0, 0, 2}, static_cast<std::uint16_t>(i), 53, 17, 4};
    r.packets = 1;
    r.bytes = 76 + i;
    r.sequence = static_cast<std::uint64_t>(start / kSecond) + i;
    r.first_seen = r.last_seen = start;
  }
  return b;
}

TEST(File, OneFileThatAppearsAtTheEnd) {
  Files files;
  ASSERT_TRUE(files.harness->write(batch(kStart, 2)).ok());
  EXPECT_THAT(files.names(), ElementsAre(".flows.json.part"));
  ASSERT_TRUE(files.harness->write(batch(kStart + 60 * kSecond)).ok());
  ASSERT_TRUE(files.harness->close().ok());
  EXPECT_THAT(files.names(), ElementsAre("flows.json"));
  const auto text = files.read("flows.json");
  EXPECT_EQ(std::ranges::count(text, '\n'), 3);
  EXPECT_TRUE(text.starts_with(R"({"version":"3",)"));
}

TEST(File, Ecs) {
  Files files("format: ecs\n");
  const auto written = batch(kStart, 2);
  ASSERT_TRUE(files.harness->write(written).ok());
  ASSERT_TRUE(files.harness->close().ok());
  std::string expected;
  const TextTable texts;
  const auto format = make_ecs_format(texts);
  for (const auto& record : written) format->append(record, expected);
  EXPECT_EQ(files.read("flows.json"), expected);
}

TEST(File, NothingWrittenNoFile) {
  Files files;
  ASSERT_TRUE(files.harness->write(batch(kStart, 0)).ok());
  ASSERT_TRUE(files.harness->close().ok());
  EXPECT_THAT(files.names(), IsEmpty());
}

TEST(File, AnOlderFileIsKept) {
  Files files;
  common::testing::write_plain(files.temporary.path() / "flows.json", "older");
  ASSERT_TRUE(files.harness->write(batch(kStart)).ok());
  ASSERT_TRUE(files.harness->close().ok());
  EXPECT_THAT(files.names(), ElementsAre("flows-1.json", "flows.json"));
  EXPECT_EQ(files.read("flows.json"), "older");
}

TEST(File, WhereEveryNumberIsTakenTheTimeIsAdded) {
  Files files;
  for (int run = 0; run < 102; ++run) {
    ASSERT_TRUE(files.harness->write(batch(kStart, run == 100 ? 7 : 1)).ok());
    ASSERT_TRUE(files.harness->close().ok());
    files.start("");
  }
  EXPECT_EQ(files.names().size(), 102u);
  EXPECT_THAT(files.names(), ::testing::IsSupersetOf({"flows.json", "flows-99.json", "flows-20260101T000000Z.json",
                                                      "flows-20260101T000000Z-1.json"}));
  EXPECT_EQ(std::ranges::count(files.read("flows-20260101T000000Z.json"), '\n'), 7);
  // A killed run's file finds such a name too.
  common::testing::write_plain(files.temporary.path() / ".flows.json.part", "{}\n");
  files.start("");
  EXPECT_EQ(files.read("flows-20260101T000000Z-2.json"), "{}\n");
}

TEST(File, ByTime) {
  Files files("interval: 5m\n");
  for (TimeNs minute = 0; minute < 12; ++minute)
    ASSERT_TRUE(files.harness->write(batch(kStart + minute * 60 * kSecond)).ok());
  ASSERT_TRUE(files.harness->close().ok());
  EXPECT_THAT(files.names(),
              ElementsAre("flows-20260101T000000Z.json", "flows-20260101T000500Z.json", "flows-20260101T001000Z.json"));
  EXPECT_EQ(std::ranges::count(files.read("flows-20260101T000500Z.json"), '\n'), 5);
}

TEST(File, AnEmptyBatchMovesTimeToo) {
  Files files("interval: 1m\n");
  ASSERT_TRUE(files.harness->write(batch(kStart)).ok());
  auto later = batch(kStart + 60 * kSecond, 0);
  ASSERT_TRUE(files.harness->write(later).ok());
  EXPECT_THAT(files.names(), ElementsAre("flows-20260101T000000Z.json"));
}

TEST(File, BySizeWithGzip) {
  Files files("max_size: 5kB\ngzip: true\nformat: vpc\n", "flows.log");
  ASSERT_TRUE(files.harness->write(batch(kStart, 20'000)).ok());
  ASSERT_TRUE(files.harness->close().ok());
  const auto names = files.names();
  ASSERT_GT(names.size(), 2u);
  EXPECT_THAT(names, ::testing::Contains("flows-20260101T000000Z.log.gz"));
  EXPECT_THAT(names, ::testing::Contains("flows-20260101T000000Z-1.log.gz"));
  std::ptrdiff_t lines = 0;
  for (const auto& name : names) {
    const auto text = read_gzip(files.temporary.path() / name);
    EXPECT_TRUE(text.starts_with("version account-id ")) << name;
    lines += std::ranges::count(text, '\n') - 1;
  }
  EXPECT_EQ(lines, 20'000);
}

TEST(File, GzipNameIsNotDoubled) {
  Files files("gzip: true\n", "flows.json.gz");
  ASSERT_TRUE(files.harness->write(batch(kStart)).ok());
  ASSERT_TRUE(files.harness->close().ok());
  EXPECT_THAT(files.names(), ElementsAre("flows.json.gz"));
}

TEST(File, RemovedWhileWriting) {
  Files files;
  ASSERT_TRUE(files.harness->write(batch(kStart, 3)).ok());
  std::filesystem::remove(files.temporary.path() / ".flows.json.part");
  ASSERT_TRUE(files.harness->write(batch(kStart + 60 * kSecond, 2)).ok());
  ASSERT_TRUE(files.harness->close().ok());
  EXPECT_EQ(std::ranges::count(files.read("flows.json"), '\n'), 2);
  EXPECT_EQ(files.harness->context().captured_metrics().value("fffa_file_lines_lost_total"), 3);
  EXPECT_TRUE(files.harness->context().captured_log().contains("removed by others"));
}

// No file of this process may be larger than `bytes`.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST(File, ABatchThatDidNotFitGoesOnWhereItStopped) {
  constexpr std::size_t kRecords = 1000;  // they are written in several parts
  const auto all = batch(kStart, kRecords);
  Files files;
  for (const rlim_t limit : {300'000, 300'001, 900'000}) {
    const FileSizeLimit full(limit);
    const auto refused = files.harness->write(all);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().disposition, Disposition::retry);
  }
  ASSERT_TRUE(files.harness->write(all).ok());
  ASSERT_TRUE(files.harness->close().ok());
  Files whole;
  ASSERT_TRUE(whole.harness->write(all).ok());
  ASSERT_TRUE(whole.harness->close().ok());
  EXPECT_GT(whole.read("flows.json").size(), 1'000'000u);
  EXPECT_TRUE(files.read("flows.json") == whole.read("flows.json"));
}

TEST(File, AKilledRunsFileIsSealedAtTheNextStart) {
  Files files;
  ASSERT_TRUE(files.harness->write(batch(kStart, 3)).ok());
  files.harness->destroy();
  std::ofstream(files.temporary.path() / ".flows.json.part", std::ios::app) << R"({"version":)";
  common::testing::write_plain(files.temporary.path() / ".flows-web.json.part", "another sink's\n");
  files.start("");
  EXPECT_THAT(files.names(), ElementsAre(".flows-web.json.part", "flows.json"));
  EXPECT_EQ(std::ranges::count(files.read("flows.json"), '\n'), 3);
  ASSERT_TRUE(files.harness->write(batch(kStart, 1)).ok());
  ASSERT_TRUE(files.harness->close().ok());
  EXPECT_THAT(files.names(), ElementsAre(".flows-web.json.part", "flows-1.json", "flows.json"));
}

TEST(File, SyncTimer) {
  Files files("sync_interval: 1s\n");
  ASSERT_TRUE(files.harness->write(batch(kStart)).ok());
  files.harness->advance(std::chrono::seconds(3));
  EXPECT_FALSE(files.harness->context().captured_log().contains("cannot sync"));
  ASSERT_TRUE(files.harness->close().ok());
  EXPECT_EQ(files.harness->context().timers(), 0u);
}

TEST(File, OptionsAreChecked) {
  EXPECT_ANY_THROW(Files("format: xml\n"));
  EXPECT_ANY_THROW(Files("interval: 0s\n"));
  EXPECT_ANY_THROW(Files("log_format: nonsense\n"));
  EXPECT_ANY_THROW((Harness::of<File, Config>("path: /tmp/\n")));
}

}  // namespace
}  // namespace fffa::file
