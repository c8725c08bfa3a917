// SPDX-License-Identifier: MIT
// Options: what the schema promises, check() and create() keep.
#include <algorithm>

#include "checks.h"
#include "fffa/testing/config_text.h"
#include "fffa/testing/context.h"

namespace fffa::testing {

namespace {

std::string all_of(const Diagnostics& diagnostics) {
  std::string text;
  for (const auto& each : diagnostics.all()) text += (text.empty() ? "" : "; ") + to_string(each);
  return text;
}

ConfigNode config_of(const Subject& subject) {
  auto config = parse_config(subject.config, "--config");
  if (!config.ok()) throw Failure(config.error());
  return std::move(*config);
}

void set(ConfigNode& config, const std::string& option, ConfigNode value) {
  if (auto* there = config.find(option))
    *there = std::move(value);
  else
    config.entries.push_back({option, config.at, std::move(value)});
}

ConfigNode parsed(const std::string& yaml) {
  auto node = parse_config(yaml, "default");
  if (!node.ok()) throw Failure(node.error());
  return std::move(*node);
}

bool names(const Diagnostics& diagnostics, const std::string& option) {
  return std::any_of(diagnostics.all().begin(), diagnostics.all().end(),
                     [&](const Diagnostic& each) { return each.path.starts_with("s." + option); });
}

std::string schema_is_consistent(const Subject& subject) {
  const Schema& schema = subject.type.schema();
  if (schema.kind != Schema::Kind::object) return "the schema is no object";
  for (const auto& option : schema.options) {
    if (is_reserved(option.name)) return "option `" + option.name + "` is the host's own";
  }
  return check_schema(schema);
}

std::string options_are_accepted(const Subject& subject) {
  Diagnostics diagnostics;
  const bool good = subject.type.check(config_of(subject), "s", diagnostics);
  if (good != diagnostics.empty()) return "check() returns something else than its diagnostics say";
  return good ? std::string{} : "give options with --config: " + all_of(diagnostics);
}

std::string missing_options_are_named(const Subject& subject) {
  for (const auto& option : subject.type.schema().options) {
    Diagnostics diagnostics;
    if (!option.required) continue;
    if (subject.type.check(parsed(""), "s", diagnostics))
      return "nothing at all is accepted, though `" + option.name + "` is required";
    if (!names(diagnostics, option.name)) return "that `" + option.name + "` is missing is not said";
  }
  return {};
}

std::string defaults_are_valid(const Subject& subject) {
  for (const auto& option : subject.type.schema().options) {
    if (option.default_text.empty()) continue;
    ConfigNode config = config_of(subject);
    set(config, option.name, parsed(option.name + ": " + option.default_text).entries.at(0).value);
    Diagnostics diagnostics;
    static_cast<void>(subject.type.check(config, "s", diagnostics));
    if (names(diagnostics, option.name))
      return "the default of `" + option.name + "` is refused: " + all_of(diagnostics);
  }
  return {};
}

std::string unknown_options_are_refused(const Subject& subject) {
  ConfigNode config = config_of(subject);
  set(config, "no_such_option", parsed("x: 1").entries.at(0).value);
  Diagnostics diagnostics;
  if (subject.type.check(config, "s", diagnostics)) return "`no_such_option` is accepted";
  return names(diagnostics, "no_such_option") ? std::string{} : "the key path is not said: " + all_of(diagnostics);
}

std::string wrong_types_are_refused(const Subject& subject) {
  using Kind = Schema::Kind;
  for (const auto& option : subject.type.schema().options) {
    const Kind kind = option.schema.kind;
    const bool nested = kind == Kind::list || kind == Kind::map || kind == Kind::object || kind == Kind::one_of;
    ConfigNode config = config_of(subject);
    set(config, option.name, parsed(nested ? "x: word" : "x: [[word]]").entries.at(0).value);
    Diagnostics diagnostics;
    if (subject.type.check(config, "s", diagnostics)) return "`" + option.name + "` takes a value of the wrong type";
    if (!names(diagnostics, option.name))
      return "the key path of `" + option.name + "` is not said: " + all_of(diagnostics);
  }
  return {};
}

std::string bad_options_make_no_stage(const Subject& subject) {
  ConfigNode config = config_of(subject);
  set(config, "no_such_option", parsed("x: 1").entries.at(0).value);
  TestContext context;
  return subject.type.create(config, context).ok() ? "create() takes what check() refuses" : "";
}

std::string resources_are_named(const Subject& subject) {
  for (const auto& resource : subject.type.resources(config_of(subject))) {
    if (resource.kind.empty()) return "a resource has no kind";
  }
  return {};
}

}  // namespace

std::vector<Check> config_checks() {
  return {{"the schema is consistent", &schema_is_consistent},
          {"accepts the given options", &options_are_accepted},
          {"names required options that are missing", &missing_options_are_named},
          {"accepts its own defaults", &defaults_are_valid},
          {"refuses unknown options", &unknown_options_are_refused},
          {"refuses values of the wrong type", &wrong_types_are_refused},
          {"makes no stage of bad options", &bad_options_make_no_stage},
          {"names its resources", &resources_are_named}};
}

}  // namespace fffa::testing
