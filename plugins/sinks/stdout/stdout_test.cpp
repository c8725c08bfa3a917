// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <thread>

#include "fffa/testing/harness.h"
#include "stdout_sink.h"

namespace fffa::standard_output {
namespace {

using fffa::testing::Harness;
using ::testing::HasSubstr;

// Standard output is a pipe while it lives.
class PipedOutput {
 public:
  PipedOutput() {
    std::fflush(stdout);
    saved_ = ::dup(STDOUT_FILENO);
    if (::pipe2(ends_, O_CLOEXEC) != 0) std::abort();
    ::dup2(ends_[1], STDOUT_FILENO);
    ::close(ends_[1]);
  }
  PipedOutput(const PipedOutput&) = delete;
  PipedOutput& operator=(const PipedOutput&) = delete;
  ~PipedOutput() {
    close_writer();
    close_reader();
    ::close(saved_);
  }
  void close_reader() {
    if (ends_[0] >= 0) ::close(std::exchange(ends_[0], -1));
  }
  void close_writer() { ::dup2(saved_, STDOUT_FILENO); }
  std::string read_all() const {
    std::string all(1 << 16, '\0');
    std::string text;
    for (ssize_t n = 0; (n = ::read(ends_[0], all.data(), all.size())) > 0;)
      text.append(all.data(), static_cast<std::size_t>(n));
    return text;
  }

 private:
  int saved_ = -1;
  int ends_[2] = {-1, -1};
};

Batch batch(std::size_t records) {
  Batch b;
  b.records.resize(records);
  for (std::size_t i = 0; i < records; ++i) {
    b.records[i].flow = {{10, 0, 0, 1}, {10, 0, 0, 2}, static_cast<std::uint16_t>(i), 53, 17, 4};
    b.records[i].packets = 1;
    b.records[i].bytes = 76;
    b.records[i].sequence = i;
  }
  return b;
}
std::string written(const std::string& options, const std::vector<Batch>& batches) {
  PipedOutput output;
  auto harness = Harness::of<Stdout, Config>(options);
  for (const auto& b : batches) EXPECT_TRUE(harness->write(b).ok());
  output.close_writer();
  return output.read_all();
}

TEST(Stdout, Json) {
  const auto text = written("", {batch(2), batch(0), batch(1)});
  EXPECT_EQ(std::ranges::count(text, '\n'), 3);
  EXPECT_TRUE(text.starts_with(R"({"version":"3",)"));
}

TEST(Stdout, Ecs) {
  const auto text = written("format: ecs", {batch(2)});
  EXPECT_EQ(std::ranges::count(text, '\n'), 2);
  EXPECT_NE(text.find(R"("source":{"bytes":76,"ip":"10.0.0.1","packets":1,"port":1}})"), std::string::npos) << text;
}

TEST(Stdout, VpcHasOneHeader) {
  EXPECT_EQ(written("format: vpc\nlog_format: '${srcaddr} ${srcport} ${packets}'", {batch(1), batch(1)}),
            "srcaddr srcport packets\n10.0.0.1 0 1\n10.0.0.1 0 1\n");
}

TEST(Stdout, TableIsPlainInAPipe) {
  const auto text = written("format: table", {batch(40)});
  EXPECT_EQ(std::ranges::count(text, '\n'), 41);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(Stdout, ABatchLargerThanThePipeArrivesWhole) {
  for (const bool blocking : {true, false}) {
    PipedOutput output;
    if (!blocking) ::fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
    auto harness = Harness::of<Stdout, Config>();
    std::thread writer([&] {
      EXPECT_TRUE(harness->write(batch(2000)).ok());
      output.close_writer();
    });
    const auto text = output.read_all();
    writer.join();
    EXPECT_EQ(std::ranges::count(text, '\n'), 2000);
  }
}

TEST(Stdout, ABrokenPipeIsCountedAndTheReaderGone) {
  PipedOutput output;
  auto harness = Harness::of<Stdout, Config>();
  output.close_reader();
  const auto result = harness->write(batch(1));
  output.close_writer();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().disposition, Disposition::gone);
  EXPECT_THAT(result.error().message, HasSubstr("standard output: Broken pipe"));
  EXPECT_EQ(harness->context().captured_metrics().value("fffa_stdout_broken_pipes_total"), 1);
}

// What `>&-` comes to: fffa has put something there that cannot be written to.
TEST(Stdout, AClosedOneIsGone) {
  PipedOutput output;
  auto harness = Harness::of<Stdout, Config>();
  const int unwritable = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(unwritable, STDOUT_FILENO);
  ::close(unwritable);
  const auto result = harness->write(batch(1));
  output.close_writer();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().disposition, Disposition::gone);
  EXPECT_THAT(result.error().message, HasSubstr("standard output is closed"));
}

// A full disk behind standard output: the retried batch goes on where it stopped.
TEST(Stdout, ARetryGoesOnWhereItStopped) {
  std::fflush(stdout);
  const int saved = ::dup(STDOUT_FILENO), file = ::open("/tmp", O_TMPFILE | O_RDWR, 0600);
  ASSERT_GE(file, 0);
  auto harness = Harness::of<Stdout, Config>();
  rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  const rlimit small{1000, old.rlim_max};
  ::signal(SIGXFSZ, SIG_IGN);
  ::dup2(file, STDOUT_FILENO);
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto failed = harness->write(batch(10));
  ::setrlimit(RLIMIT_FSIZE, &old);
  const auto again = harness->write(batch(10));
  ::dup2(saved, STDOUT_FILENO);
  ::close(saved);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().disposition, Disposition::retry);
  ASSERT_TRUE(again.ok());
  std::string text(1 << 16, '\0');
  text.resize(static_cast<std::size_t>(::pread(file, text.data(), text.size(), 0)));
  ::close(file);
  EXPECT_EQ(std::ranges::count(text, '\n'), 10);
  EXPECT_EQ(text.find("}{"), std::string::npos);
}

TEST(Stdout, OptionsAreChecked) {
  EXPECT_ANY_THROW((Harness::of<Stdout, Config>("format: xml")));
  EXPECT_ANY_THROW((Harness::of<Stdout, Config>("format: vpc\nlog_format: '${nonsense}'")));
}

}  // namespace
}  // namespace fffa::standard_output
