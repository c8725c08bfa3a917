// SPDX-License-Identifier: MIT
#include "spool/store.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>

#include "spool/test_folder.h"

namespace fffa::core {
namespace {

using testing::read_file;
using testing::write_file;

constexpr std::uint64_t kLarge = 1 << 20;

std::unique_ptr<Store> opened(const testing::Folder& folder, std::uint64_t max_size = kLarge) {
  auto store = Store::open({folder.path(), max_size});
  if (!store) throw std::runtime_error(store.error().message);
  return std::move(*store);
}
Part part(std::uint64_t n) {
  return {1, n, 10 * n};
}
void put(Store& store, const std::vector<std::string>& payloads) {
  for (const auto& payload : payloads) store.append(payload, part(payload.size()));
  const auto result = store.commit();
  ASSERT_TRUE(result.ok()) << result.error().message;
}
// What next() has, without delivering it.
std::vector<Store::Frame> frames(Store& store) {
  std::vector<Store::Frame> all;
  for (;;) {
    auto frame = store.next();
    if (!frame || !*frame) return all;
    all.push_back(std::move(**frame));
  }
}
std::vector<std::string> payloads(const std::vector<Store::Frame>& frames) {
  std::vector<std::string> all;
  all.reserve(frames.size());
  for (const auto& frame : frames) all.push_back(frame.damaged ? "(damaged)" : frame.payload);
  return all;
}
using Strings = std::vector<std::string>;

TEST(Store, GivesWhatWasPutInOrderAndForgetsWhatIsDelivered) {
  const testing::Folder folder;
  auto store = opened(folder);
  put(*store, {"one", "two"});
  put(*store, {"three"});
  const auto all = frames(*store);
  EXPECT_EQ(payloads(all), (Strings{"one", "two", "three"}));
  EXPECT_EQ(store->level().frames, 3U);
  EXPECT_EQ(store->level().content.packets, 11U);
  store->done(all[1].place, all[1].content);
  EXPECT_EQ(store->level().frames, 2U);
  store.reset();
  store = opened(folder);
  EXPECT_EQ(store->opening().frames, 2U);
  EXPECT_EQ(store->opening().content.packets, 8U);
  const auto rest = frames(*store);
  EXPECT_EQ(payloads(rest), (Strings{"one", "three"})) << "what was delivered does not come again";
  EXPECT_TRUE(rest[0].restored);
  for (const auto& frame : rest) store->done(frame.place, frame.content);
  EXPECT_EQ(folder.files(".seg").size(), 0U);
  EXPECT_EQ(store->level().file_size, 0U);
}

TEST(Store, NothingIsReadableBeforeItIsCommitted) {
  const testing::Folder folder;
  auto store = opened(folder);
  store->append("one", part(1));
  EXPECT_FALSE(store->unread());
  EXPECT_TRUE(frames(*store).empty());
  ASSERT_TRUE(store->commit().ok());
  EXPECT_TRUE(store->unread());
  EXPECT_EQ(payloads(frames(*store)), Strings{"one"});
}

TEST(Store, FilesAreForTheirOwnerAlone) {
  const testing::Folder folder;
  auto store = opened(folder);
  put(*store, {"one"});
  struct stat status {};
  ASSERT_EQ(::stat(folder.files(".seg").front().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST(Store, OnlyOneMayHaveADirectory) {
  const testing::Folder folder;
  const auto store = opened(folder);
  const auto second = Store::open({folder.path(), kLarge});
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().message.find("in use"), std::string::npos) << second.error().message;
}

TEST(Store, ADirectoryThatIsNotThereIsAnError) {
  const testing::Folder folder;
  EXPECT_FALSE(Store::open({folder.path() / "none", kLarge}).ok());
  write_file(folder.path() / "file", "");
  EXPECT_FALSE(Store::open({folder.path() / "file", kLarge}).ok());
  std::filesystem::create_symlink("elsewhere", folder.path() / "00000000000000000001.seg");
  EXPECT_FALSE(Store::open({folder.path(), kLarge}).ok());
}

TEST(Store, SegmentsAreDeletedOneByOne) {
  const testing::Folder folder;
  auto store = opened(folder, 16 * 4096);  // segments of 4096
  const std::string payload(2000, 'x');
  for (int i = 0; i < 12; ++i) put(*store, {payload});
  EXPECT_EQ(folder.files(".seg").size(), 4U);
  const auto all = frames(*store);
  for (int i = 0; i < 3; ++i) store->done(all[2 - i].place, all[2 - i].content);
  EXPECT_EQ(folder.files(".seg").size(), 3U);
  EXPECT_EQ(store->level().frames, 9U);
}

TEST(Store, IsFullAtItsSizeAndHasRoomAgainOnceDelivered) {
  const testing::Folder folder;
  auto store = opened(folder, 64 * 1024);
  const std::string payload(1000, 'x');
  int n = 0;
  for (; store->make_room(payload.size()); ++n) put(*store, {payload});
  EXPECT_LE(store->level().file_size, 64U * 1024);
  EXPECT_EQ(n, 64 * 1024 / (1000 + 44));
  for (const auto& frame : frames(*store)) store->done(frame.place, frame.content);
  EXPECT_TRUE(store->make_room(payload.size()));
  EXPECT_TRUE(store->make_room(1 << 20)) << "a batch that is larger than the buffer has it for itself";
  put(*store, {std::string(1 << 20, 'x')});
  EXPECT_FALSE(store->make_room(1));
}

TEST(Store, DropsTheOldestThatNobodyReads) {
  const testing::Folder folder;
  auto store = opened(folder, 16 * 4096);
  for (int i = 0; i < 9; ++i) put(*store, {std::string(2000, static_cast<char>('a' + i))});
  const auto reading = **store->next();
  EXPECT_EQ(reading.payload[0], 'a');
  const auto dropped = store->drop_oldest();
  ASSERT_TRUE(dropped.has_value());
  EXPECT_EQ(dropped->records, 3U);
  const auto rest = frames(*store);
  std::string order;
  for (const auto& frame : rest) order += frame.payload[0];
  EXPECT_EQ(order, "bcghi") << "the segment that is being read stays";
  EXPECT_EQ(store->level().frames, 6U);
  EXPECT_FALSE(store->drop_oldest().has_value());
}

// ---- after a crash

// What a start finds in a copy of `image`, and what it leaves.
struct Start {
  Strings payloads;
  std::size_t damaged_files = 0;
  std::uint64_t damaged = 0, cut_off = 0;
};
Start start_with(const std::string& image) {
  const testing::Folder folder;
  write_file(folder.path() / "00000000000000000007.seg", image);
  auto store = opened(folder);
  Start start;
  start.cut_off = store->opening().cut_off;
  for (const auto& frame : frames(*store)) {
    start.payloads.push_back(frame.damaged ? "(damaged)" : frame.payload);
    if (!frame.damaged) store->done(frame.place, frame.content);
  }
  EXPECT_EQ(store->level().frames, 0U);
  EXPECT_EQ(store->level().content.records, 0U);
  EXPECT_EQ(folder.files(".seg").size(), 0U);
  start.damaged_files = folder.files(".damaged").size();
  start.damaged = store->damaged_segments();
  if (start.damaged_files > 0) {
    EXPECT_EQ(read_file(folder.files(".damaged").front()).size(), image.size() - start.cut_off);
  }
  return start;
}
std::string image_of(const Strings& payloads) {
  const testing::Folder folder;
  auto store = opened(folder);
  put(*store, payloads);
  return read_file(folder.files(".seg").front());
}

TEST(Store, ATornTailIsCutOffAtEveryByte) {
  const Strings all{"first", "second one", "third"};
  const auto image = image_of(all);
  std::vector<std::size_t> ends;
  for (std::size_t at = 0, i = 0; i < all.size(); ++i) ends.push_back(at += FrameHeader::kSize + all[i].size());
  for (std::size_t size = 0; size <= image.size(); ++size) {
    const auto whole =
        static_cast<std::size_t>(std::count_if(ends.begin(), ends.end(), [&](std::size_t end) { return end <= size; }));
    const auto start = start_with(image.substr(0, size));
    EXPECT_EQ(start.payloads, Strings(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(whole))) << size;
    EXPECT_EQ(start.damaged, 0U) << "a write that was not finished is no damage: " << size;
    EXPECT_EQ(start.cut_off, size - (whole == 0 ? 0 : ends[whole - 1]));
  }
}

TEST(Store, AFlippedByteCostsItsBatchAndKeepsTheFile) {
  const Strings all{"first", "second one", "third"};
  const auto image = image_of(all);
  for (std::size_t at = 0; at < image.size(); ++at) {
    for (const int bit : {0, 7}) {
      auto flipped = image;
      flipped[at] = static_cast<char>(flipped[at] ^ 1 << bit);
      const auto start = start_with(flipped);
      Strings good = start.payloads;
      const auto shown = std::erase(good, "(damaged)");
      EXPECT_LE(shown, 1U);
      EXPECT_GE(good.size(), 2U) << at;
      EXPECT_TRUE(std::includes(all.begin(), all.end(), good.begin(), good.end())) << at;
      const bool damaged = good.size() < 3;  // else it was a mark, which delivers a batch twice at worst
      EXPECT_EQ(start.damaged, damaged ? 1U : 0U) << at;
      EXPECT_EQ(start.damaged_files, damaged ? 1U : 0U) << at;
    }
  }
}

TEST(Store, ATornTailOfAnOlderSegmentIsDamage) {
  const testing::Folder folder;
  const auto image = image_of({"first", "second"});
  write_file(folder.path() / "00000000000000000001.seg", image.substr(0, image.size() - 1));
  write_file(folder.path() / "00000000000000000003.seg", image_of({"third"}));
  auto store = opened(folder);
  EXPECT_EQ(store->damaged_segments(), 1U);
  ASSERT_EQ(store->opening().damaged.size(), 1U);
  EXPECT_NE(store->opening().damaged.front().find("00000000000000000001.seg"), std::string::npos);
  const auto all = frames(*store);
  EXPECT_EQ(payloads(all), (Strings{"first", "third"})) << "a segment that is missing is nothing to wait for";
  for (const auto& frame : all) store->done(frame.place, frame.content);
  EXPECT_EQ(folder.files(".damaged").size(), 1U);
  store.reset();
  store = opened(folder);
  EXPECT_EQ(store->damaged_segments(), 0U) << "it is set aside";
  put(*store, {"x"});
  EXPECT_EQ(folder.files(".seg").front().filename(), "00000000000000000002.seg");
}

// Of damaged files the newest are kept, up to a quarter of what the store may take.
TEST(Store, DamagedFilesHaveABound) {
  const testing::Folder folder;
  auto image = image_of({std::string(6000, 'x'), "second"});
  image[FrameHeader::kSize] = 'y';
  const auto name = [](int i) { return "0000000000000000000" + std::to_string(i); };
  for (int i = 1; i <= 8; ++i) write_file(folder.path() / (name(i) + (i <= 2 ? ".damaged" : ".seg")), image);
  const auto kept = [&] {
    std::string numbers;
    for (const auto& file : folder.files(".damaged")) numbers += file.filename().string()[19];
    return numbers;
  };
  auto store = opened(folder, 80'000);
  EXPECT_EQ(kept(), "12") << "for three there is room";
  for (const auto& frame : frames(*store))
    if (!frame.damaged) store->done(frame.place, frame.content);
  EXPECT_EQ(kept(), "678");
  const auto deleted = store->take_deleted();
  ASSERT_EQ(deleted.size(), 5U);
  EXPECT_EQ(deleted.front(), (folder.path() / (name(1) + ".damaged")).string());
  EXPECT_TRUE(store->take_deleted().empty()) << "said once";
  store.reset();
  store = opened(folder, 4096);
  EXPECT_EQ(kept(), "8") << "the newest one stays, however large";
  EXPECT_EQ(store->take_deleted().size(), 2U);
}

TEST(Store, TheBoundOfDamagedFilesFollowsMaxSizeAndForgetsNone) {
  const testing::Folder folder;
  const auto path = folder.path() / "store";
  std::filesystem::create_directory(path);
  const auto name = [](int i) { return "0000000000000000000" + std::to_string(i) + ".damaged"; };
  for (int i = 1; i <= 3; ++i) write_file(path / name(i), std::string(6000, 'x'));
  auto store = Store::open({path, 80'000});
  ASSERT_TRUE(store) << store.error().message;
  std::filesystem::remove(path / name(2));  // this one has gone
  // And these can only not be looked at.
  std::filesystem::rename(path, folder.path() / "away");
  write_file(path, "");
  (*store)->set_max_size(4096);
  std::filesystem::remove(path);
  std::filesystem::rename(folder.path() / "away", path);
  EXPECT_TRUE(std::filesystem::exists(path / name(1)));
  (*store)->set_max_size(4096);
  EXPECT_EQ((*store)->take_deleted(), Strings{(path / name(1)).string()});
  EXPECT_FALSE(std::filesystem::exists(path / name(1)));
  EXPECT_TRUE(std::filesystem::exists(path / name(3))) << "the newest one stays";
}

TEST(Store, DamageWhileItRunsIsCountedWithWhatItCost) {
  const testing::Folder folder;
  auto store = opened(folder);
  put(*store, {"first", "second one", "third"});
  const auto path = folder.files(".seg").front();
  auto image = read_file(path);
  std::fill_n(image.begin() + FrameHeader::kSize + 5, FrameHeader::kSize + 10, 'x');  // the whole second frame
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.write(image.data(), static_cast<std::streamsize>(image.size()));
  }
  const auto all = frames(*store);
  EXPECT_EQ(payloads(all), (Strings{"first", "third", "(damaged)"}));
  EXPECT_EQ(all[2].content.packets, 10U);
  EXPECT_EQ(store->level().frames, 2U);
}

TEST(Store, ADamagedPayloadIsGivenUpOnceAndForAll) {
  const testing::Folder folder;
  auto image = image_of({"first", "second"});
  image[FrameHeader::kSize] = 'F';
  write_file(folder.path() / "00000000000000000001.seg", image);
  {
    auto store = opened(folder);
    EXPECT_EQ(store->opening().frames, 2U);
    const auto all = frames(*store);
    EXPECT_EQ(payloads(all), (Strings{"(damaged)", "second"}));
    EXPECT_EQ(all[0].content.packets, 5U);
  }
  auto store = opened(folder);
  EXPECT_EQ(store->opening().frames, 1U) << "counted as lost once, not at every start";
}

TEST(Store, ASegmentThatVanishesIsLostWithWhatItHeld) {
  const testing::Folder folder;
  {
    auto store = opened(folder);
    put(*store, {"first"});
  }
  auto store = opened(folder);
  std::filesystem::remove(folder.files(".seg").front());
  const auto all = frames(*store);
  EXPECT_EQ(payloads(all), Strings{"(damaged)"});
  EXPECT_EQ(all[0].content.packets, 5U);
  EXPECT_EQ(store->level().frames, 0U);
}

TEST(Store, AHoleThatAPowerFailureLeftIsNoDamage) {
  const auto start = start_with(image_of({"first"}) + std::string(5000, '\0'));
  EXPECT_EQ(start.payloads, Strings{"first"});
  EXPECT_EQ(start.damaged, 0U);
  EXPECT_EQ(start.cut_off, 5000U);
}

// ---- a disk that does not take it (a full one: tests/spool)

TEST(Store, FilesWhoseNumbersAreBeyondOursAreNobodys) {
  testing::Folder folder;
  const auto image = image_of({"first"});
  for (const char* name : {"18446744073709551615.seg", "99999999999999999999.seg", "99999999999999999999.damaged"})
    testing::write_file(folder.path() / name, image);
  auto store = Store::open({.directory = folder.path(), .max_size = 1u << 20});
  ASSERT_TRUE(store.ok()) << store.error().message;
  EXPECT_EQ((*store)->opening().frames, 0u);
  ASSERT_TRUE((*store)->make_room(3));
  (*store)->append("new", {1, 1, 1});
  ASSERT_TRUE((*store)->commit().ok());
  const auto frame = (*store)->next();
  ASSERT_TRUE(frame.ok() && *frame);
  EXPECT_EQ((*frame)->payload, "new");
  (*store)->done((*frame)->place, (*frame)->content);
  EXPECT_EQ((*store)->level().frames, 0u);
}

TEST(Store, AWriteThatFailsLeavesNothingTorn) {
  const testing::Folder folder;
  auto store = opened(folder);
  put(*store, {"first"});
  ASSERT_NE(std::signal(SIGXFSZ, SIG_IGN), SIG_ERR);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{1000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  store->append("second", part(6));
  store->append(std::string(5000, 'x'), part(5000));
  store->append("third", part(5));
  const auto failed = store->commit();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().system_errno, EFBIG);
  EXPECT_EQ(read_file(folder.files(".seg").front()).size(), FrameHeader::kSize + 5);
  EXPECT_EQ(store->level().frames, 1U) << "nothing of what failed is there";
  put(*store, {"second", "third"});
  EXPECT_EQ(payloads(frames(*store)), (Strings{"first", "second", "third"}));
}

}  // namespace
}  // namespace fffa::core
