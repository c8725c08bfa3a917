// SPDX-License-Identifier: MIT
#include "graph/draw.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

namespace fffa::core {
namespace {

struct Look {
  std::string_view name;
  std::string_view open;  // mermaid's bracket: the shape
  std::string_view close;
};
constexpr std::array<Look, 4> kLooks = {
    {{"source", "([", "])"}, {"enricher", "[", "]"}, {"aggregator", "[[", "]]"}, {"sink", "[(", ")]"}}};

const Look& look_of(const StageSpec& stage) {
  return kLooks[std::min<std::size_t>(static_cast<std::size_t>(stage.kind), 3)];
}

std::string padded(std::string_view text, std::size_t width) {
  std::string result(text);
  result.resize(std::max(width, text.size()), ' ');
  return result;
}

// A condition on one line.
std::string condition_of(const Edge& edge) {
  if (edge.when_secret) return "a condition (not shown)";
  std::string line;
  for (const char c : edge.when->text()) {
    const bool space = static_cast<unsigned char>(c) <= ' ';
    if (!space) line += c;
    if (space && !line.empty() && line.back() != ' ') line += ' ';
  }
  if (line.ends_with(' ')) line.pop_back();
  return line;
}

// What an edge does beside carrying records; empty: nothing.
std::string note_of(const Edge& edge) {
  std::string note = edge.when ? "when " + condition_of(edge) : "";
  if (edge.on_full == OnFull::drop) note += note.empty() ? "drops when full" : ", drops when full";
  return note;
}

// Text in quotes of mermaid's, which knows HTML.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (std::string_view("\"#&<>").find(c) == std::string_view::npos)
      result += c;
    else
      result += "#" + std::to_string(static_cast<int>(c)) + ";";
  }
  return result;
}

std::string mermaid_arrow(const Edge& edge) {
  const bool drops = edge.on_full == OnFull::drop;
  if (edge.when) return (drops ? " -.->|\"" : " -->|\"") + escaped(note_of(edge)) + "\"| ";
  return drops ? " -. " + note_of(edge) + " .-> " : " --> ";
}

}  // namespace

std::string draw_text(const Pipeline& pipeline) {
  std::size_t id_width = 0;
  std::size_t type_width = 0;
  std::vector<std::string> outputs(pipeline.stages.size());
  for (const auto& stage : pipeline.stages) {
    id_width = std::max(id_width, stage.id.size());
    type_width = std::max(type_width, stage.type.size());
    for (const auto& edge : stage.inputs) {
      std::string& to = outputs[edge.from];
      const std::string note = note_of(edge);
      to += (to.empty() ? "" : ", ") + stage.id + (note.empty() ? "" : " (" + note + ")");
    }
  }
  std::string text;
  for (std::size_t i = 0; i < pipeline.stages.size(); ++i) {
    const auto& stage = pipeline.stages[i];
    std::string line = padded(look_of(stage).name, 10) + "  " + padded(stage.id, id_width) + "  ";
    line += outputs[i].empty() ? stage.type : padded(stage.type, type_width) + "  -> " + outputs[i];
    text += line + "\n";
  }
  return text;
}

std::string draw_mermaid(const Pipeline& pipeline) {
  std::string text = "flowchart LR\n";
  // numbered: an id such as `end` is a word of mermaid's own
  const auto node = [](std::size_t index) { return "s" + std::to_string(index); };
  for (std::size_t i = 0; i < pipeline.stages.size(); ++i) {
    const auto& stage = pipeline.stages[i];
    const Look& look = look_of(stage);
    text += "  " + node(i) + std::string(look.open) + "\"" + stage.id + "<br/>" + stage.type + "\"" +
            std::string(look.close) + "\n";
  }
  for (std::size_t i = 0; i < pipeline.stages.size(); ++i) {
    for (const auto& edge : pipeline.stages[i].inputs) {
      text += "  " + node(edge.from) + mermaid_arrow(edge) + node(i) + "\n";
    }
  }
  return text;
}

}  // namespace fffa::core
