// SPDX-License-Identifier: MIT
// The suite passes good plugins and finds each fault of the faulty ones, by the check that is meant to find it.
#include "fffa/testing/conformance.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace {

using namespace fffa;
using fffa::testing::CheckResult;

const std::filesystem::path kFaulty = FFFA_FAULTY_PLUGINS;

std::vector<CheckResult> failures(const std::string& plugin, const std::string& type = {},
                                  const std::string& config = {}) {
  auto results = fffa::testing::check_plugin(
      {.plugin = kFaulty / plugin, .type = type, .config = config, .limit = std::chrono::seconds(12)});
  EXPECT_FALSE(results.empty());
  std::erase_if(results, [](const CheckResult& result) { return result.passed; });
  return results;
}

struct Fault {
  const char* type;
  const char* check;    // part of the name of a check that must fail
  const char* problem;  // part of what it says
};
void PrintTo(const Fault& fault, std::ostream* out) {  // NOLINT(readability-identifier-naming): GoogleTest looks for it
  *out << fault.type;
}

class Faulty : public ::testing::TestWithParam<Fault> {};

TEST_P(Faulty, IsFound) {
  const auto found = failures("faulty_stages.so", GetParam().type);
  std::string all;
  const bool expected = std::any_of(found.begin(), found.end(), [&](const CheckResult& result) {
    all += result.name + ": " + result.problem + "\n";
    return result.name.find(GetParam().check) != std::string::npos &&
           result.problem.find(GetParam().problem) != std::string::npos;
  });
  EXPECT_TRUE(expected) << "found instead:\n" << all;
}

INSTANTIATE_TEST_SUITE_P(
    Conformance, Faulty,
    ::testing::Values(
        Fault{"regressing_source", "runs and stops", "watermark goes back"},
        Fault{"hanging_source", "runs and stops", ""}, Fault{"cumulative_source", "runs and stops", "another kind"},
        Fault{"stubborn_source", "gives up", "hung"}, Fault{"failing_source", "runs and stops", "no right to capture"},
        Fault{"time_enricher", "keeps what", "watermark or window"},
        Fault{"inventing_enricher", "keeps what", "more than was given"},
        Fault{"counting_enricher", "keeps what", "counters are changed"},
        Fault{"blocking_enricher", "keeps what", "blocks"}, Fault{"early_aggregator", "ties every input", "not tied"},
        Fault{"never_aggregator", "ties every input", "never complete"},
        Fault{"never_aggregator", "lets go", "stay open"}, Fault{"losing_aggregator", "puts out what", "given "},
        Fault{"regressing_aggregator", "puts out what", "watermark goes back"},
        Fault{"unfinished_aggregator", "puts out what", "does not end the input"},
        Fault{"stuck_aggregator", "resumes", "given "}, Fault{"crashing_sink", "takes batches", "crashed: Aborted"},
        Fault{"closing_sink", "second close", "crashed"}, Fault{"thread_sink", "comes and goes", "20 threads are left"},
        Fault{"descriptor_sink", "comes and goes", "20 file descriptors are left"},
        Fault{"exiting_sink", "takes batches", "ended the process"},
        Fault{"rejecting_sink", "takes batches", "too many records"},
        Fault{"leaving_sink", "takes batches", "its other end is gone"},
        Fault{"untold_async_sink", "takes batches", "untold"},
        Fault{"never_async_sink", "takes batches", "did not complete"}, Fault{"default_sink", "own defaults", "port"},
        Fault{"reserved_sink", "schema", "queue"}, Fault{"undocumented_sink", "schema", "no doc line"},
        Fault{"careless_sink", "refuses unknown", "accepted"}, Fault{"careless_sink", "wrong type", "size"},
        Fault{"no_such_type", "has the stage type", "none of that name"}),
    [](const auto& fault) { return std::string(fault.param.type) + "_" + std::to_string(fault.index); });

TEST(Conformance, GoodStagesPass) {
  for (const std::string type : {"good_source", "good_enricher", "good_aggregator", "good_sink", "good_async_sink"}) {
    for (const auto& failure : failures("faulty_stages.so", type, "size: 7"))
      ADD_FAILURE() << failure.name << ": " << failure.problem;
  }
}

TEST(Conformance, OptionsThatDoNotFitAreSaid) {
  const auto found = failures("faulty_stages.so", "good_sink", "sice: 7");
  ASSERT_FALSE(found.empty());
  EXPECT_NE(found[0].problem.find("did you mean `size`?"), std::string::npos) << found[0].problem;
}

TEST(Conformance, WrongLibraries) {
  const auto first = [](const std::string& plugin) { return failures(plugin).at(0); };
  EXPECT_NE(first("faulty_tag.so").problem.find("arch=vax"), std::string::npos);
  EXPECT_NE(first("faulty_exports.so").problem.find("symbols instead of `fffa_plugin` alone"), std::string::npos);
  EXPECT_NE(first("faulty_nothing.so").problem.find("instead of `fffa_plugin` alone"), std::string::npos);
  EXPECT_NE(failures("faulty_nothing.so").at(1).problem.find("`fffa_plugin` is missing"), std::string::npos);
  EXPECT_NE(first("no_such_file.so").problem.find("No such file"), std::string::npos);
}

TEST(Conformance, DamagedFilesAreNoLibraries) {
  std::ifstream stream(kFaulty / "faulty_tag.so", std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(stream), {}};
  const auto path = std::filesystem::temp_directory_path() / ("fffa-damaged-" + std::to_string(getpid()));
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{3}, std::size_t{20}, std::size_t{64}, std::size_t{1000}, whole.size() / 2}) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << whole.substr(0, length);
    EXPECT_NE(fffa::testing::check_build_tag(path), "") << length;
    EXPECT_NE(fffa::testing::check_exports(path), "") << length;
  }
  std::filesystem::remove(path);
}

TEST(Conformance, DescriptorsAreCheckedPieceByPiece) {
  static const StageType good = [] {
    StageType type;
    type.name = "good";
    type.summary = "good";
    type.schema = []() noexcept -> const Schema& {
      static const Schema schema;
      return schema;
    };
    type.check = [](const ConfigNode&, const std::string&, Diagnostics&) noexcept { return true; };
    type.create = [](const ConfigNode&, StageContext&) noexcept -> Result<std::unique_ptr<Stage>> {
      return fail("never");
    };
    type.resources = [](const ConfigNode&) noexcept { return std::vector<Resource>{}; };
    type.emits = [](const ConfigNode&) noexcept { return RecordKind::delta; };
    return type;
  }();
  const auto problem = [](auto change) {
    StageType stages[2] = {good, good};
    stages[1].name = "better";
    PluginDescriptor descriptor{sizeof(PluginDescriptor), kAbiVersion, FFFA_BUILD_TAG, "", stages, 2};
    change(descriptor, stages[1]);
    return fffa::testing::check_descriptor(descriptor);
  };
  EXPECT_EQ(problem([](auto&, auto&) {}), "");
  EXPECT_NE(problem([](auto& d, auto&) { d.size = 8; }), "");
  EXPECT_NE(problem([](auto& d, auto&) { d.abi_version = kAbiVersion + 1; }), "");
  EXPECT_NE(problem([](auto& d, auto&) { d.build_tag = "x"; }), "");
  EXPECT_NE(problem([](auto& d, auto&) { d.version = nullptr; }), "");
  EXPECT_NE(problem([](auto& d, auto&) { d.stage_count = 0; }), "");
  EXPECT_NE(problem([](auto&, auto& s) { s.size = 8; }), "");
  EXPECT_NE(problem([](auto&, auto& s) { s.kind = static_cast<StageKind>(9); }), "");
  EXPECT_NE(problem([](auto&, auto& s) { s.name = "good"; }), "");
  EXPECT_NE(problem([](auto&, auto& s) { s.name = "Bad-Name"; }), "");
  EXPECT_NE(problem([](auto&, auto& s) { s.summary = ""; }), "");
  EXPECT_NE(problem([](auto&, auto& s) { s.summary = "two\nlines"; }), "");
  EXPECT_NE(problem([](auto&, auto& s) { s.schema = nullptr; }), "");
  EXPECT_NE(problem([](auto&, auto& s) { s.check = nullptr; }), "");
  EXPECT_NE(problem([](auto&, auto& s) { s.create = nullptr; }), "");
  EXPECT_NE(problem([](auto&, auto& s) { s.resources = nullptr; }), "");
  EXPECT_NE(problem([](auto&, auto& s) { s.emits = nullptr; }), "");
}

TEST(Conformance, SchemasAreCheckedPieceByPiece) {
  const auto problem = [](auto change) {
    Schema schema;
    schema.kind = Schema::Kind::object;
    Schema choice;
    choice.kind = Schema::Kind::enumeration;
    choice.choices = {{"one", "", {}}, {"two", "", {}}};
    schema.options = {{"mode", "which", "one", false, choice}, {"names", "names", "[]", false, {}}};
    schema.options[1].schema.kind = Schema::Kind::list;
    schema.options[1].schema.element.emplace_back();
    change(schema);
    return fffa::testing::check_schema(schema);
  };
  EXPECT_EQ(problem([](auto&) {}), "");
  EXPECT_NE(problem([](auto& s) { s.options[0].name = "Mode"; }), "");
  EXPECT_NE(problem([](auto& s) { s.options[0].name = "names"; }), "");
  EXPECT_NE(problem([](auto& s) { s.options[0].doc = ""; }), "");
  EXPECT_NE(problem([](auto& s) { s.options[0].required = true; }), "");
  EXPECT_NE(problem([](auto& s) { s.options[0].schema.choices.clear(); }), "");
  EXPECT_NE(problem([](auto& s) { s.options[0].schema.choices[1].name = "one"; }), "");
  EXPECT_NE(problem([](auto& s) { s.options[0].schema.kind = Schema::Kind::one_of; }), "");
  EXPECT_NE(problem([](auto& s) { s.options[1].schema.element.clear(); }), "");
  EXPECT_NE(problem([](auto& s) { s.options[1].schema.minimum = 2, s.options[1].schema.maximum = 1; }), "");
}

}  // namespace
