// SPDX-License-Identifier: MIT
#include "config/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <istream>
#include <map>
#include <streambuf>
#include <unordered_set>
#include <utility>
#include <vector>

namespace fffa::core {
namespace {

// Stops the parser: the document exceeds a limit, or there is a second one.
struct Stop {
  Location at;
  std::string message;
  std::string hint;
};

// Builds the tree from the parser's events. The node API would expand aliases without bound and keep only the last
// of two equal keys.
class Builder final : public YAML::EventHandler {
 public:
  Builder(std::string_view text, const YamlOrigin& origin, Diagnostics& diagnostics, const YamlLimits& limits)
      : source_(text), origin_(origin), diagnostics_(diagnostics), limits_(limits) {}

  std::optional<ConfigNode> take() && { return std::move(root_); }
  // Where the last quoted scalar, or what stands before it (its anchor), begins.
  const YAML::Mark& last_quoted() const noexcept { return last_quoted_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0)
      throw Stop{place(mark), "a second YAML document", "one document a file: name several files instead"};
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    ConfigNode node;
    node.at = place(mark);
    if (!begin_value(node.at, "")) return;
    finish(std::move(node), anchor, 1, 0);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(ConfigNode::Kind::list, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(ConfigNode::Kind::map, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  // A list or map that is being read.
  struct Frame {
    ConfigNode node;
    YAML::anchor_t anchor = YAML::NullAnchor;
    std::size_t nodes_before = 0;
    std::size_t text_before = 0;
    bool is_key = false;      // it stands where a key should: read, and dropped
    bool expects_key = true;  // map: the next scalar is a key
    bool dropped = false;     // map: the value of the current key is left out
    std::string key;
    Location key_at;
    std::unordered_set<std::string> keys;
  };
  // What an anchor names. Without a node it is still open: an alias to it would be a cycle.
  struct Anchored {
    std::optional<ConfigNode> node;
    std::size_t nodes = 0;
    std::size_t text = 0;
  };

  std::string_view source_;
  const YamlOrigin& origin_;
  Diagnostics& diagnostics_;
  const YamlLimits& limits_;
  std::vector<Frame> stack_;
  std::optional<ConfigNode> root_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  std::size_t nodes_ = 0;
  std::size_t anchored_nodes_ = 0;
  std::size_t text_ = 0;
  int documents_ = 0;
  YAML::Mark last_quoted_ = YAML::Mark::null_mark();

  Location place(const YAML::Mark& mark) const {
    const auto line = static_cast<std::uint32_t>(std::max(mark.line, 0));
    const auto column = static_cast<std::uint32_t>(std::max(mark.column, 0));
    return {origin_.file, origin_.line + line, line == 0 ? origin_.column + column : column + 1};
  }
  std::string path() const;
  ConfigNode scalar(const YAML::Mark& mark, const std::string& value, bool quoted) const;
  void count(std::size_t nodes, std::size_t text, const Location& at);
  void check_tag(const std::string& tag, const Location& at);
  bool begin_value(const Location& at, std::string_view what);
  void read_key(const Location& at, const std::string& value, bool quoted);
  void open(ConfigNode::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor);
  void close();
  void finish(ConfigNode node, YAML::anchor_t anchor, std::size_t nodes, std::size_t text);
};

std::size_t height(const ConfigNode& node) {
  std::size_t inner = 0;
  for (const auto& item : node.items) inner = std::max(inner, height(item));
  for (const auto& entry : node.entries) inner = std::max(inner, height(entry.value));
  return node.kind == ConfigNode::Kind::list || node.kind == ConfigNode::Kind::map ? inner + 1 : 0;
}

// The key path of the value that comes next.
std::string Builder::path() const {
  std::string result;
  for (const auto& frame : stack_) {
    if (frame.node.kind == ConfigNode::Kind::list) {
      result += "[" + std::to_string(frame.node.items.size()) + "]";
    } else if (!frame.expects_key) {
      result = join_path(result, frame.key);
    }
  }
  return result;
}

void Builder::count(std::size_t nodes, std::size_t text, const Location& at) {
  nodes_ += nodes;
  text_ += text;
  if (nodes_ > limits_.nodes) {
    throw Stop{at, "more than " + std::to_string(limits_.nodes) + " values, aliases expanded", ""};
  }
  if (text_ > limits_.text) {
    throw Stop{at, "more than " + std::to_string(limits_.text >> 20) + " MiB of text, aliases expanded", ""};
  }
}

void Builder::check_tag(const std::string& tag, const Location& at) {
  if (tag.empty() || tag == "?" || tag == "!") return;
  diagnostics_.add({at, path(), "tags such as `" + tag + "` are not supported", "leave the tag out"});
}

// True if a value belongs here. Where a key belongs, reports `what` (empty: a missing key) and takes the pair out.
bool Builder::begin_value(const Location& at, std::string_view what) {
  count(1, 0, at);
  if (stack_.empty() || stack_.back().node.kind != ConfigNode::Kind::map || !stack_.back().expects_key) return true;
  Frame& frame = stack_.back();
  diagnostics_.add(
      {at, path(), what.empty() ? "a key is missing" : std::string(what) + " as a key", "keys are plain words"});
  frame.expects_key = false;
  frame.dropped = true;
  frame.key = "?";
  return false;
}

void Builder::read_key(const Location& at, const std::string& value, bool quoted) {
  Frame& frame = stack_.back();
  const std::string parent = path();
  frame.expects_key = false;
  frame.dropped = true;
  frame.key = value;
  frame.key_at = at;
  if (value == "<<" && !quoted) {
    diagnostics_.add(
        {at, parent, "merge keys (`<<`) are not supported", "merge several files instead: fffa run a.yaml b.yaml"});
  } else if (!frame.keys.insert(value).second) {
    const auto* first = &frame.node.entries.front();
    for (const auto& entry : frame.node.entries) {
      if (entry.key == value) first = &entry;
    }
    diagnostics_.add({at, join_path(parent, value), "duplicate key, first at " + to_string(first->key_at), ""});
  } else {
    frame.dropped = false;
  }
}

void Builder::OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       const std::string& value) {
  const Location at = place(mark);
  check_tag(tag, at);
  const bool quoted = tag == "!";
  if (quoted) last_quoted_ = mark;
  if (!stack_.empty() && stack_.back().node.kind == ConfigNode::Kind::map && stack_.back().expects_key) {
    count(1, value.size(), at);
    if (anchor != YAML::NullAnchor) anchors_[anchor] = {scalar(mark, value, quoted), 1, value.size()};
    return read_key(at, value, quoted);
  }
  count(1, value.size(), at);
  ConfigNode node = scalar(mark, value, quoted);
  finish(std::move(node), anchor, 1, value.size());
}

ConfigNode Builder::scalar(const YAML::Mark& mark, const std::string& value, bool quoted) const {
  ConfigNode node;
  node.kind = ConfigNode::Kind::scalar;
  node.value = value;
  node.quoted = quoted;
  node.at = place(mark);
  const std::size_t begin = static_cast<std::size_t>(std::max(mark.pos, 0)) + (quoted ? 1 : 0);
  node.verbatim =
      begin <= source_.size() && source_.substr(begin).starts_with(value) && value.find('\n') == std::string::npos;
  return node;
}

void Builder::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  const Location at = place(mark);
  const auto found = anchors_.find(anchor);
  if (found == anchors_.end()) throw Stop{at, "alias of an unknown anchor", ""};
  if (!found->second.node)
    throw Stop{at, "alias to a value that it is itself part of", "a configuration cannot contain itself"};
  if (!begin_value(at, "an alias")) return;
  const Anchored& target = found->second;
  count(target.nodes - 1, target.text, at);
  if (stack_.size() + height(*target.node) > limits_.depth) {
    throw Stop{at, "lists and maps nested deeper than " + std::to_string(limits_.depth), ""};
  }
  finish(*target.node, YAML::NullAnchor, target.nodes, target.text);
}

void Builder::open(ConfigNode::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
  const Location at = place(mark);
  check_tag(tag, at);
  if (stack_.size() >= limits_.depth) {
    throw Stop{at, "lists and maps nested deeper than " + std::to_string(limits_.depth), ""};
  }
  Frame frame;
  frame.nodes_before = nodes_;
  frame.text_before = text_;
  frame.is_key = !begin_value(at, kind == ConfigNode::Kind::map ? "a map" : "a list");
  frame.node.kind = kind;
  frame.node.at = at;
  frame.anchor = anchor;
  if (anchor != YAML::NullAnchor) anchors_[anchor] = {};
  stack_.push_back(std::move(frame));
}

void Builder::close() {
  Frame frame = std::move(stack_.back());
  stack_.pop_back();
  if (frame.is_key) return;
  finish(std::move(frame.node), frame.anchor, nodes_ - frame.nodes_before, text_ - frame.text_before);
}

// Puts a complete value where it belongs.
void Builder::finish(ConfigNode node, YAML::anchor_t anchor, std::size_t nodes, std::size_t text) {
  if (anchor != YAML::NullAnchor) {
    anchored_nodes_ += nodes;  // each anchor keeps a copy: nested ones would multiply
    if (anchored_nodes_ > limits_.nodes)
      throw Stop{node.at, "more than " + std::to_string(limits_.nodes) + " values with anchors", ""};
    anchors_[anchor] = {node, nodes, text};
  }
  if (stack_.empty()) {
    root_ = std::move(node);
    return;
  }
  Frame& frame = stack_.back();
  if (frame.node.kind == ConfigNode::Kind::list) {
    frame.node.items.push_back(std::move(node));
    return;
  }
  frame.expects_key = true;
  if (!frame.dropped) frame.node.entries.push_back({frame.key, frame.key_at, std::move(node)});
}

// Lets the parser read the text where it is.
class TextBuffer final : public std::streambuf {
 public:
  explicit TextBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // a get area is never written to
    setg(begin, begin, begin + text.size());
  }
};

// yaml-cpp lets the text end inside quotes, if with a newline: false for that.
bool is_closed(std::string_view text) {
  while (text.starts_with('&') || text.starts_with('!')) {  // properties of the scalar
    text.remove_prefix(std::min(text.find_first_of(" \t\n"), text.size()));
    text.remove_prefix(std::min(text.find_first_not_of(" \t\n"), text.size()));
  }
  if (!text.starts_with('"') && !text.starts_with('\'')) return true;
  const char quote = text.front();
  for (std::size_t i = 1; i < text.size(); ++i) {
    const bool doubled = quote == '\'' && text.substr(i, 2) == "''";
    if (text[i] == quote && !doubled) return true;
    if (doubled || (quote == '"' && text[i] == '\\')) ++i;
  }
  return false;
}

// The column of the first tab in the indentation of line `line` (both from 0), if there is one: yaml-cpp complains of
// something behind it.
std::optional<std::size_t> tab_in_indentation(std::string_view text, int line) {
  for (int i = 0; i < line && !text.empty(); ++i) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  const std::size_t tab = text.find('\t');
  return tab != std::string_view::npos && text.find_first_not_of(" \t") > tab ? std::optional(tab) : std::nullopt;
}

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

std::optional<ConfigNode> parse_yaml(std::string_view text, const YamlOrigin& origin, Diagnostics& diagnostics,
                                     const YamlLimits& limits) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  TextBuffer buffer(text);
  std::istream stream(&buffer);
  Diagnostics found;  // dropped if the text turns out to be no YAML: what was found then is rarely what was meant
  Builder builder(text, origin, found, limits);
  const auto place = [&](const YAML::Mark& mark) {
    const auto line = static_cast<std::uint32_t>(std::max(mark.line, 0));
    const auto column = static_cast<std::uint32_t>(std::max(mark.column, 0));
    return Location{origin.file, origin.line + line, line == 0 ? origin.column + column : column + 1};
  };
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    const YAML::Mark& quoted = builder.last_quoted();
    if (!quoted.is_null() && !is_closed(text.substr(std::min(static_cast<std::size_t>(quoted.pos), text.size())))) {
      throw Stop{place(quoted), "not valid YAML: quotes are never closed", ""};
    }
  } catch (const Stop& stop) {
    diagnostics.add({stop.at, "", stop.message, stop.hint});
    return std::nullopt;
  } catch (const YAML::Exception& error) {
    if (const auto tab = tab_in_indentation(text, error.mark.line)) {
      Location at = place(error.mark);
      at.column = static_cast<std::uint32_t>(*tab + 1);
      diagnostics.add({at, "", "not valid YAML: a tab in the indentation", "indent with spaces"});
      return std::nullopt;
    }
    diagnostics.add({place(error.mark), "", "not valid YAML: " + error.msg, ""});
    return std::nullopt;
  }
  for (const auto& one : found.all()) diagnostics.add(one);
  auto root = std::move(builder).take();
  if (!root) {
    root.emplace();
    root->at = {origin.file, origin.line, origin.column};
  }
  return root;
}

std::string shown(const ConfigNode& value) {
  using Kind = ConfigNode::Kind;
  if (value.kind == Kind::null) return "nothing";
  if (value.kind == Kind::list) return "a list";
  if (value.kind == Kind::map) return "a mapping";
  if (value.secret) return "a substituted value (not shown)";
  return shown_text(value.value);
}

std::string shown_text(std::string_view text) {
  constexpr std::size_t kMost = 60;
  std::string shown;
  for (const char c : text.substr(0, kMost)) shown += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return "`" + shown + (text.size() > kMost ? "..." : "") + "`";
}

Location place_in(const ConfigNode& scalar, std::size_t offset) {
  Location at = scalar.at;
  if (scalar.verbatim) at.column += static_cast<std::uint32_t>(offset) + (scalar.quoted ? 1 : 0);
  return at;
}

std::string join_path(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : std::string(path) + "." + std::string(key);
}

}  // namespace fffa::core
