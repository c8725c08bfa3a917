// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstdint>
#include <cstdio>

#include "cli/commands.h"
#include "cli/session.h"
#include "cli/table.h"
#include "config/yaml.h"
#include "fffa/config.h"
#include "graph/settings.h"

namespace fffa::core {
namespace {

constexpr std::size_t kWidestDefault = 24;  // a longer one has a line of its own, else it widens the whole column

std::string number_text(double number) {
  std::string text = std::to_string(number);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

// A bound as one would write it: 1h, 16MiB.
std::string bound_text(const Schema& schema, double bound) {
  if (schema.kind == Schema::Kind::duration) {
    return detail::text_of(std::chrono::nanoseconds(static_cast<std::int64_t>(bound * 1e9)));
  }
  if (schema.kind == Schema::Kind::size) return detail::text_of(ByteSize{static_cast<std::uint64_t>(bound)});
  return number_text(bound);
}

std::string range_text(const Schema& schema) {
  constexpr double kLargest = 9007199254740992.0;  // what is larger is the type's own bound, rounded
  const bool low = schema.minimum && *schema.minimum > -kLargest;
  const bool high = schema.maximum && *schema.maximum < kLargest;
  if (low && high) return ", " + bound_text(schema, *schema.minimum) + " to " + bound_text(schema, *schema.maximum);
  if (low && *schema.minimum != 0) return ", at least " + bound_text(schema, *schema.minimum);
  return high ? ", at most " + bound_text(schema, *schema.maximum) : "";
}

// An option, and those inside it, under the key that one would write.
void add_rows(const Schema& schema, const std::string& prefix, std::vector<std::vector<std::string>>& rows) {
  for (const auto& option : schema.options) {
    const Schema& inner = option.schema;
    const std::string key = join_path(prefix, option.name);
    const std::string default_text = option.required ? "required" : option.default_text;
    const bool wide = default_text.size() > kWidestDefault;
    rows.push_back({key, type_name(inner) + range_text(inner), wide ? "(below)" : default_text, option.doc});
    if (wide) rows.push_back({"", "", "", "default: " + default_text});
    for (const auto& choice : inner.choices) {
      if (choice.schema.empty())
        rows.push_back({"", "  " + choice.name, "", choice.doc});
      else
        add_rows(choice.schema.front(), key + "(" + choice.name + ")", rows);
    }
    add_rows(inner, key, rows);
    if (!inner.element.empty()) add_rows(inner.element.front(), key + "[]", rows);
  }
}

void describe(const StageType& type, const LoadedPlugin& plugin) {
  const char* version = plugin.descriptor->version;
  std::printf("%s: %s\n%s%s%s, from %s\n", type.name, type.summary, kind_name(type.kind),
              version != nullptr && *version != 0 ? " " : "", version != nullptr ? version : "", plugin.file.c_str());
  std::vector<std::vector<std::string>> rows;
  add_rows(type.schema(), "", rows);
  const auto print = [&rows](const char* before) {
    if (rows.empty()) return;
    std::printf("\n%s%s", before, format_table({"OPTION", "TYPE", "DEFAULT", "WHAT IT IS"}, rows).c_str());
    rows.clear();
  };
  print("");
  if (type.kind != StageKind::source) add_rows(schema_of<QueueOptions>(), "", rows);
  if (type.kind >= StageKind::sink) add_rows(schema_of<SinkOptions>(), "", rows);
  print("What every such stage has:\n");
}

}  // namespace

ExitCode command_plugins_list(const CommonOptions& common) {
  Session session(common, {});
  std::vector<std::vector<std::string>> rows;
  for (const StageType* type : all_types(session.plugins())) {
    rows.push_back({kind_name(type->kind), type->name, type->summary, session.plugins().owner(*type).file.string()});
  }
  std::fputs(format_table({"KIND", "TYPE", "SUMMARY", "LIBRARY"}, rows).c_str(), stdout);
  session.warn_of_broken_plugins();
  return ExitCode::ok;
}

ExitCode command_plugins_describe(const CommonOptions& common, const std::string& name) {
  Session session(common, {});
  Plugins& plugins = session.plugins();
  std::vector<const StageType*> found = all_types(plugins);
  std::erase_if(found, [&](const StageType* type) { return name != type->name; });
  if (found.empty()) {
    const std::string why = plugins.why_missing(name);
    const std::string near = nearest(name, plugins.names());
    const std::string hint = !why.empty()   ? ": " + why
                             : near.empty() ? "; `fffa plugins` lists them"
                                            : "; did you mean `" + near + "`?";
    std::fprintf(stderr, "fffa plugins describe: there is no `%s`%s\n", name.c_str(), hint.c_str());
    return ExitCode::usage;
  }
  for (const StageType* type : found) {
    if (type != found.front()) std::printf("\n");
    describe(*type, plugins.owner(*type));
  }
  return ExitCode::ok;
}

}  // namespace fffa::core
