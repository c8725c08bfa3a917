// SPDX-License-Identifier: MIT
// What can be judged without running anything.
#include <algorithm>
#include <cctype>
#include <set>
#include <string_view>

#include "checks.h"
#include "elf.h"
#include "fffa/testing/conformance.h"

namespace fffa::testing {

namespace {

bool is_name(std::string_view text) {
  return !text.empty() && std::islower(static_cast<unsigned char>(text[0])) &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return std::islower(c) || std::isdigit(c) || c == '_'; });
}

bool is_line(const char* text) {
  return text && *text && std::string_view(text).find('\n') == std::string_view::npos;
}

std::string check_type(const StageType& type) {
  if (type.size < sizeof(StageType)) return "StageType::size is too small";
  if (type.kind > StageKind::async_sink) return "unknown kind";
  if (!type.name || !is_name(type.name)) return "the name must be snake_case";
  const std::string who = std::string("`") + type.name + "`: ";
  if (!is_line(type.summary)) return who + "the summary must be one line";
  if (!type.schema || !type.check || !type.create || !type.resources || !type.emits)
    return who + "a function is missing";
  return {};
}

// What the host takes out of a stage's options before the plugin sees them.
constexpr std::string_view kReserved[] = {"type", "inputs", "on_reject", "queue"};

std::string check_option(const Option& option) {
  if (!is_name(option.name)) return "option `" + option.name + "`: the name must be snake_case";
  if (option.doc.empty()) return "option `" + option.name + "` has no doc line";
  if (option.required && !option.default_text.empty())
    return "option `" + option.name + "` is required and has a default";
  const std::string problem = check_schema(option.schema);
  return problem.empty() ? problem : option.name + ": " + problem;
}

std::string check_options(const Schema& schema) {
  std::set<std::string> names;
  for (const auto& option : schema.options) {
    if (!names.insert(option.name).second) return "option `" + option.name + "` is there twice";
    if (auto problem = check_option(option); !problem.empty()) return problem;
  }
  return {};
}

std::string check_choices(const Schema& schema) {
  if (schema.choices.empty()) return "there is nothing to choose from";
  std::set<std::string> names;
  for (const auto& choice : schema.choices) {
    if (choice.name.empty() || !names.insert(choice.name).second)
      return "choice `" + choice.name + "` is empty or there twice";
    if (schema.kind == Schema::Kind::enumeration) continue;
    if (choice.schema.size() != 1) return "choice `" + choice.name + "` has no schema";
    if (auto problem = check_schema(choice.schema[0]); !problem.empty()) return problem;
  }
  return {};
}

}  // namespace

std::string check_build_tag(const std::filesystem::path& plugin) {
  const auto tag = section_text(plugin, FFFA_BUILD_TAG_SECTION);
  if (!tag.ok()) return tag.error().message;
  return *tag == FFFA_BUILD_TAG ? std::string{} : "built with `" + *tag + "`, this fffa with `" FFFA_BUILD_TAG "`";
}

std::string check_exports(const std::filesystem::path& plugin) {
  const auto names = exported_symbols(plugin);
  if (!names.ok()) return names.error().message;
  if (names->size() == 1 && names->front() == "fffa_plugin") return {};
  std::string listing;
  for (const auto& name : *names) {
    if (listing.size() < 200) listing += (listing.empty() ? "" : ", ") + name.substr(0, 60);
  }
  return "exports " + std::to_string(names->size()) + " symbols instead of `fffa_plugin` alone: " + listing;
}

std::string check_descriptor(const PluginDescriptor& descriptor) {
  if (descriptor.size < sizeof(PluginDescriptor)) return "PluginDescriptor::size is too small";
  if (descriptor.abi_version != kAbiVersion) {
    return "ABI " + std::to_string(descriptor.abi_version) + ", this fffa has " + std::to_string(kAbiVersion);
  }
  if (!descriptor.build_tag || std::string_view(descriptor.build_tag) != FFFA_BUILD_TAG) return "the build tag differs";
  if (!descriptor.version) return "the version is missing (it may be empty)";
  if (!descriptor.stages || descriptor.stage_count == 0) return "there is no stage type";
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < descriptor.stage_count; ++i) {
    if (auto problem = check_type(descriptor.stages[i]); !problem.empty()) return problem;
    if (!names.insert(descriptor.stages[i].name).second)
      return std::string("`") + descriptor.stages[i].name + "` is there twice";
  }
  return {};
}

std::string check_schema(const Schema& schema) {
  using Kind = Schema::Kind;
  if (schema.minimum && schema.maximum && *schema.minimum > *schema.maximum) return "the range is empty";
  switch (schema.kind) {
    case Kind::object: return check_options(schema);
    case Kind::enumeration:
    case Kind::one_of: return check_choices(schema);
    case Kind::list:
    case Kind::map:
      return schema.element.size() == 1 ? check_schema(schema.element[0]) : "a list or map has one element schema";
    default: return {};
  }
}

bool is_reserved(const std::string& option) {
  return std::find(std::begin(kReserved), std::end(kReserved), option) != std::end(kReserved);
}

}  // namespace fffa::testing
