// SPDX-License-Identifier: MIT
#include "graph/json_schema.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "config/sections.h"
#include "graph/settings.h"

namespace fffa::core {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kLargestExact = 9007199254740992.0;  // 2^53: beyond it, bounds would be rounded

Json convert(const Schema& schema);

Json substituted() {
  return {{"$ref", "#/$defs/substitution"}};
}
Json or_substituted(Json json) {
  return {{"anyOf", Json::array({std::move(json), substituted()})}};
}

Json number(const Schema& schema, const char* type) {
  Json json = {{"type", type}};
  const auto bound = [&](const char* key, std::optional<double> value) {
    if (!value || std::abs(*value) > kLargestExact) return;
    if (*value == std::floor(*value))
      json[key] = static_cast<std::int64_t>(*value);
    else
      json[key] = *value;
  };
  bound("minimum", schema.minimum);
  bound("maximum", schema.maximum);
  return or_substituted(std::move(json));
}

// "60s": a number with a unit, or several; 0 needs none.
Json with_unit(std::string_view units) {
  const std::string one = "[0-9]+(\\.[0-9]+)?(" + std::string(units) + ")";
  Json text = {{"type", "string"}, {"pattern", "^((" + one + ")+|0)$"}};
  return {{"anyOf", Json::array({std::move(text), Json{{"const", 0}}, substituted()})}};
}

Json names_of(const Schema& schema) {
  Json names = Json::array();
  for (const auto& choice : schema.choices) names.push_back(choice.name);
  return or_substituted({{"enum", std::move(names)}});
}

// A default as JSON, where it is one scalar.
void add_default(Json& json, const Option& option) {
  using Kind = Schema::Kind;
  const std::string& text = option.default_text;
  if (text.empty()) return;
  switch (option.schema.kind) {
    case Kind::boolean: json["default"] = text == "true"; break;
    case Kind::integer:
    case Kind::number: json["default"] = Json::parse(text, nullptr, false); break;
    case Kind::enumeration:
    case Kind::duration:
    case Kind::size: json["default"] = text; break;
    default: json["description"] = option.doc + " (default: " + text + ")";
  }
}

void add_options(Json& object, const Schema& schema) {
  for (const auto& option : schema.options) {
    Json json = convert(option.schema);
    json["description"] = option.doc;
    add_default(json, option);
    object["properties"][option.name] = std::move(json);
    if (option.required) object["required"].push_back(option.name);
  }
}

Json object_of(const Schema& schema) {
  Json object = {
      {"type", Json::array({"object", "null"})}, {"properties", Json::object()}, {"additionalProperties", false}};
  add_options(object, schema);
  return object;
}

Json alternatives_of(const Schema& schema) {
  Json all = Json::array();
  for (const auto& choice : schema.choices) {
    Json object = {{"type", "object"},
                   {"properties", {{"type", {{"const", choice.name}}}}},
                   {"required", {"type"}},
                   {"additionalProperties", false}};
    if (!choice.doc.empty()) object["description"] = choice.doc;
    if (!choice.schema.empty()) add_options(object, choice.schema.front());
    all.push_back(std::move(object));
  }
  return {{"oneOf", std::move(all)}};
}

Json convert(const Schema& schema) {
  using Kind = Schema::Kind;
  const auto element = [&] { return schema.element.empty() ? Json(true) : convert(schema.element.front()); };
  switch (schema.kind) {
    case Kind::boolean: return or_substituted({{"type", "boolean"}});
    case Kind::integer: return number(schema, "integer");
    case Kind::number: return number(schema, "number");
    case Kind::enumeration: return names_of(schema);
    case Kind::duration: return with_unit("ns|us|ms|s|m|h|d");
    case Kind::size: return with_unit("B|kB|KB|KiB|MB|MiB|GB|GiB|TB|TiB");
    case Kind::list: return {{"type", "array"}, {"items", element()}};
    case Kind::map: return {{"type", "object"}, {"additionalProperties", element()}};
    case Kind::object: return object_of(schema);
    case Kind::one_of: return alternatives_of(schema);
    case Kind::string:
    case Kind::path:
    case Kind::secret: break;
  }
  return {{"type", {"string", "number", "boolean"}}};  // a number is text, where text is wanted
}

Json input_schema() {
  Json by_options = object_of(schema_of<InputOptions>());
  by_options["type"] = "object";
  Json item = {{"anyOf", Json::array({Json{{"type", "string"}}, std::move(by_options)})}};
  return {{"description", "stages whose output this one takes"},
          {"type", "array"},
          {"minItems", 1},
          {"items", std::move(item)}};
}

Json stage_schema(const StageType& type) {
  Json stage = {{"type", "object"},
                {"description", type.summary},
                {"properties", {{"type", {{"const", type.name}}}}},
                {"required", {"type"}}};
  const bool sink = type.kind == StageKind::sink || type.kind == StageKind::async_sink;
  if (type.kind != StageKind::source) {
    stage["properties"]["inputs"] = input_schema();
    stage["required"].push_back("inputs");
    add_options(stage, schema_of<QueueOptions>());
  }
  if (sink) add_options(stage, schema_of<SinkOptions>());
  add_options(stage, type.schema());
  stage["additionalProperties"] = false;
  return stage;
}

}  // namespace

std::string json_schema(const std::vector<const StageType*>& types) {
  Json definitions = {
      {"substitution", {{"type", "string"}, {"pattern", "\\$\\{([A-Z_][A-Z0-9_]*(:-.*)?|file:.+)\\}"}}}};
  std::array<Json, 4> choices;
  choices.fill(Json::array());
  for (const StageType* type : types) {
    const auto section = section_of(type->kind);
    const std::string name = std::string(kSections[section]) + "." + type->name;
    definitions[name] = stage_schema(*type);
    choices[section].push_back({{"$ref", "#/$defs/" + name}});
  }
  Json root = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
               {"title", "fffa pipeline"},
               {"type", "object"},
               {"properties", Json::object()}};
  for (std::size_t i = 0; i < kSections.size(); ++i) {
    if (choices[i].empty()) continue;
    root["properties"][std::string(kSections[i])] = {
        {"type", {"object", "null"}},
        {"propertyNames", {{"pattern", "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"}}},
        {"additionalProperties", {{"oneOf", choices[i]}}}};
  }
  add_options(root, schema_of<SettingsOptions>());
  root["required"] = {"sources", "sinks"};
  root["additionalProperties"] = false;
  root["$defs"] = std::move(definitions);
  return root.dump(2) + "\n";
}

}  // namespace fffa::core
