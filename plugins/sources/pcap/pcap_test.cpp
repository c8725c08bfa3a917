// SPDX-License-Identifier: MIT
// The source as a whole, on files made here.
#include "pcap.h"

#include <fcntl.h>
#include <fffa/testing/harness.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <tuple>

#include "capture_builder_test.h"
#include "packet_builder.h"

namespace fffa::pcap {
namespace {

using bpf_test::PacketBuilder;
using testing::Harness;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr TimeNs kSecond = 1'000'000'000;

Bytes tcp(bool reply, std::uint32_t seq, std::uint32_t ack, std::uint8_t flags, std::size_t payload = 0) {
  PacketBuilder builder;
  builder.eth().ipv4(reply ? "10.0.0.1" : "10.0.0.9", reply ? "10.0.0.9" : "10.0.0.1");
  builder.tcp(reply ? 80 : 5000, reply ? 5000 : 80, {.seq = seq, .ack = ack, .flags = flags});
  return builder.payload(payload).build();
}
Bytes arp() {
  return PacketBuilder().eth().raw(Bytes(28)).set16(0, 1).build();
}

class PcapSource : public ::testing::Test {
 protected:
  PcapSource() {
    std::string pattern = ::testing::TempDir() + "pcap_test.XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string file(const Bytes& bytes, const std::string& name = "x.pcap") {
    auto path = (directory_ / name).string();
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return path;
  }
  Result<void> run(const std::string& path, const std::string& options = {}, const testing::SourceRun& script = {}) {
    harness_ = Harness::of<Pcap, Config>("path: " + path + "\n" + options);
    auto result = harness_->run(script);
    batches_ = harness_->take();
    records_.clear();
    seen_ = filtered_ = {};
    for (const auto& batch : batches_) {
      records_.insert(records_.end(), batch.begin(), batch.end());
      for (const auto& status : batch.interfaces) {
        seen_ += status.seen;
        filtered_ += status.filtered;
        EXPECT_EQ(status.lost, Volume{});
      }
    }
    return result;
  }
  Volume reported() const {
    Volume sum;
    for (const auto& record : records_) sum += {record.packets, record.bytes};
    return sum;
  }
  void expect_balance() const {
    Volume sum = reported();
    sum += filtered_;
    EXPECT_EQ(sum, seen_);
  }
  std::string text(Text handle) const { return std::string(harness_->context().texts().view(handle)); }

  std::filesystem::path directory_;
  std::unique_ptr<Harness> harness_;
  std::vector<Batch> batches_;
  std::vector<FlowRecord> records_;
  Volume seen_, filtered_;
};

ClassicFile handshake() {
  return ClassicFile()
      .packet(10, 0, tcp(false, 100, 0, 2))
      .packet(10, 1000, tcp(true, 500, 101, 0x12))
      .packet(10, 1500, tcp(false, 101, 501, 0x10));
}

TEST_F(PcapSource, AConnectionWithoutDirection) {
  ASSERT_TRUE(run(file(handshake().packet(10, 2000, arp()).bytes)).ok());
  ASSERT_EQ(records_.size(), 2u);
  for (const auto& record : records_) {
    EXPECT_EQ(record.direction, Direction::unknown);
    EXPECT_EQ(record.ifindex, 0u);
    EXPECT_EQ(record.interface, Text::null);
    EXPECT_EQ(text(record.host), text(harness_->context().host()));
    EXPECT_EQ(record.handshake_latency_us, 1500u);
    EXPECT_EQ(record.initiator, record.flow.src_port == 5000);
    EXPECT_EQ(record.packets, record.initiator ? 2u : 1u);
  }
  EXPECT_EQ(seen_.packets, 4u);
  EXPECT_EQ(filtered_, (Volume{1, 28}));
  expect_balance();
  EXPECT_EQ(harness_->context().captured_metrics().value("fffa_pcap_packets_total"), 4);
  EXPECT_EQ(harness_->context().captured_metrics().value("fffa_pcap_reasons_total{reason=\"not_ip\"}"), 1);
}

TEST_F(PcapSource, DirectionAndInterfaceFromPcapng) {
  BlockFile made;
  made.interface(1, "ens5");
  made.packet(0, 10'000'000, tcp(false, 100, 0, 2), made.flags(1))
      .packet(0, 10'001'000, tcp(true, 500, 101, 0x12), made.flags(2));
  ASSERT_TRUE(run(file(made.bytes)).ok());
  ASSERT_EQ(records_.size(), 2u);
  EXPECT_EQ(records_[0].direction, Direction::ingress);
  EXPECT_EQ(records_[0].flow.src_port, 5000);
  EXPECT_EQ(records_[1].direction, Direction::egress);
  EXPECT_EQ(text(records_[0].interface), "ens5");
  EXPECT_EQ(text(batches_.back().interfaces.at(0).interface), "ens5");
}

TEST_F(PcapSource, ReadsOutAtEdgesOfPacketTime) {
  ClassicFile made;
  for (const std::uint32_t second : {11, 12, 14, 15, 29, 3600}) made.packet(second, 7, tcp(false, second, 0, 0x10));
  ASSERT_TRUE(run(file(made.bytes), "drain_interval: 5s").ok());
  std::vector<std::tuple<TimeNs, std::uint64_t, std::uint64_t>>
      got;  // watermark, packets in records, and of the interface
  for (const auto& batch : batches_)
    got.emplace_back(batch.watermark, batch.volume().packets, batch.interfaces.at(0).seen.packets);
  const std::vector<std::tuple<TimeNs, std::uint64_t, std::uint64_t>> want = {
      {15 * kSecond, 3, 3}, {20 * kSecond, 1, 1},   {25 * kSecond, 0, 0},
      {30 * kSecond, 1, 1}, {3600 * kSecond, 0, 0}, {3600 * kSecond + 7001, 1, 1}};
  EXPECT_EQ(got, want);
  expect_balance();
}

TEST_F(PcapSource, TimeThatGoesBackLosesNothingAndNoWatermarkDoes) {
  ClassicFile made;
  for (const std::uint32_t second : {5000, 1000, 1006, 5001, 2, 0}) made.packet(second, 0, tcp(false, second, 0, 0x10));
  ASSERT_TRUE(run(file(made.bytes)).ok());
  TimeNs watermark = 0;
  for (const auto& batch : batches_) {
    EXPECT_GE(batch.watermark, watermark);
    watermark = batch.watermark;
    for (const auto& record : batch) EXPECT_LE(record.first_seen, record.last_seen);
  }
  EXPECT_EQ(reported().packets, 6u);
  expect_balance();
}

TEST_F(PcapSource, NanosecondsAreKept) {
  ASSERT_TRUE(run(file(ClassicFile(1, true).packet(10, 123456789, tcp(false, 1, 0, 2)).bytes)).ok());
  EXPECT_EQ(records_.at(0).first_seen, 10 * kSecond + 123456789);
}

TEST_F(PcapSource, SnappedPacketsCountWhole) {
  auto packet = tcp(false, 1, 0, 0x10, 1000);
  const auto length = static_cast<std::uint32_t>(packet.size());
  packet.resize(60);
  ASSERT_TRUE(run(file(ClassicFile().packet(10, 0, packet, length).bytes)).ok());
  EXPECT_EQ(records_.at(0).bytes, 1040u);
}

TEST_F(PcapSource, ATruncatedEndIsSaidAndNothingBeforeItIsLost) {
  auto made = handshake();
  made.bytes.resize(made.bytes.size() - 5);
  ASSERT_TRUE(run(file(made.bytes)).ok());
  EXPECT_EQ(reported().packets, 2u);
  EXPECT_TRUE(harness_->context().captured_log().contains("x.pcap: cut off at byte"));
  EXPECT_TRUE(harness_->context().captured_log().contains("the 2 packets before it are counted"));
}

TEST_F(PcapSource, DamageIsAnErrorAfterWhatCameBefore) {
  auto made = handshake();
  made.bytes.insert(made.bytes.end(), 16, 0xff);
  const auto result = run(file(made.bytes));
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message, HasSubstr("x.pcap: at byte 234: a record that claims"));
  EXPECT_EQ(reported().packets, 3u);
  expect_balance();
}

TEST_F(PcapSource, GzipIsTheSame) {
  ASSERT_TRUE(run(file(gzip(handshake().bytes), "x.pcap.gz")).ok());
  EXPECT_EQ(reported().packets, 3u);
}

TEST_F(PcapSource, WhatCannotBeOpenedFailsAtTheStart) {
  EXPECT_THAT(run(directory_ / "none").error().message, HasSubstr("none: No such file"));
  EXPECT_THAT(run(directory_).error().message, HasSubstr("directory"));
  const auto text = run(file({'h', 'e', 'l', 'l', 'o'}));
  EXPECT_THAT(text.error().message, HasSubstr("neither pcap nor pcapng"));
  EXPECT_THAT(text.error().message, Not(HasSubstr("counted")));
}

TEST_F(PcapSource, AFileThatMayNotBeReadIsNoMissingPrivilege) {
  const auto path = file(handshake().bytes);
  ASSERT_EQ(::chmod(path.c_str(), 0), 0);
  const bool root = ::geteuid() == 0;
  ASSERT_EQ(root ? ::seteuid(65534) : 0, 0);
  const auto opened = FileInput::open(path);
  ASSERT_EQ(root ? ::seteuid(0) : 0, 0);
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().message, HasSubstr("Permission denied"));
  EXPECT_EQ(opened.error().disposition, Disposition::fatal);
}

TEST_F(PcapSource, ATableThatIsTooSmallLosesNothing) {
  ClassicFile made;
  for (std::uint32_t i = 0; i < 5000; ++i) {
    PacketBuilder builder;
    builder.eth().ipv4("10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250), "10.1.0.1").udp(7, 8);
    made.packet(10, i, builder.build());
  }
  ASSERT_TRUE(run(file(made.bytes), "table_size: 64").ok());
  EXPECT_EQ(reported().packets, 5000u);
  EXPECT_EQ(records_.size(), 5000u);
  EXPECT_GT(harness_->context().captured_metrics().value("fffa_pcap_evicted_total"), 4000);
  expect_balance();
}

TEST_F(PcapSource, ManyRecordsComeInSeveralBatchesWithOneNewWatermark) {
  ClassicFile made;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    PacketBuilder builder;
    builder.eth().ipv4("10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250), "10.1.0.1").udp(7, 8);
    made.packet(10, i, builder.build());
  }
  ASSERT_TRUE(run(file(made.bytes)).ok());
  ASSERT_GT(batches_.size(), 2u);
  for (std::size_t i = 0; i + 1 < batches_.size(); ++i) EXPECT_EQ(batches_[i].watermark, 0);
  EXPECT_EQ(batches_.back().watermark, 10 * kSecond + 9999 * 1000 + 1);
}

// Of a run that is abandoned after so many batches.
class AbandonedOutput final : public Output {
 public:
  explicit AbandonedOutput(std::size_t taken) : left_(taken) {}
  bool emit(Batch batch, Acknowledge) override {
    for (const auto& record : batch) reported += {record.packets, record.bytes};
    for (const auto& status : batch.interfaces) {
      seen += status.seen;
      filtered += status.filtered;
    }
    if (left_ == 0) return false;
    --left_;
    return true;
  }
  bool ready() const override { return true; }
  bool wait(std::chrono::nanoseconds, int) override { return !stopping(); }
  bool stopping() const override { return left_ == 0; }
  bool settle() override { return false; }
  Volume reported, seen, filtered;

 private:
  std::size_t left_;
};

TEST_F(PcapSource, AbandonedItTellsAllThatItCounted) {
  ClassicFile made;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    PacketBuilder builder;
    builder.eth().ipv4("10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250), "10.1.0.1").udp(7, 8);
    made.packet(10 + i / 5000, i, i % 100 == 0 ? arp() : builder.build());
  }
  Config config;
  config.path = file(made.bytes);
  config.drain_interval = std::chrono::seconds(1);
  config.table_size = 4096;  // some are reported when others want their place
  for (const std::size_t batches : {1, 2, 5, 9}) {
    testing::TestContext context("in", "pcap");
    Pcap source(config, context);
    ASSERT_TRUE(source.start().ok());
    AbandonedOutput output(batches);
    ASSERT_TRUE(source.run(output).ok());
    EXPECT_GT(output.seen.packets, 1000u);
    EXPECT_EQ(static_cast<double>(output.seen.packets), context.captured_metrics().value("fffa_pcap_packets_total"));
    output.reported += output.filtered;
    EXPECT_EQ(output.reported, output.seen) << batches << " batches";
  }
}

TEST_F(PcapSource, RealtimeKeepsThePausesAndStopsAtOnce) {
  ClassicFile made;
  for (const std::uint32_t second : {100, 103, 117, 4000}) made.packet(second, 0, tcp(false, second, 0, 0x10));
  testing::SourceRun script;
  script.stop_after = std::chrono::seconds(60);
  ASSERT_TRUE(run(file(made.bytes), "pace: realtime", script).ok());
  EXPECT_EQ(reported().packets, 3u) << "the fourth comes in an hour";
  EXPECT_GE(batches_.size(), 3u) << "edges pass while it waits";
  expect_balance();
}

TEST_F(PcapSource, APipeThatDripsAndStaysOpen) {
  const auto path = (directory_ / "pipe").string();
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&] {
    std::ofstream pipe(path, std::ios::binary);
    for (const auto byte : handshake().bytes) pipe.put(static_cast<char>(byte)).flush();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  });
  ASSERT_TRUE(run(path).ok());
  writer.join();
  EXPECT_EQ(reported().packets, 3u);
}

// Opens the pipe, if the source has not been stopped by then, so that a source that hangs fails the test at last.
class Rescue {
 public:
  explicit Rescue(std::string path) : thread_([this, path = std::move(path)] { watch(path); }) {}
  ~Rescue() {
    done_ = true;
    thread_.join();
  }
  bool was_needed() const { return needed_; }

 private:
  void watch(const std::string& path) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!done_ && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (done_) return;
    needed_ = true;
    const std::ofstream pipe(path);
  }
  std::atomic<bool> done_ = false, needed_ = false;
  std::thread thread_;
};

TEST_F(PcapSource, StopsWhileNobodyHasOpenedThePipe) {
  const auto path = (directory_ / "pipe").string();
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  testing::SourceRun script;
  script.stop_after = std::chrono::seconds(3);
  const Rescue rescue(path);
  EXPECT_TRUE(run(path, {}, script).ok());
  EXPECT_FALSE(rescue.was_needed());
  EXPECT_EQ(reported().packets, 0u);
}

TEST_F(PcapSource, StopsWhileAPipeDrips) {
  const auto path = (directory_ / "pipe").string();
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::atomic<bool> done = false;
  std::thread writer([&] {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    auto bytes = handshake().bytes;
    append(bytes, ByteWriter(false).u32(11).u32(0).u32(200'000).u32(200'000).bytes());
    for (std::size_t i = 0; !done && std::chrono::steady_clock::now() < until; ++i) {
      const std::uint8_t byte = i < bytes.size() ? bytes[i] : 0;  // of a record that takes minutes
      EXPECT_EQ(::write(fd, &byte, 1), 1);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_TRUE(done);
    ::close(fd);
  });
  testing::SourceRun script;
  script.give_up = std::chrono::seconds(20);
  script.stop_after = std::chrono::seconds(400);
  script.on_wait = [&] { harness_->advance(std::chrono::seconds(1)); };  // of which there is one for every byte
  EXPECT_TRUE(run(path, {}, script).ok());
  done = true;
  writer.join();
  EXPECT_EQ(reported().packets, 3u);
  EXPECT_FALSE(harness_->context().captured_log().contains("cut off"));
}

// No packet in many bytes: only who reads them can notice that it is to stop.
TEST_F(PcapSource, StopsAmongBlocksThatArePassedOver) {
  BlockFile made;
  made.interface(1);
  for (const std::uint64_t second : {10, 20}) made.packet(0, second * 1'000'000, tcp(false, 1, 0, 0x10));
  const auto blocks_begin = made.bytes.size();
  made.block(77, Bytes(64));
  const Bytes block(made.bytes.begin() + static_cast<std::ptrdiff_t>(blocks_begin), made.bytes.end());
  while (made.bytes.size() < 8 * Window::kSize) append(made.bytes, block);
  made.packet(0, 20'000'001, tcp(false, 1, 0, 0x10));
  const auto path = file(made.bytes);
  ASSERT_TRUE(run(path).ok());
  EXPECT_EQ(reported().packets, 3u);
  testing::SourceRun script;
  script.stop_after_batches = 1;
  ASSERT_TRUE(run(path, {}, script).ok());
  EXPECT_EQ(reported().packets, 2u);
  expect_balance();
  EXPECT_FALSE(harness_->context().captured_log().contains("cut off"));
}

TEST(Progress, Line) {
  EXPECT_EQ(progress_line("x.pcap", 500'000, 2'000'000, 77), "x.pcap:  25 %, 0.5 of 2.0 MB, 77 packets");
  EXPECT_EQ(progress_line("standard input", 1'500'000, 0, 3), "standard input: 1.5 MB, 3 packets");
  EXPECT_EQ(progress_line("a\x1b[2J", 0, 0, 0), "a?[2J: 0.0 MB, 0 packets");
}

}  // namespace
}  // namespace fffa::pcap
