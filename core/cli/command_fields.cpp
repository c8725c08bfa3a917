// SPDX-License-Identifier: MIT
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/table.h"
#include "fffa/fields.h"

namespace fffa::core {
namespace {

std::string type_text(FieldType type) {
  switch (type) {
    case FieldType::boolean: return "boolean";
    case FieldType::integer: return "integer";
    case FieldType::text: return "text";
    case FieldType::address: return "address";
    case FieldType::time: return "time";
    case FieldType::flags: return "flags";
    case FieldType::hex: return "hex";
    case FieldType::computed: return "computed";
  }
  return "unknown";
}

std::string merge_text(MergeRule rule) {
  switch (rule) {
    case MergeRule::key: return "key";
    case MergeRule::add: return "add";
    case MergeRule::bit_or: return "or";
    case MergeRule::minimum: return "minimum";
    case MergeRule::maximum: return "maximum";
    case MergeRule::last: return "last";
    case MergeRule::first: return "first";
    case MergeRule::derived: return "derived";
    case MergeRule::constant: return "constant";
  }
  return "unknown";
}

const std::vector<std::string> kColumns = {"FIELD", "VPC FIELD", "TYPE", "UNIT", "NULL WHEN", "MERGE", "WHAT IT IS"};

std::vector<std::string> row_of(const Field& field) {
  return {std::string(field.name),      std::string(field.vpc_name), type_text(field.type), std::string(field.unit),
          std::string(field.null_when), merge_text(field.merge),     std::string(field.doc)};
}

std::string markdown_row(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const auto& cell : cells) {
    line += ' ';
    for (const char c : cell) line += c == '|' ? "\\|" : std::string(1, c);
    line += " |";
  }
  return line + "\n";
}

std::string as_json() {
  auto all = nlohmann::ordered_json::array();
  for (const auto& field : fields()) {
    all.push_back({{"name", field.name},
                   {"vpc_name", field.vpc_name},
                   {"type", type_text(field.type)},
                   {"unit", field.unit},
                   {"null_when", field.null_when},
                   {"merge", merge_text(field.merge)},
                   {"key", field.key},
                   {"doc", field.doc}});
  }
  return all.dump(2) + "\n";
}

}  // namespace

ExitCode command_fields(const std::string& format) {
  std::string text;
  if (format == "json") {
    text = as_json();
  } else if (format == "markdown") {
    text = markdown_row(kColumns) + markdown_row(std::vector<std::string>(kColumns.size(), "---"));
    for (const auto& field : fields()) text += markdown_row(row_of(field));
  } else {
    std::vector<std::vector<std::string>> rows;
    for (const auto& field : fields()) rows.push_back(row_of(field));
    text = format_table(kColumns, rows);
  }
  std::fputs(text.c_str(), stdout);
  return ExitCode::ok;
}

}  // namespace fffa::core
