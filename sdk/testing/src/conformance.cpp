// SPDX-License-Identifier: MIT
#include "fffa/testing/conformance.h"

#include <dlfcn.h>

#include "checks.h"
#include "isolated.h"

namespace fffa::testing {

namespace {

// A check that fails after this time would only be followed by others like it.
constexpr std::chrono::seconds kPatience(4);

// As the host loads: RTLD_NOW, never unloaded.
const PluginDescriptor* load(const std::filesystem::path& plugin, std::string& problem) {
  void* library = dlopen(std::filesystem::absolute(plugin).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return problem = dlerror(), nullptr;
  const auto* descriptor = static_cast<const PluginDescriptor*>(dlsym(library, "fffa_plugin"));
  if (!descriptor) problem = "the symbol `fffa_plugin` is missing";
  return descriptor;
}

class Suite {
 public:
  explicit Suite(const ConformanceOptions& options) : options_(options) {}

  // False if it failed.
  bool add(std::string name, std::string problem) {
    const bool passed = problem.empty();
    results_.push_back({std::move(name), passed, std::move(problem)});
    return passed;
  }
  bool add_isolated(std::string name, const std::function<std::string()>& check) {
    return add(std::move(name), isolated(check, options_.limit));
  }

  void check_type(const StageType& type) {
    const Subject subject{type, options_.config};
    const std::string prefix = std::string(type.name) + ": ";
    bool runnable = true;
    for (const auto& check : config_checks()) {
      const bool passed = add_isolated(prefix + check.name, [&] { return check.run(subject); });
      if (std::string_view(check.name) == "accepts the given options") runnable = passed;
    }
    if (!runnable) return;  // it has failed already; the rest would only repeat that
    for (const auto& check : running_checks(type.kind)) {
      if (!runnable) {
        add(prefix + check.name, "not tried, because a check before was waited for in vain");
        continue;
      }
      const auto began = std::chrono::steady_clock::now();
      const bool passed = add_isolated(prefix + check.name, [&] { return check.run(subject); });
      runnable = passed || std::chrono::steady_clock::now() - began < kPatience;
    }
  }

  std::vector<CheckResult> take() { return std::move(results_); }

 private:
  const ConformanceOptions& options_;
  std::vector<CheckResult> results_;
};

}  // namespace

std::vector<CheckResult> check_plugin(const ConformanceOptions& options) {
  Suite suite(options);
  if (!suite.add("the build tag can be read and fits", check_build_tag(options.plugin))) return suite.take();
  suite.add("one symbol is exported", check_exports(options.plugin));
  const auto loads = [&] {
    std::string problem;
    const auto* descriptor = load(options.plugin, problem);
    return descriptor ? check_descriptor(*descriptor) : problem;
  };
  if (!suite.add_isolated("loads, with a sane descriptor", loads)) return suite.take();
  std::string problem;
  const auto* descriptor = load(options.plugin, problem);
  bool found = false;
  for (std::size_t i = 0; descriptor && i < descriptor->stage_count; ++i) {
    const StageType& type = descriptor->stages[i];
    if (!options.type.empty() && options.type != type.name) continue;
    found = true;
    suite.check_type(type);
  }
  if (!found) suite.add("has the stage type `" + options.type + "`", "there is none of that name");
  return suite.take();
}

}  // namespace fffa::testing
