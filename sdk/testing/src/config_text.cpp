// SPDX-License-Identifier: MIT
#include "fffa/testing/config_text.h"

#include <memory>
#include <stdexcept>
#include <vector>

namespace fffa::testing {

namespace {

struct Line {
  std::size_t indent;
  std::string text;
  std::uint32_t number;
};

// Where a comment starts, or the end.
std::size_t content_length(std::string_view line) {
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote)
      quote = c == quote ? '\0' : quote;
    else if ((c == '"' || c == '\'') && (i == 0 || line.substr(0, i).find_last_of(" [{,:-") == i - 1))
      quote = c;
    else if (c == '#' && (i == 0 || line[i - 1] == ' '))
      return i;
  }
  return line.size();
}

std::vector<Line> split(std::string_view text) {
  std::vector<Line> lines;
  for (std::uint32_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, content_length(line));
    const std::size_t last = line.find_last_not_of(" \r");
    if (last == std::string_view::npos) continue;
    const std::size_t indent = line.find_first_not_of(' ');
    lines.push_back({indent, std::string(line.substr(indent, last - indent + 1)), number});
  }
  return lines;
}

class Parser {
 public:
  Parser(std::vector<Line> lines, std::string file)
      : lines_(std::move(lines)), file_(std::make_shared<const std::string>(std::move(file))) {}

  ConfigNode document() {
    ConfigNode node = lines_.empty() ? make(ConfigNode::Kind::map, 1, 1) : block(lines_[0].indent);
    if (next_ < lines_.size()) error(lines_[next_].number, lines_[next_].indent + 1, "unexpected indentation");
    return node;
  }

 private:
  [[noreturn]] void error(std::uint32_t line, std::size_t column, const std::string& what) const {
    throw std::runtime_error(to_string(Location{file_, line, static_cast<std::uint32_t>(column)}) + ": " + what);
  }
  ConfigNode make(ConfigNode::Kind kind, std::uint32_t line, std::size_t column) const {
    ConfigNode node;
    node.kind = kind;
    node.at = {file_, line, static_cast<std::uint32_t>(column)};
    return node;
  }
  static bool is_item(const Line& line) { return line.text == "-" || line.text.starts_with("- "); }

  // The lines from next_ on that stand at `indent`.
  ConfigNode block(std::size_t indent) {
    const Line& first = lines_[next_];
    if (is_item(first)) return list(indent);
    std::size_t end = 0;
    if (key_of(first, end).empty()) return flow_line(lines_[next_++], 0);
    ConfigNode node = make(ConfigNode::Kind::map, first.number, indent + 1);
    while (next_ < lines_.size() && lines_[next_].indent == indent && !is_item(lines_[next_]))
      node.entries.push_back(entry(indent));
    return node;
  }

  ConfigNode list(std::size_t indent) {
    ConfigNode node = make(ConfigNode::Kind::list, lines_[next_].number, indent + 1);
    while (next_ < lines_.size() && lines_[next_].indent == indent && is_item(lines_[next_])) {
      Line& line = lines_[next_];
      const std::size_t start = line.text.find_first_not_of(' ', 1);
      if (start == std::string::npos) {
        ++next_;
        node.items.push_back(nested(indent + 1, line.number, indent + 2));
      } else {  // what follows the dash stands like a line of its own
        line.indent += start;
        line.text.erase(0, start);
        node.items.push_back(block(line.indent));
      }
    }
    return node;
  }

  // A deeper block, or nothing.
  ConfigNode nested(std::size_t least, std::uint32_t line, std::size_t column) {
    if (next_ < lines_.size() && lines_[next_].indent >= least) return block(lines_[next_].indent);
    return make(ConfigNode::Kind::null, line, column);
  }

  // The key of a `key: value` line, `end` being where the value starts; empty if it is none.
  static std::string key_of(const Line& line, std::size_t& end) {
    const std::string& text = line.text;
    const bool quoted = text[0] == '"' || text[0] == '\'';
    const std::size_t close = quoted ? text.find(text[0], 1) : 0;
    if (close == std::string::npos || text[0] == '[' || text[0] == '{') return {};
    for (std::size_t i = close; i < text.size(); ++i) {
      if (text[i] != ':' || (i + 1 < text.size() && text[i + 1] != ' ')) continue;
      end = std::min(text.find_first_not_of(' ', i + 1), text.size());
      return quoted ? text.substr(1, close - 1) : text.substr(0, i);
    }
    return {};
  }

  ConfigNode::Entry entry(std::size_t indent) {
    const Line& line = lines_[next_];
    std::size_t start = 0;
    ConfigNode::Entry entry;
    entry.key = key_of(line, start);
    if (entry.key.empty()) error(line.number, indent + 1, "expected `key: value`");
    entry.key_at = {file_, line.number, static_cast<std::uint32_t>(indent + 1)};
    ++next_;
    const bool item_below = next_ < lines_.size() && lines_[next_].indent == indent && is_item(lines_[next_]);
    if (start < line.text.size())
      entry.value = flow_line(line, start);
    else
      entry.value = nested(indent + (item_below ? 0 : 1), line.number, indent + start + 1);
    return entry;
  }

  ConfigNode flow_line(const Line& line, std::size_t start) {
    std::size_t at = start;
    ConfigNode node = flow(line, at, false);
    skip_spaces(line, at);
    if (at < line.text.size()) error(line.number, line.indent + at + 1, "unexpected text");
    return node;
  }

  static void skip_spaces(const Line& line, std::size_t& at) {
    at = std::min(line.text.find_first_not_of(' ', at), line.text.size());
  }

  ConfigNode flow(const Line& line, std::size_t& at, bool inside) {
    skip_spaces(line, at);
    const char c = at < line.text.size() ? line.text[at] : '\0';
    if (c == '[' || c == '{') return flow_collection(line, at, c == '[');
    ConfigNode node = make(ConfigNode::Kind::scalar, line.number, line.indent + at + 1);
    if (c == '"' || c == '\'') {
      node.quoted = true;
      node.value = quoted(line, at, c);
      node.secret = node.value.starts_with("${");
      node.literal = !node.secret;
      return node;
    }
    std::size_t end = inside ? std::min(line.text.find_first_of(",]}", at), line.text.size()) : line.text.size();
    if (inside) {
      for (std::size_t i = at; i + 1 < end; ++i) {
        if (line.text[i] == ':' && line.text[i + 1] == ' ') end = i;
      }
    }
    node.value = line.text.substr(at, end - at);
    at = end;
    node.value.erase(node.value.find_last_not_of(' ') + 1);
    node.secret = node.value.starts_with("${");
    node.literal = !node.secret;
    if (node.value.empty() || node.value == "null" || node.value == "~") node.kind = ConfigNode::Kind::null;
    return node;
  }

  std::string quoted(const Line& line, std::size_t& at, char quote) const {
    std::string value;
    for (++at; at < line.text.size(); ++at) {
      const char c = line.text[at];
      const char next = at + 1 < line.text.size() ? line.text[at + 1] : '\0';
      if (c == '\\' && quote == '"' && next)
        value += next == 'n' ? '\n' : next == 't' ? '\t' : next, ++at;
      else if (c == quote && next == quote && quote == '\'')
        value += quote, ++at;
      else if (c == quote)
        return ++at, value;
      else
        value += c;
    }
    error(line.number, line.indent + at, "a quote is not closed");
  }

  ConfigNode flow_collection(const Line& line, std::size_t& at, bool list) {
    ConfigNode node = make(list ? ConfigNode::Kind::list : ConfigNode::Kind::map, line.number, line.indent + at + 1);
    const char close = list ? ']' : '}';
    for (++at;;) {
      skip_spaces(line, at);
      if (at >= line.text.size()) error(line.number, line.indent + at + 1, std::string("`") + close + "` is missing");
      if (line.text[at] == close) return ++at, node;
      ConfigNode value = flow(line, at, true);
      if (!list) {
        if (at >= line.text.size() || line.text[at] != ':')
          error(line.number, line.indent + at + 1, "expected `key: value`");
        ConfigNode::Entry entry{value.value, value.at, {}};
        entry.value = flow(line, ++at, true);
        node.entries.push_back(std::move(entry));
      } else {
        node.items.push_back(std::move(value));
      }
      skip_spaces(line, at);
      if (at < line.text.size() && line.text[at] == ',') ++at;
    }
  }

  std::vector<Line> lines_;
  std::shared_ptr<const std::string> file_;
  std::size_t next_ = 0;
};

}  // namespace

Result<ConfigNode> parse_config(std::string_view text, std::string file) {
  try {
    return Parser(split(text), std::move(file)).document();
  } catch (const std::runtime_error& error) {
    return fail(error.what());
  }
}

}  // namespace fffa::testing
