// SPDX-License-Identifier: MIT
#include "fffa_common/leftovers.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <functional>

#include "fffa_common/sealed_file.h"
#include "test_files.h"

namespace fffa::common {
namespace {

using ::testing::ElementsAre;
using testing::files_below;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::read_gzip;
using testing::read_plain;
using testing::write_plain;

class Log final : public Logger {
 public:
  void log(LogLevel, std::string_view message) override { text += std::string(message) + "\n"; }
  bool enabled(LogLevel) const override { return true; }
  std::string text;
};

struct Place {
  testing::TemporaryFolder temporary;
  Directory directory{temporary.path()};
  Log log;
  LeftoverOptions options{
      [](std::string_view name) { return name.starts_with("log"); },
      [](std::string_view name, unsigned attempt) { return std::string(name) + "-" + std::to_string(attempt); }, 2,
      true};

  std::filesystem::path path(const std::string& name) const { return temporary.path() / name; }
  Leftovers reclaim() { return reclaim_leftovers(directory, options, log); }
};

TEST(Leftovers, TornLineIsCutOff) {
  Place place;
  write_plain(place.path(".log.part"), "header\none\ntwo\nthr");
  EXPECT_EQ(place.reclaim().sealed, 1u);
  EXPECT_THAT(files_below(place.temporary.path()), ElementsAre("log"));
  EXPECT_EQ(read_plain(place.path("log")), "header\none\ntwo\n");
  EXPECT_THAT(place.log.text, HasSubstr("2 records, 3 bytes of a torn one"));
}

TEST(Leftovers, WithoutARecordRemovedAndSaid) {
  Place place;
  write_plain(place.path(".log.part"), "header\non");
  write_plain(place.path(".log2.part"), "");
  EXPECT_EQ(place.reclaim().empty, 2u);
  EXPECT_THAT(files_below(place.temporary.path()), IsEmpty());
  EXPECT_THAT(place.log.text, HasSubstr(".log2.part"));
}

TEST(Leftovers, ATakenNameIsKept) {
  Place place;
  write_plain(place.path("log"), "there");
  write_plain(place.path(".log.part"), "header\none\n");
  EXPECT_EQ(place.reclaim().sealed, 1u);
  EXPECT_EQ(read_plain(place.path("log")), "there");
  EXPECT_EQ(read_plain(place.path("log-1")), "header\none\n");
}

TEST(Leftovers, OtherFilesAndLinksAreLeftAlone) {
  Place place;
  testing::TemporaryFolder outside;
  write_plain(outside.path() / ".log.part", "header\none\ntorn");
  write_plain(place.path(".other.part"), "header\none\n");
  write_plain(place.path("log.part"), "header\none\n");
  std::filesystem::create_directory_symlink(outside.path(), place.path("link"));
  std::filesystem::create_symlink(outside.path() / ".log.part", place.path(".log.part"));
  std::filesystem::create_directories(place.path("a/b/c"));
  write_plain(place.path("a/b/c/.log.part"), "header\ntoo deep\n");
  const auto found = place.reclaim();
  EXPECT_EQ(found.sealed, 0u);
  EXPECT_EQ(read_plain(outside.path() / ".log.part"), "header\none\ntorn");
  EXPECT_THAT(files_below(place.temporary.path()),
              ElementsAre(".log.part", ".other.part", "a/b/c/.log.part", "link", "log.part"));
}

TEST(Leftovers, AFileBeingWrittenIsLeftAlone) {
  Place place;
  SealedFile file(place.directory, {{}, [](unsigned) { return std::string("log"); }, false, "header", {}});
  file.add("one\n", 1);
  ASSERT_TRUE(file.flush().ok());
  EXPECT_EQ(place.reclaim().sealed, 0u);
  ASSERT_TRUE(file.seal().ok());
}

TEST(Leftovers, DamagedGzipKeepsItsWholeLines) {
  Place place;
  Deflater deflater;
  std::string bytes;
  deflater.add("header\none\ntwo\n", bytes);
  deflater.sync(bytes);
  write_plain(place.path(".log.gz.part"), bytes + "garbage");
  EXPECT_EQ(place.reclaim().sealed, 1u);
  EXPECT_THAT(files_below(place.temporary.path()), ElementsAre("log.gz"));
  EXPECT_EQ(read_gzip(place.path("log.gz")), "header\none\ntwo\n");
  EXPECT_THAT(place.log.text, HasSubstr("2 records, 7 bytes of a torn one"));
}

// Cut at every byte, as power loss may leave it: all that was synced before is kept, and nothing that is no whole line.
TEST(Leftovers, GzipCutAnywhereKeepsWhatWasSynced) {
  Deflater deflater;
  std::string bytes, text;
  std::vector<std::pair<std::size_t, std::string>> synced;
  for (int line = 0; line < 24; ++line) {
    text += (line == 0 ? "header" : "line " + std::to_string(line * 2654435761u)) + "\n";
    deflater.add(text.substr(text.rfind('\n', text.size() - 2) + 1), bytes);
    if (line % 7 != 0) continue;
    deflater.sync(bytes);
    synced.emplace_back(bytes.size(), text);
  }
  deflater.finish(bytes);
  for (std::size_t cut = synced[1].first; cut <= bytes.size(); ++cut) {
    Place place;
    // what follows is nothing, zeros, or old bytes of the disk
    const auto rest = cut % 3 == 0 ? std::string() : std::string(100, cut % 3 == 1 ? '\0' : 'x');
    write_plain(place.path(".log.gz.part"), bytes.substr(0, cut) + rest);
    ASSERT_EQ(place.reclaim().sealed, 1u) << cut;
    const auto found = read_gzip(place.path("log.gz"));
    const auto last =
        std::ranges::find_if(synced.rbegin(), synced.rend(), [&](const auto& at) { return at.first <= cut; });
    EXPECT_TRUE(found.starts_with(last->second)) << cut;
    EXPECT_TRUE(text.starts_with(found) && found.ends_with('\n')) << cut;
  }
}

// A repair that was killed leaves what can be repaired.
TEST(Leftovers, ARepairInterruptedAnywhereIsCompleted) {
  Deflater deflater;
  std::string bytes;
  deflater.add("header\none\ntwo\n", bytes);
  deflater.sync(bytes);
  Place whole;
  write_plain(whole.path(".log.gz.part"), bytes);
  ASSERT_EQ(whole.reclaim().sealed, 1u);
  const auto repaired = read_plain(whole.path("log.gz"));
  ASSERT_EQ(repaired.size(), bytes.size() + 10);
  for (std::size_t size = bytes.size(); size <= repaired.size(); ++size) {
    Place place;
    write_plain(place.path(".log.gz.part"), repaired.substr(0, size));
    ASSERT_EQ(place.reclaim().sealed, 1u) << size;
    EXPECT_EQ(read_plain(place.path("log.gz")), repaired) << size;
  }
}

// In a child, renameat2 with flags fails as it does on NFS. The child's exit code is 0 if `good`.
int without_rename_noreplace(const std::function<bool()>& good) {
  const pid_t child = fork();
  if (child == 0) {
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_renameat2, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[4])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program = {std::size(code), code};
    const bool filtered =
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 &&
        ::renameat2(AT_FDCWD, "/nothing", AT_FDCWD, "/there", RENAME_NOREPLACE) != 0 && errno == EINVAL;
    ::_exit(!filtered ? 2 : good() ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Leftovers, SealedWhereRenamingAlwaysReplaces) {
  Place place;
  write_plain(place.path("log"), "there");
  write_plain(place.path(".log.part"), "header\none\n");
  EXPECT_EQ(without_rename_noreplace([&] { return place.reclaim().sealed == 1; }), 0);
  EXPECT_THAT(files_below(place.temporary.path()), ElementsAre("log", "log-1"));
  EXPECT_EQ(read_plain(place.path("log")), "there");
  EXPECT_EQ(read_plain(place.path("log-1")), "header\none\n");
}

TEST(Leftovers, ARenameInterruptedBetweenItsTwoStepsIsCompleted) {
  Place place;
  write_plain(place.path(".log.part"), "header\none\n");
  std::filesystem::create_hard_link(place.path(".log.part"), place.path("log"));
  EXPECT_EQ(without_rename_noreplace([&] { return place.reclaim().sealed == 1; }), 0);
  EXPECT_THAT(files_below(place.temporary.path()), ElementsAre("log"));
}

// A writer tells after each flush how many lines are safe, and is killed at a random moment: at least those lines are
// there afterwards, whole.
TEST(Leftovers, NothingFlushedIsLostByKill9) {
  for (unsigned round = 0; round < 20; ++round) {
    Place place;
    const bool gzip = round % 2 == 0;
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      SealedFile file(
          place.directory,
          {{"a", "b"}, [gzip](unsigned) { return std::string(gzip ? "log.gz" : "log"); }, gzip, "header", {}});
      for (std::uint32_t line = 1;; ++line) {
        file.add("line " + std::to_string(line) + "\n", 1);
        if (line % 7 == 0 && file.flush().ok()) static_cast<void>(!::write(pipe_ends[1], &line, sizeof line));
      }
    }
    ::close(pipe_ends[1]);
    std::uint32_t safe = 0;
    for (unsigned i = 0; i < 10 + 37 * round; ++i)
      ASSERT_EQ(::read(pipe_ends[0], &safe, sizeof safe), static_cast<ssize_t>(sizeof safe));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    for (std::uint32_t told = 0; ::read(pipe_ends[0], &told, sizeof told) > 0;) safe = told;
    ::close(pipe_ends[0]);
    ASSERT_EQ(place.reclaim().sealed, 1u);
    const auto text = gzip ? read_gzip(place.path("a/b/log.gz")) : read_plain(place.path("a/b/log"));
    std::istringstream lines(text);
    std::string line;
    std::getline(lines, line);
    EXPECT_EQ(line, "header");
    std::uint32_t count = 0;
    while (std::getline(lines, line)) ASSERT_EQ(line, "line " + std::to_string(++count));
    EXPECT_GE(count, safe);
    EXPECT_TRUE(text.ends_with('\n'));
  }
}

}  // namespace
}  // namespace fffa::common
