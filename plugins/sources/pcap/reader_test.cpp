// SPDX-License-Identifier: MIT
#include "reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "capture_builder_test.h"

namespace fffa::pcap {
namespace {

using ::testing::HasSubstr;

struct Read {
  std::vector<Packet> packets;
  std::vector<Bytes> data;
  std::vector<CaptureInterface> interfaces;
  Reader::Next end = Reader::Next::packet;
  std::string error, cut;
};

Read read_from(Input& input) {
  Reader reader(input, "x.pcap");
  Read read;
  Packet packet;
  while ((read.end = reader.next(packet)) == Reader::Next::packet) {
    read.packets.push_back(packet);
    read.data.emplace_back(packet.data, packet.data + packet.captured);
  }
  EXPECT_EQ(reader.next(packet), read.end) << "the same for ever";
  read.interfaces = reader.interfaces();
  read.error = reader.error();
  read.cut = reader.cut();
  return read;
}

Read read_all(const Bytes& bytes) {
  MemoryInput input(bytes);
  return read_from(input);
}

// A byte a time, as a slow pipe may give them.
class Drip final : public Input {
 public:
  explicit Drip(const Bytes& bytes) : bytes_(bytes) {}
  Result<std::size_t> read(std::span<std::uint8_t> into) override {
    if (at_ == bytes_.size()) return std::size_t{0};
    into[0] = bytes_[at_++];
    return std::size_t{1};
  }
  std::uint64_t consumed() const noexcept override { return at_; }

 private:
  const Bytes& bytes_;
  std::size_t at_ = 0;
};

const Bytes kData = {1, 2, 3, 4, 5};

TEST(Reader, ClassicInEitherOrderAndResolution) {
  for (const bool nanoseconds : {false, true}) {
    for (const bool swapped : {false, true}) {
      const auto file = ClassicFile(113, nanoseconds, swapped).packet(7, 5, kData, 99).packet(8, 6, {});
      const auto read = read_all(file.bytes);
      EXPECT_EQ(read.end, Reader::Next::end);
      ASSERT_EQ(read.packets.size(), 2u);
      EXPECT_EQ(read.packets[0].time, 7'000'000'000 + 5 * (nanoseconds ? 1 : 1000));
      EXPECT_EQ(read.data[0], kData);
      EXPECT_EQ(read.packets[0].length, 99u);
      EXPECT_EQ(read.packets[1].captured, 0u);
      EXPECT_EQ(read.interfaces.at(0).link_type, kLinkSll);
      EXPECT_EQ(read.error + read.cut, "");
    }
  }
}

TEST(Reader, TheUpperHalfOfTheLinkTypeIsNoPartOfIt) {
  EXPECT_EQ(read_all(ClassicFile(0x14000001).bytes).interfaces.at(0).link_type, kLinkEthernet);
}

TEST(Reader, SectionsOfEitherOrderAndInterfacesOfManyKinds) {
  BlockFile file;
  file.interface(1, "eth0")
      .interface(101, "tun0")
      .packet(0, 1'000'000, kData, file.flags(1))
      .packet(1, 2'000'000, kData);
  file.section(true).interface(101, "tun0").interface(113).packet(0, 3'000'000, kData, file.flags(2));
  file.packet(1, 4'000'000, kData);
  const auto read = read_all(file.bytes);
  EXPECT_EQ(read.error + read.cut, "");
  ASSERT_EQ(read.packets.size(), 4u);
  ASSERT_EQ(read.interfaces.size(), 3u) << "tun0 is the same in both sections";
  EXPECT_EQ(read.interfaces[0].name, "eth0");
  EXPECT_EQ(read.interfaces[1].link_type, kLinkRaw);
  EXPECT_EQ(read.interfaces[2].link_type, kLinkSll);
  EXPECT_EQ(read.packets[2].interface, 1u);
  EXPECT_EQ(read.packets[3].interface, 2u);
  EXPECT_EQ(read.packets[0].way, Way::in);
  EXPECT_EQ(read.packets[1].way, Way::unknown);
  EXPECT_EQ(read.packets[2].way, Way::out);
  EXPECT_EQ(read.packets[2].time, 3'000'000'000);
}

TEST(Reader, InterfacesOfOneNameInOneSectionAreApart) {
  BlockFile file;
  file.interface(1, "eth0")
      .interface(1, "eth0")
      .packet(1, 1, kData)
      .section(false)
      .interface(1, "eth0")
      .interface(1, "eth0");
  file.packet(0, 1, kData).packet(1, 1, kData);
  const auto read = read_all(file.bytes);
  ASSERT_EQ(read.packets.size(), 3u) << read.error;
  EXPECT_EQ(read.interfaces.size(), 2u);
  EXPECT_EQ(read.packets[0].interface, 1u);
  EXPECT_EQ(read.packets[1].interface, 0u);
  EXPECT_EQ(read.packets[2].interface, 1u);
}

struct TimeCase {
  const char* name;
  Bytes options;  // of the interface
  std::uint64_t units;
  TimeNs time;
};

TEST(Reader, Resolutions) {
  const BlockFile file;
  const auto resolution = [&](std::uint8_t value) { return file.option(9, {value}); };
  const auto offset = [&](std::int64_t value) {
    return file.option(14, ByteWriter(false).u64(static_cast<std::uint64_t>(value)).bytes());
  };
  const auto both = [](Bytes a, const Bytes& b) {
    append(a, b);
    return a;
  };
  const TimeCase cases[] = {
      {"microseconds if not told", {}, 1'000'001, 1'000'001'000},
      {"nanoseconds", resolution(9), 5, 5},
      {"milliseconds", resolution(3), 5, 5'000'000},
      {"seconds", resolution(0), 5, 5'000'000'000},
      {"picoseconds", resolution(12), 5'000, 5},
      {"halves", resolution(0x81), 3, 1'500'000'000},
      {"2^-32", resolution(0x80 | 32), 1ull << 33, 2'000'000'000},
      {"2^-127", resolution(0xff), ~0ull, kEarliest},
      {"10^-127", resolution(127), ~0ull, kEarliest},
      {"beyond what can be told", resolution(0), ~0ull, kLatest},
      {"never 0", {}, 0, kEarliest},
      {"offset", offset(100), 1, 100'000'001'000},
      {"before 1970", offset(-100), 1, kEarliest},
      {"absurd offset", both(offset(INT64_MAX), resolution(0)), ~0ull, kLatest},
      {"absurd offset back", both(offset(INT64_MIN), resolution(0)), 5, kEarliest},
      {"an option of the wrong length is ignored", file.option(9, {9, 9}), 1, 1000},
  };
  for (const auto& c : cases) {
    const auto read = read_all(BlockFile().interface(1, {}, c.options).packet(0, c.units, kData).bytes);
    ASSERT_EQ(read.packets.size(), 1u) << c.name << read.error;
    EXPECT_EQ(read.packets[0].time, c.time) << c.name;
  }
}

TEST(Reader, SimpleAndObsoletePackets) {
  BlockFile file;
  file.interface(1, {}, {}, 4).packet(0, 7'000'000, kData);
  file.block(3, ByteWriter(false).u32(5).raw(kData).pad().bytes());  // simple: cut to the snap length
  file.block(2, ByteWriter(false).u16(0).u16(9).u32(0).u32(8'000'000).u32(5).u32(50).raw(kData).pad().bytes());
  const auto read = read_all(file.bytes);
  ASSERT_EQ(read.packets.size(), 3u) << read.error;
  EXPECT_EQ(read.packets[1].captured, 4u);
  EXPECT_EQ(read.packets[1].length, 5u);
  EXPECT_EQ(read.packets[1].time, 7'000'000'000) << "it has none: that of the packet before";
  EXPECT_EQ(read.packets[2].time, 8'000'000'000);
  EXPECT_EQ(read.packets[2].length, 50u);
}

TEST(Reader, BlocksLargerThanTheWindowArePassedOver) {
  BlockFile file;
  file.interface(1).block(0x0bad, Bytes(3u << 20, 7));
  file.packet(0, 1'000'000, Bytes(3u << 20, 7)).packet(0, 2'000'000, kData);
  const auto read = read_all(file.bytes);
  ASSERT_EQ(read.packets.size(), 2u) << read.error;
  EXPECT_EQ(read.packets[0].length, 3u << 20);
  EXPECT_LT(read.packets[0].captured, Window::kSize);
  EXPECT_EQ(read.data[1], kData);
}

// ---- hostile

struct HostileCase {
  const char* name;
  Bytes bytes;
  std::size_t packets;
  std::string error;  // a part of it; empty: none
  std::string cut;
};

Bytes cut_off(Bytes bytes, std::size_t from_end) {
  bytes.resize(bytes.size() - from_end);
  return bytes;
}
Bytes patched(Bytes bytes, std::size_t at, std::uint8_t value) {
  bytes.at(at) = value;
  return bytes;
}

std::vector<HostileCase> classic_cases() {
  const auto one = ClassicFile().packet(1, 1, kData);
  const auto two = ClassicFile(one).packet(2, 2, kData);
  const std::size_t second = one.bytes.size();
  return {
      {"empty", {}, 0, "is empty", ""},
      {"three bytes", {0xd4, 0xc3, 0xb2}, 0, "neither pcap nor pcapng: it has only 3 bytes", ""},
      {"xz", {0xfd, 0x37, 0x7a, 0x58, 0x5a, 0}, 0, "compressed by xz: decompress it first", ""},
      {"zstd", {0x28, 0xb5, 0x2f, 0xfd, 4}, 0, "compressed by zstd: decompress it first", ""},
      {"bad magic", {1, 2, 3, 4, 5, 6, 7, 8}, 0, "at byte 0: neither pcap nor pcapng", ""},
      {"header only", ClassicFile().bytes, 0, "", ""},
      {"half a header", cut_off(ClassicFile().bytes, 10), 0, "header is cut off", ""},
      {"half a record header", cut_off(two.bytes, 15), 1, "", "of the record at byte 45 only 6 of 16"},
      {"half a record", cut_off(two.bytes, 3), 1, "", "cut off at byte 63"},
      {"huge captured length", patched(two.bytes, second + 11, 0x7f), 1, "at byte 45: a record that claims", ""},
      {"captured beyond the end", patched(two.bytes, second + 9, 1), 1, "", "only 21 of 277 bytes"},
      {"length below what was captured", patched(two.bytes, second + 12, 1), 2, "", ""},
      {"a fraction of more than a second", patched(two.bytes, second + 7, 0xff), 2, "", ""},
  };
}

std::vector<HostileCase> block_cases() {
  const auto start = BlockFile().interface(1);
  const std::size_t at = start.bytes.size();
  const auto two = BlockFile(start).packet(0, 1, kData).packet(0, 2, kData);
  const std::size_t second = at + 40;
  const auto with = [&](std::uint32_t type, const Bytes& body) { return BlockFile(two).block(type, body).bytes; };
  return {
      {"half a section header", cut_off(BlockFile().bytes, 8), 0, "", "only 20 of 28 bytes"},
      {"bad byte-order magic", patched(start.bytes, 8, 0), 0, "at byte 0: a section without", ""},
      {"major version 2", patched(start.bytes, 12, 2), 0, "version 2", ""},
      {"tiny section", patched(start.bytes, 4, 12), 0, "a section header of 12 bytes", ""},
      {"packet before any interface", BlockFile().packet(0, 1, kData).bytes, 0, "at byte 28: a packet of interface 0",
       ""},
      {"simple packet before any interface", BlockFile().block(3, ByteWriter(false).u32(0).bytes()).bytes, 0,
       "before any interface", ""},
      {"unknown interface", patched(two.bytes, second + 8, 3), 1, "a packet of interface 3, where 1 are", ""},
      {"more captured than the block has", patched(two.bytes, second + 20, 9), 1,
       "a packet of 9 bytes in a block of 40", ""},
      {"captured near 2^32", patched(two.bytes, second + 23, 0xff), 1, "in a block of 40", ""},
      {"block length 0", patched(two.bytes, second + 4, 0), 1, "a block of 0 bytes", ""},
      {"block length odd", patched(two.bytes, second + 4, 41), 1, "a block of 41 bytes", ""},
      {"block too short for a packet", with(6, Bytes(8)), 2, "too short", ""},
      {"block too short for an interface", with(1, Bytes(4)), 2, "too short", ""},
      {"block too short for a simple packet", with(3, {}), 2, "too short", ""},
      {"lying trailer", patched(two.bytes, two.bytes.size() - 4, 44), 1, "whose end says 44", ""},
      {"lying trailer of another block", patched(with(99, Bytes(8)), two.bytes.size() + 16, 1), 2, "whose end says 1",
       ""},
      {"block beyond the end", patched(two.bytes, second + 7, 0x7f), 1, "", "of the record at byte"},
      {"cut within a packet", cut_off(two.bytes, 1), 1, "", "only 39 of 40 bytes"},
      {"cut within a type", cut_off(two.bytes, 37), 1, "", "only 3 of 8 bytes"},
      {"option longer than the block", BlockFile().interface(1, {}, {2, 0, 0xff, 0xff, 'x'}).bytes, 0, "a block of 25",
       ""},
      {"option longer than the block, padded", BlockFile().interface(1, {}, {2, 0, 0xff, 0xff, 'x', 0, 0, 0}).bytes, 0,
       "", ""},
  };
}

TEST(Reader, InterfacesAreBounded) {
  for (const bool sections : {false, true}) {
    BlockFile file;
    for (std::size_t i = 0; i <= kMaxInterfaces; ++i) {
      if (sections) file.section(false);
      file.interface(1, "if" + std::to_string(i));
    }
    const auto read = read_all(file.bytes);
    EXPECT_EQ(read.interfaces.size(), kMaxInterfaces);
    EXPECT_THAT(read.error, HasSubstr("too many interfaces"));
  }
}

TEST(Reader, HostileInput) {
  auto cases = classic_cases();
  for (auto& c : block_cases()) cases.push_back(std::move(c));
  for (const auto& c : cases) {
    const auto read = read_all(c.bytes);
    EXPECT_EQ(read.packets.size(), c.packets) << c.name << ": " << read.error << read.cut;
    EXPECT_EQ(read.end, c.error.empty() ? Reader::Next::end : Reader::Next::error) << c.name << ": " << read.error;
    EXPECT_THAT(read.error, HasSubstr(c.error)) << c.name;
    EXPECT_THAT(read.cut, HasSubstr(c.cut)) << c.name;
    EXPECT_EQ(read.cut.empty(), c.cut.empty()) << c.name << ": " << read.cut;
    EXPECT_EQ(read.error.rfind("x.pcap: ", 0) == 0, !c.error.empty()) << c.name;
  }
}

// Wherever a file is cut, what is whole before the cut is read, and the cut is noticed.
TEST(Reader, EveryCut) {
  const auto classic = ClassicFile().packet(1, 1, kData).packet(2, 2, {}).packet(3, 3, kData);
  BlockFile blocks;
  blocks.interface(1, "eth0").packet(0, 1, kData, blocks.flags(1)).packet(0, 2, kData);
  for (const Bytes& whole : {classic.bytes, blocks.bytes}) {
    std::size_t before = 0;
    for (std::size_t size = 0; size <= whole.size(); ++size) {
      const auto read = read_all(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
      EXPECT_GE(read.packets.size(), before);
      EXPECT_TRUE(read.packets.size() == before || read.cut.empty()) << size;
      before = read.packets.size();
    }
    EXPECT_GE(before, 2u);
  }
}

TEST(Reader, AByteAtATimeIsTheSame) {
  BlockFile file;
  file.interface(1, "eth0").packet(0, 1, kData, file.flags(1)).section(true).interface(101).packet(0, 2, kData);
  Drip drip(file.bytes);
  const auto slow = read_from(drip);
  EXPECT_EQ(slow.data, read_all(file.bytes).data);
  EXPECT_EQ(slow.packets.size(), 2u);
}

// ---- gzip

Read read_gzip(const Bytes& bytes, std::string* complaint = nullptr) {
  const auto input = decompressed(std::make_unique<MemoryInput>(bytes));
  auto read = read_from(*input);
  if (complaint != nullptr) *complaint = input->complaint();
  return read;
}

TEST(Gzip, PlainWholeAndInMembers) {
  const auto file = ClassicFile().packet(1, 1, kData).packet(2, 2, kData);
  EXPECT_EQ(read_gzip(file.bytes).packets.size(), 2u);
  EXPECT_EQ(read_gzip(gzip(file.bytes)).packets.size(), 2u);
  Bytes members = gzip(Bytes(file.bytes.begin(), file.bytes.begin() + 50));
  append(members, gzip(Bytes(file.bytes.begin() + 50, file.bytes.end())));
  std::string complaint;
  EXPECT_EQ(read_gzip(members, &complaint).packets.size(), 2u);
  EXPECT_EQ(complaint, "");
  append(members, {'x', 'y', 'z'});
  EXPECT_EQ(read_gzip(members, &complaint).packets.size(), 2u);
  EXPECT_THAT(complaint, HasSubstr("ignored"));
}

TEST(Gzip, CutAndDamaged) {
  ClassicFile file;
  for (std::uint32_t i = 0; i < 1000; ++i) file.packet(i, i * 7919 % 1000000, kData);
  const auto whole = gzip(file.bytes);
  std::string complaint;
  const auto cut = read_gzip(cut_off(whole, whole.size() / 2), &complaint);
  EXPECT_GT(cut.packets.size(), 100u);
  EXPECT_EQ(cut.end, Reader::Next::end);
  EXPECT_THAT(complaint, HasSubstr("cut off at its byte"));
  const auto damaged = read_gzip(patched(whole, whole.size() - 5, static_cast<std::uint8_t>(~whole[whole.size() - 5])));
  EXPECT_EQ(damaged.packets.size(), 1000u) << "only the checksum at the end is wrong";
  EXPECT_THAT(damaged.error, HasSubstr("damaged before compressed byte"));
}

TEST(Gzip, CutBeforeAnythingCameOfIt) {
  const auto whole = gzip(ClassicFile().packet(1, 1, kData).bytes);
  for (const std::size_t size : {2, 10, 12}) {
    const auto cut = read_gzip(cut_off(whole, whole.size() - size));
    EXPECT_EQ(cut.end, Reader::Next::error);
    EXPECT_THAT(cut.error, HasSubstr("no capture: the compressed data is cut off at its byte " + std::to_string(size)));
  }
}

TEST(Gzip, ABombStreams) {
  Bytes zeros(64u << 20);  // each 16 of them are an empty packet
  const auto header = ClassicFile().bytes;
  std::copy(header.begin(), header.end(), zeros.begin());
  const auto bomb = gzip(zeros);
  ASSERT_LT(bomb.size(), 1u << 20);
  const auto input = decompressed(std::make_unique<MemoryInput>(bomb));
  Reader reader(*input, "x");
  Packet packet;
  std::size_t packets = 0;
  while (reader.next(packet) == Reader::Next::packet) ++packets;
  EXPECT_EQ(packets, (zeros.size() - header.size()) / 16);
}

}  // namespace
}  // namespace fffa::pcap
