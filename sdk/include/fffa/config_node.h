// SPDX-License-Identifier: MIT
// The configuration as a tree of our own: every value knows the file, line and column that it came from.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fffa {

struct Location {
  std::shared_ptr<const std::string> file;  // as given on the command line; "--set" for overrides; null: no place
  std::uint32_t line = 0;                   // from 1
  std::uint32_t column = 0;                 // from 1
};
// "pipeline.yaml:12:7"; empty without a file.
std::string to_string(const Location& location);

// A problem in a configuration. All of them are collected and shown together, one line each.
struct Diagnostic {
  Location at;
  std::string path;     // "sinks.logs.interval"
  std::string message;  // "expected a duration such as 60s, got `sixty`"
  std::string hint;     // "did you mean `interval`?"; may be empty
};
// "FILE:LINE:COLUMN: PATH: MESSAGE (HINT)"
std::string to_string(const Diagnostic& diagnostic);

class Diagnostics {
 public:
  void add(Diagnostic diagnostic) { all_.push_back(std::move(diagnostic)); }
  bool empty() const noexcept { return all_.empty(); }
  const std::vector<Diagnostic>& all() const noexcept { return all_; }

 private:
  std::vector<Diagnostic> all_;
};

// Value semantics; immutable once the loader is done with it.
class ConfigNode {
 public:
  enum class Kind : std::uint8_t { null, scalar, list, map };
  struct Entry;

  Kind kind = Kind::null;
  std::string value;      // scalar, after substitution
  bool quoted = false;    // scalar: written in quotes, so it is text whatever it looks like
  bool secret = false;    // scalar: holds a substituted ${file:} or ${VAR}; never printed
  bool literal = true;    // scalar: stands here as it is, or has a ${VAR:-default}, used or not
  bool verbatim = false;  // scalar: its text stands like this, on one line, from `at` on (one further in quotes)
  Location at;            // of the value
  std::vector<ConfigNode> items;  // list
  std::vector<Entry> entries;     // map, in file order; keys are unique

  const ConfigNode* find(std::string_view key) const noexcept;
  ConfigNode* find(std::string_view key) noexcept;
};

struct ConfigNode::Entry {
  std::string key;
  Location key_at;
  ConfigNode value;
};

// The candidate nearest to `word` (edit distance, for "did you mean"), or empty if none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace fffa
