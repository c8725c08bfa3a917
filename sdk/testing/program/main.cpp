// SPDX-License-Identifier: MIT
// fffa-conformance PLUGIN.so [--type NAME] [--config YAML | --config @FILE]: what every plugin must do, one line a
// check. Exit codes: 0 all passed, 1 a check failed, 2 usage.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "fffa/testing/conformance.h"

namespace {

int usage() {
  std::fputs(
      "usage: fffa-conformance PLUGIN.so [--type NAME] [--config YAML | --config @FILE]\n"
      "  --type    one of the stage types in the library (default: all of them)\n"
      "  --config  options with which the stage can run here, as in a pipeline\n",
      stderr);
  return 2;
}

bool read_config(std::string_view argument, std::string& config) {
  if (!argument.starts_with('@')) return config = argument, true;
  std::ifstream stream{std::string(argument.substr(1))};
  config.assign(std::istreambuf_iterator<char>(stream), {});
  if (!stream.is_open()) std::fprintf(stderr, "cannot read %s\n", std::string(argument.substr(1)).c_str());
  return stream.is_open();
}

}  // namespace

int main(int argc, char** argv) {
  fffa::testing::ConformanceOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--type" && i + 1 < argc)
      options.type = argv[++i];
    else if (argument == "--config" && i + 1 < argc) {
      if (!read_config(argv[++i], options.config)) return 2;
    } else if (!argument.starts_with('-') && options.plugin.empty())
      options.plugin = argument;
    else
      return usage();
  }
  if (options.plugin.empty()) return usage();

  std::size_t failed = 0;
  const auto results = fffa::testing::check_plugin(options);
  for (const auto& result : results) {
    failed += result.passed ? 0 : 1;
    std::printf("%s  %s%s%s\n", result.passed ? "ok  " : "FAIL", result.name.c_str(), result.passed ? "" : ": ",
                result.problem.c_str());
  }
  std::printf("%zu checks, %zu failed\n", results.size(), failed);
  return failed == 0 ? 0 : 1;
}
