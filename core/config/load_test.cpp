// SPDX-License-Identifier: MIT
#include "config/load.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "config/text_file.h"

namespace fffa::core {
namespace {

namespace fs = std::filesystem;

class Load : public testing::Test {
 protected:
  fs::path folder = fs::temp_directory_path() / ("fffa_load_" + std::to_string(::getpid()));
  std::vector<Diagnostic> problems;

  void SetUp() override { fs::create_directories(folder); }
  void TearDown() override { fs::remove_all(folder); }

  fs::path write(const char* name, std::string_view text) {
    std::ofstream(folder / name, std::ios::binary) << text;
    return folder / name;
  }
  std::optional<ConfigNode> load(const ConfigSources& sources, Result<void> trusted = {}) {
    Diagnostics diagnostics;
    auto config = load_config(
        sources, process_environment(), [&](const fs::path&) { return trusted; }, diagnostics);
    problems = sorted_by_place(diagnostics, sources);
    return config;
  }
  // The one problem of a file of that text.
  std::string problem_of(std::string_view text) {
    EXPECT_FALSE(load({{write("x.yaml", text)}, {}}));
    EXPECT_EQ(problems.size(), 1U);
    return problems.empty() ? "" : to_string(problems[0]).substr(folder.string().size() + 1);
  }
};

TEST_F(Load, LaysFilesAndOverridesOverEachOther) {
  const auto config =
      load({{write("a.yaml", "threads: 1\nx: {y: 1}\n"), write("b.yaml", "threads: 2\n")}, {"threads=3", "x.z=4"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->find("threads")->value, "3");
  EXPECT_EQ(config->find("x")->find("y")->value, "1");
  EXPECT_EQ(config->find("x")->find("z")->value, "4");
}

TEST_F(Load, EmptyFiles) {
  EXPECT_EQ(problem_of("").substr(0, 27), "x.yaml:1:1: the file is emp");
  EXPECT_EQ(problem_of("# nothing\n").substr(0, 27), "x.yaml:1:1: the file is emp");
  EXPECT_EQ(problem_of("---\n").substr(0, 27), "x.yaml:1:1: the file is emp");
}

TEST_F(Load, FilesThatAreNoText) {
  EXPECT_EQ(problem_of(std::string_view("\x7f"
                                        "ELF\0\0\0",
                                        7))
                .substr(0, 43),
            "x.yaml:1:1: not a text file: byte 0x7f (a c");
  EXPECT_EQ(problem_of("a: 1\nb: \xff\n").substr(0, 39), "x.yaml:2:4: not a text file: byte 0xff ");
  EXPECT_EQ(problem_of(std::string_view("\xff\xfe"
                                        "a\0:\0",
                                        6))
                .substr(0, 38),
            "x.yaml:1:1: not a text file: byte 0xff");
  EXPECT_EQ(problem_of("a: \xed\xa0\x80").substr(0, 10), "x.yaml:1:4");  // a surrogate
  EXPECT_EQ(problem_of("a: \xc0\xaf").substr(0, 10), "x.yaml:1:4");      // overlong
}

TEST_F(Load, FilesThatAreNoMap) {
  EXPECT_NE(problem_of("[1]").find("got a list"), std::string::npos);
  EXPECT_NE(problem_of("hello").find("got `hello`"), std::string::npos);
}

TEST_F(Load, WhatIsNoRegularFile) {
  const fs::path pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_FALSE(load({{pipe, folder, folder / "none", "/dev/zero"}, {}}));
  ASSERT_EQ(problems.size(), 4U);
  EXPECT_NE(problems[0].message.find("not a regular file"), std::string::npos);
  EXPECT_NE(problems[1].message.find("directory"), std::string::npos);
  EXPECT_NE(problems[2].message.find("No such file"), std::string::npos);
  EXPECT_NE(problems[3].message.find("not a regular file"), std::string::npos);
}

TEST_F(Load, HugeFiles) {
  EXPECT_NE(problem_of(std::string(5 << 20, '#')).find("larger than 4096 KiB"), std::string::npos);
}

TEST_F(Load, UntrustedFiles) {
  EXPECT_FALSE(load({{write("a.yaml", "a: 1\n")}, {}}, fail("no trust")));
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].message, "no trust");
}

TEST_F(Load, ProblemsOfAllFilesComeInTheOrderOfTheFiles) {
  const ConfigSources sources{
      {write("b.yaml", "x: ${FFFA_UNSET_1}\ny: ${FFFA_UNSET_2}\n"), write("a.yaml", "z: ${FFFA_UNSET_3}\n")},
      {"v=${FFFA_UNSET_4}"}};
  EXPECT_TRUE(load(sources));
  ASSERT_EQ(problems.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NE(problems[i].message.find("FFFA_UNSET_" + std::to_string(i + 1)), std::string::npos);
  }
}

}  // namespace
}  // namespace fffa::core
