// SPDX-License-Identifier: MIT
#include "loader/plugins.h"

#include <elf.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "config/sections.h"
#include "loader/build_tag.h"

namespace fffa::core {
namespace {

namespace fs = std::filesystem;

const fs::path kFixtures = FFFA_LOADER_FIXTURES;
constexpr std::size_t kSinks = section_of(StageKind::sink), kSources = section_of(StageKind::source);

Result<void> trust(const fs::path&) {
  return {};
}

// One folder a test, all of them kept until the end: a library stays loaded, and dlopen() knows it again by its path
// and its inode.
class Folders : public testing::Environment {
 public:
  static fs::path root() { return fs::temp_directory_path() / ("fffa_loader_" + std::to_string(::getpid())); }
  void TearDown() override { fs::remove_all(root()); }
};
const testing::Environment* const kFolders = testing::AddGlobalTestEnvironment(new Folders);

class LoaderTest : public testing::Test {
 protected:
  fs::path folder;

  void SetUp() override {
    static int tests = 0;
    folder = Folders::root() / std::to_string(++tests);
    fs::create_directories(folder);
    ::unsetenv("FFFA_BROKEN_FIXTURE_LOADED");
  }

  void copy(const char* fixture, const std::string& name = {}) {
    fs::copy_file(kFixtures / (std::string(fixture) + ".so"), folder / ((name.empty() ? fixture : name) + ".so"));
  }
  static std::string good_bytes() {
    std::ifstream file(kFixtures / "good.so", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  fs::path write(const std::string& name, std::string_view bytes) {
    std::ofstream(folder / name, std::ios::binary) << bytes;
    return folder / name;
  }
  // What the one library of the folder is refused for.
  std::string refusal() {
    Plugins plugins({folder}, trust);
    plugins.load_all();
    EXPECT_TRUE(plugins.loaded().empty());
    EXPECT_EQ(plugins.problems().size(), 1U);
    return plugins.problems().empty() ? "" : plugins.problems()[0].message;
  }
};

TEST_F(LoaderTest, FindsATypeInTheLibraryOfItsName) {
  copy("good");
  copy("no_tag", "another");
  Plugins plugins({folder}, trust);
  const StageType* good = plugins.find("good", kSinks);
  ASSERT_NE(good, nullptr);
  EXPECT_STREQ(good->name, "good");
  EXPECT_EQ(good->kind, StageKind::sink);
  EXPECT_TRUE(plugins.problems().empty()) << "another.so was not needed";
  EXPECT_EQ(plugins.owner(*good).file, folder / "good.so");
}

TEST_F(LoaderTest, FindsATypeInALibraryOfAnotherName) {
  copy("good", "renamed");
  Plugins plugins({folder}, trust);
  EXPECT_NE(plugins.find("good", kSinks), nullptr);
}

TEST_F(LoaderTest, TypeNamesLeadNowhereElse) {
  copy("good");
  Plugins plugins({folder / "sub", folder}, trust);
  for (const char* name : {"../good", "/good", "", "good.so", "Good", "go od"})
    EXPECT_EQ(plugins.find(name, kSinks), nullptr) << name;
}

TEST_F(LoaderTest, EarlierFoldersHideLaterOnes) {
  fs::create_directories(folder / "first");
  copy("good");
  fs::copy_file(kFixtures / "good.so", folder / "first/good.so");
  Plugins plugins({folder / "first", folder}, trust);
  plugins.load_all();
  ASSERT_EQ(plugins.loaded().size(), 1U);
  EXPECT_EQ(plugins.loaded()[0].file, folder / "first/good.so");
  EXPECT_TRUE(plugins.problems().empty());
}

TEST_F(LoaderTest, OneTypeOfTwoLibraries) {
  copy("good");
  copy("same_type");
  Plugins plugins({folder}, trust);
  plugins.load_all();
  EXPECT_EQ(plugins.loaded().size(), 1U);
  ASSERT_EQ(plugins.problems().size(), 1U);
  EXPECT_EQ(plugins.problems()[0].file, folder / "same_type.so");
  EXPECT_NE(plugins.problems()[0].message.find((folder / "good.so").string()), std::string::npos);
}

TEST_F(LoaderTest, OneNameForASourceAndASink) {
  copy("good");
  copy("same_name_source");
  Plugins plugins({folder}, trust);
  const StageType* const sink = plugins.find("good", kSinks);
  ASSERT_NE(sink, nullptr);
  EXPECT_EQ(plugins.loaded().size(), 1U);
  const StageType* const source = plugins.find("good", kSources);
  ASSERT_NE(source, nullptr);
  EXPECT_EQ(source->kind, StageKind::source);
  EXPECT_EQ(plugins.find("good", kSinks), sink);
  EXPECT_EQ(plugins.owner(*source).file, folder / "same_name_source.so");
  EXPECT_EQ(plugins.owner(*sink).file, folder / "good.so");
  EXPECT_EQ(plugins.names(), std::vector<std::string>{"good"});
  EXPECT_EQ(plugins.types().size(), 2U);
  EXPECT_TRUE(plugins.problems().empty());
}

TEST_F(LoaderTest, ATypeOfAnotherSectionIsBetterThanNone) {
  copy("good");
  Plugins plugins({folder}, trust);
  ASSERT_NE(plugins.find("good", kSources), nullptr);
  EXPECT_EQ(plugins.find("good", kSources)->kind, StageKind::sink);
}

TEST_F(LoaderTest, AFolderThatIsNotThere) {
  Plugins plugins({folder / "none"}, trust);
  EXPECT_EQ(plugins.find("good", kSinks), nullptr);
  ASSERT_EQ(plugins.problems().size(), 1U);
  EXPECT_EQ(plugins.problems()[0].file, folder / "none");
}

TEST_F(LoaderTest, UntrustedLibrariesAreNotLoaded) {
  copy("no_descriptor", "good");
  Plugins plugins({folder}, [](const fs::path&) -> Result<void> { return fail("no trust"); });
  EXPECT_EQ(plugins.find("good", kSinks), nullptr);
  EXPECT_NE(plugins.why_missing("good").find("no trust"), std::string::npos);
  EXPECT_EQ(std::getenv("FFFA_BROKEN_FIXTURE_LOADED"), nullptr);
}

struct Broken {
  const char* fixture;
  const char* message;  // part of it
  bool runs_code;       // only loading shows what is wrong
  friend std::ostream& operator<<(std::ostream& out, const Broken& one) { return out << one.fixture; }
};
class BrokenLibrary : public LoaderTest, public testing::WithParamInterface<Broken> {};

TEST_P(BrokenLibrary, IsRefusedAlone) {
  const Broken& broken = GetParam();
  copy(broken.fixture, "broken");
  const std::string message = refusal();
  EXPECT_NE(message.find(broken.message), std::string::npos) << message;
  if (!broken.runs_code) {
    EXPECT_EQ(std::getenv("FFFA_BROKEN_FIXTURE_LOADED"), nullptr) << "it was loaded";
  }
  copy("good");
  Plugins plugins({folder}, trust);
  plugins.load_all();
  EXPECT_NE(plugins.find("good", kSinks), nullptr);
  EXPECT_EQ(plugins.find("broken", kSinks), nullptr);
  EXPECT_NE(plugins.why_missing("broken").find(broken.message), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Loader, BrokenLibrary,
    testing::Values(Broken{"other_tag", "built with stdlib=libstdc++-99, this fffa with stdlib=", false},
                    Broken{"other_abi", "abi=999", false}, Broken{"damaged_tag", "build tag is damaged", false},
                    Broken{"no_tag", "no build tag", false}, Broken{"no_descriptor", "exports no descriptor", true},
                    Broken{"empty_descriptor", "declares no stage types", true},
                    Broken{"unresolved", "fffa_fixture_that_nobody_defines", false}),
    [](const auto& each) { return std::string(each.param.fixture); });

TEST_F(LoaderTest, FilesThatAreNoLibrary) {
  write("x.so", "hello\n");
  EXPECT_EQ(refusal(), "not a shared library");
  write("x.so", "");
  EXPECT_EQ(refusal(), "not a shared library");
  fs::remove(folder / "x.so");
  fs::create_directory(folder / "x.so");
  EXPECT_EQ(refusal(), "not a regular file");
  fs::remove(folder / "x.so");
  ASSERT_EQ(::mkfifo((folder / "x.so").c_str(), 0600), 0);
  EXPECT_EQ(refusal(), "not a regular file");
  fs::remove(folder / "x.so");
  fs::create_symlink(folder / "none", folder / "x.so");
  EXPECT_EQ(refusal(), "open: No such file or directory");
}

TEST_F(LoaderTest, LibrariesOfOtherMachines) {
  std::string bytes = good_bytes();
  const auto with = [&](std::size_t offset, char value) {
    std::string changed = bytes;
    changed[offset] = value;
    write("x.so", changed);
    return refusal();
  };
  EXPECT_NE(with(offsetof(Elf64_Ehdr, e_machine), EM_ARM).find("library for arm"), std::string::npos);
  EXPECT_NE(with(EI_CLASS, ELFCLASS32).find("another kind of machine"), std::string::npos);
  EXPECT_NE(with(EI_DATA, ELFDATA2MSB).find("another kind of machine"), std::string::npos);
  EXPECT_EQ(with(offsetof(Elf64_Ehdr, e_type), ET_EXEC), "not a shared library");
}

TEST_F(LoaderTest, TruncatedLibrariesAreRefusedBeforeTheyAreLoaded) {
  const std::string bytes = good_bytes();
  for (std::size_t size = 0; size < bytes.size(); size += 1 + bytes.size() / 97) {
    EXPECT_FALSE(read_build_tag(write("x.so", std::string_view(bytes).substr(0, size)))) << size;
  }
}

TEST_F(LoaderTest, DamagedHeadersAreNoHarm) {
  const std::string bytes = good_bytes();
  ASSERT_TRUE(read_build_tag(write("x.so", bytes)));
  std::mt19937 random(7);
  std::uint64_t sections = 0;
  std::memcpy(&sections, bytes.data() + offsetof(Elf64_Ehdr, e_shoff), sizeof sections);
  std::fstream file(folder / "x.so", std::ios::binary | std::ios::in | std::ios::out);
  const auto put = [&](std::size_t at, char byte) { file.seekp(static_cast<std::streamoff>(at)).put(byte); };
  for (int round = 0; round < 2000; ++round) {
    std::array<std::size_t, 4> places{};
    for (auto& at : places) {
      at = random() % 3 == 0 ? random() % sizeof(Elf64_Ehdr) : sections + random() % (bytes.size() - sections);
      put(at, static_cast<char>(random()));
    }
    file.flush();
    const auto tag = read_build_tag(folder / "x.so");
    if (tag) {
      EXPECT_TRUE(tag->starts_with("fffa-build-tag ")) << *tag;
    }
    for (const std::size_t at : places) put(at, bytes[at]);
  }
}

TEST(BuildTag, OfThisProgramIsThatOfItsPlugins) {
  const auto tag = read_build_tag(kFixtures / "good.so");
  ASSERT_TRUE(tag) << tag.error().message;
  EXPECT_EQ(*tag, host_build_tag());
}

TEST(BuildTag, TheDifferenceNamesBothSides) {
  const auto result = compare_build_tags("fffa-build-tag abi=1 debug=1 new=x", "fffa-build-tag abi=1 debug=0 old=y");
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("built with debug=1 old=(none) new=x, this fffa with debug=0 old=y new=(none)"),
            std::string::npos)
      << result.error().message;
  EXPECT_TRUE(compare_build_tags("a", "a"));
  EXPECT_FALSE(compare_build_tags("fffa-build-tag a=1 b=2", "fffa-build-tag b=2 a=1"));
}

// A sound descriptor, to be broken piece by piece.
struct Pieces {
  std::array<StageType, 2> stages;
  PluginDescriptor descriptor;
  Pieces() {
    static const Schema schema;
    StageType& stage = stages[0];
    stage.name = "first";
    stage.summary = "";
    stage.schema = []() noexcept -> const Schema& { return schema; };
    stage.check = [](const ConfigNode&, const std::string&, Diagnostics&) noexcept { return true; };
    stage.create = [](const ConfigNode&, StageContext&) noexcept { return Result<std::unique_ptr<Stage>>(fail("")); };
    stage.resources = [](const ConfigNode&) noexcept { return std::vector<Resource>(); };
    stage.emits = [](const ConfigNode&) noexcept { return RecordKind::delta; };
    stages[1] = stage;
    stages[1].name = "second";
    descriptor.build_tag = FFFA_BUILD_TAG;
    descriptor.stages = stages.data();
    descriptor.stage_count = stages.size();
  }
};

TEST(Descriptor, BrokenPieceByPiece) {
  EXPECT_EQ(check_descriptor(Pieces().descriptor), "");
  const auto broken = [](auto breakage) {
    Pieces pieces;
    breakage(pieces);
    return check_descriptor(pieces.descriptor);
  };
  EXPECT_NE(broken([](Pieces& p) { p.descriptor.size = 8; }), "");
  EXPECT_NE(broken([](Pieces& p) { p.descriptor.abi_version = 77; }).find("built for SDK ABI 77, this fffa has"),
            std::string::npos);
  EXPECT_NE(broken([](Pieces& p) { p.descriptor.build_tag = nullptr; }), "");
  EXPECT_NE(broken([](Pieces& p) { p.descriptor.build_tag = "fffa-build-tag abi=1"; }), "");
  EXPECT_NE(broken([](Pieces& p) { p.descriptor.stages = nullptr; }), "");
  EXPECT_NE(broken([](Pieces& p) { p.descriptor.stage_count = 0; }), "");
  EXPECT_NE(broken([](Pieces& p) { p.descriptor.stage_count = 1U << 30; }), "");
  EXPECT_NE(broken([](Pieces& p) { p.stages[1].size = 8; }), "");
  EXPECT_NE(broken([](Pieces& p) { p.stages[1].name = nullptr; }), "");
  EXPECT_NE(broken([](Pieces& p) { p.stages[1].name = "../x"; }), "");
  EXPECT_NE(broken([](Pieces& p) { p.stages[1].name = "first"; }).find("twice"), std::string::npos);
  EXPECT_NE(broken([](Pieces& p) { p.stages[1].kind = static_cast<StageKind>(9); }), "");
  EXPECT_NE(broken([](Pieces& p) { p.stages[1].summary = nullptr; }), "");
  EXPECT_NE(broken([](Pieces& p) { p.stages[1].schema = nullptr; }), "");
  EXPECT_NE(
      broken([](Pieces& p) {
        p.stages[1].schema = []() noexcept -> const Schema& {
          static const Schema with_queue{Schema::Kind::object, {}, {}, {}, {}, {Option{"queue", "", "", false, {}}}};
          return with_queue;
        };
      }).find("`queue`"),
      std::string::npos);
  EXPECT_NE(broken([](Pieces& p) { p.stages[1].check = nullptr; }), "");
  EXPECT_NE(broken([](Pieces& p) { p.stages[1].create = nullptr; }), "");
  EXPECT_NE(broken([](Pieces& p) { p.stages[1].resources = nullptr; }), "");
  EXPECT_NE(broken([](Pieces& p) { p.stages[1].emits = nullptr; }), "");
}

TEST(PluginDirectories, GivenOnesThenTheVariablesThenTheOwn) {
  ::setenv("FFFA_PLUGIN_PATH", "/b::/c:", 1);
  const auto directories = plugin_directories({"/a"});
  ::unsetenv("FFFA_PLUGIN_PATH");
  ASSERT_GE(directories.size(), 3U);
  EXPECT_EQ(directories[0], "/a");
  EXPECT_EQ(directories[1], "/b");
  EXPECT_EQ(directories[2], "/c");
}

}  // namespace
}  // namespace fffa::core
